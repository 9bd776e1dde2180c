// cytoscape adds a <style> of one rule (position: relative on its container) unless an element with this id is there. The page's policy
// forbids styles from scripts, and the containers have that rule anyway.
const STYLESHEET = "__________cytoscape_stylesheet"

export function allowStylesheet(): void {
  if (!document.getElementById(STYLESHEET)) document.head.append(Object.assign(document.createElement("meta"), { id: STYLESHEET }))
}

/** A colour of the theme, as the page has it now. */
export function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}
