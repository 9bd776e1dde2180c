// What the page tells in passing: what was done, with the command that does the same, and what was refused.
export interface Notice {
  number: number
  kind: "done" | "failed"
  text: string
  command: string
}

export interface Done {
  at: Date
  command: string
}

class Notices {
  list = $state<Notice[]>([])
  commands = $state<Done[]>([])
  private number = 0

  done(text: string, command = ""): void {
    if (command) this.commands = [{ at: new Date(), command }, ...this.commands].slice(0, 100)
    this.add("done", text, command, 6000)
  }

  failed(failure: unknown): void {
    this.add("failed", failure instanceof Error ? failure.message : String(failure), "", 12000)
  }

  private add(kind: Notice["kind"], text: string, command: string, milliseconds: number): void {
    const number = ++this.number
    this.list = [...this.list, { number, kind, text, command }].slice(-4)
    setTimeout(() => this.drop(number), milliseconds)
  }

  drop(number: number): void {
    this.list = this.list.filter((each) => each.number !== number)
  }
}

export const notices = new Notices()

// A word as a shell takes it.
export const quoted = (word: unknown): string => (/^[\w@%+=:,./-]+$/.test(String(word)) ? String(word) : `'${String(word).replaceAll("'", `'\\''`)}'`)

// A command line: words, [option, value] pairs (left out when the value is empty), and true options.
export function command(...words: (string | [string, unknown] | false | null | undefined)[]): string {
  const parts = words.flatMap((word) => {
    if (!word) return []
    if (typeof word === "string") return [word]
    const [option, value] = word
    if (value === undefined || value === null || value === "" || value === false) return []
    if (Array.isArray(value)) return value.map((each) => `${option} ${quoted(each)}`)
    return value === true ? [option] : [`${option} ${quoted(value)}`]
  })
  return `openstack ${parts.join(" ")}`
}
