// What changes in the cloud, told by the server as it happens (dashboard/events.py). A message names a thing, and whoever shows it reads it
// again. Where the stream is down, everything is read again every few seconds instead.
import { session } from "./session.svelte.ts"

export interface Change {
  type: string
  id: string
  project_id: string
  request_id?: string
  at: number
}

interface Subscriber {
  types: string[]
  tell: (change: Change | null) => void
}

const POLL_MS = 8000
const SELDOM = 4
const RETRY_MS = 3000

class Live {
  connected = $state(false)
  recent = $state<Change[]>([])
  private subscribers = new Set<Subscriber>()
  private source: EventSource | null = null
  private timer: ReturnType<typeof setInterval> | undefined

  start(): void {
    this.stop()
    this.open()
    document.addEventListener("visibilitychange", this.look)
    let beats = 0
    // Also with the stream, now and then: events go to one of several control processes, and a browser's stream may hang at another.
    this.timer = setInterval(() => {
      if (document.visibilityState === "visible" && (!this.connected || ++beats % SELDOM === 0)) this.tellAll()
    }, POLL_MS)
  }

  stop(): void {
    document.removeEventListener("visibilitychange", this.look)
    clearInterval(this.timer)
    this.close()
    this.recent = []
  }

  // A hidden tab gives its connection back: browsers have six for a host.
  private look = (): void => {
    if (document.visibilityState === "hidden") this.close()
    else if (!this.source) this.open()
  }

  private open(): void {
    const source = new EventSource(`/dashboard/events${session.isAdmin ? "?all=1" : ""}`)
    this.source = source
    let greeted = false
    source.addEventListener("hello", () => {
      this.connected = true
      if (greeted) this.tellAll()
      greeted = true
    })
    source.onmessage = (event) => this.heard(JSON.parse(event.data))
    source.onerror = () => {
      this.connected = false
      if (source.readyState !== EventSource.CLOSED || this.source !== source) return
      this.source = null
      setTimeout(() => session.about && !this.source && document.visibilityState === "visible" && this.open(), RETRY_MS)
    }
  }

  private close(): void {
    this.source?.close()
    this.source = null
    this.connected = false
  }

  private heard(change: Change): void {
    if (change.type === "again") return this.tellAll()
    this.recent = [change, ...this.recent].slice(0, 50)
    for (const each of this.subscribers) if (each.types.some((type) => change.type.startsWith(type))) each.tell(change)
  }

  private tellAll(): void {
    for (const each of this.subscribers) each.tell(null)
  }

  // Calls back, at most every `pause` ms, after something of these types changed (null: maybe everything did). Gives the function that ends it.
  on(types: string[], tell: (changes: (Change | null)[]) => void, pause = 200): () => void {
    let waiting: (Change | null)[] = []
    let timer: ReturnType<typeof setTimeout> | undefined
    const one: Subscriber = {
      types,
      tell: (change) => {
        waiting.push(change)
        timer ??= setTimeout(() => {
          const changes = waiting
          waiting = []
          timer = undefined
          tell(changes)
        }, pause)
      },
    }
    this.subscribers.add(one)
    return () => {
      this.subscribers.delete(one)
      clearTimeout(timer)
    }
  }
}

export const live = new Live()
