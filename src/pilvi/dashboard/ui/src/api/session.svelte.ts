// Who is signed in. The token itself never comes here: the browser only holds a cookie that scripts can't read.
import { own } from "./client.ts"

export interface About {
  user: { id: string; name: string; domain: { id: string; name: string } }
  project: { id: string; name: string }
  projects: { id: string; name: string; domain_id: string }[]
  roles: string[]
  endpoints: Record<string, string>
  region: string
  auth_url: string
  csrf: string
  expires_at: string
}

class Session {
  about = $state<About | null>(null)
  known = $state(false)
  timedOut = $state(false)

  get isAdmin(): boolean {
    return this.about?.roles.includes("admin") ?? false
  }

  has(service: string): boolean {
    return service in (this.about?.endpoints ?? {})
  }

  async find(): Promise<void> {
    try {
      this.about = await own("GET", "/session")
    } catch {
      this.about = null
    }
    this.known = true
    this.timedOut = false
  }

  async signIn(form: { user: string; password: string; domain: string; passcode?: string }): Promise<void> {
    this.about = await own("POST", "/session", form)
    this.timedOut = false
  }

  async switchTo(project_id: string): Promise<void> {
    this.about = await own("PUT", "/session", { project_id })
  }

  async signOut(): Promise<void> {
    await own("DELETE", "/session")
    this.about = null
  }

  // The server knows this session no more.
  ended(): void {
    this.timedOut = this.about !== null
    this.about = null
  }
}

export const session = new Session()
