// Where in the page the user is: the address below /dashboard, and what its query says.
const ROOT = "/dashboard"

class Router {
  path = $state("/")
  query = $state(new URLSearchParams())

  constructor() {
    this.read()
    addEventListener("popstate", () => this.read())
  }

  private read(): void {
    this.path = location.pathname.slice(ROOT.length).replace(/\/+$/, "") || "/"
    this.query = new URLSearchParams(location.search)
  }

  go(path: string, replace = false): void {
    if (replace) history.replaceState(null, "", ROOT + path)
    else history.pushState(null, "", ROOT + path)
    this.read()
    if (!replace) scrollTo(0, 0)
  }

  // Keeps a choice (a tab, a search) in the address, so that it can be linked to and survives a reload.
  remember(name: string, value: string): void {
    const query = new URLSearchParams(location.search)
    if (value) query.set(name, value)
    else query.delete(name)
    const text = query.toString()
    history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""))
    this.query = query
  }
}

export const router = new Router()
export const href = (path: string): string => ROOT + path

// On a link: go there without loading the page again, unless the user wants a new tab.
export function follow(event: MouseEvent): void {
  const link = (event.target as Element).closest?.("a")
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || link.target || link.hasAttribute("download")) return
  const target = new URL(link.href)
  if (target.origin !== location.origin || !target.pathname.startsWith(ROOT) || target.pathname.startsWith(ROOT + "/api/")) return
  event.preventDefault()
  router.go(target.pathname.slice(ROOT.length) + target.search || "/")
}
