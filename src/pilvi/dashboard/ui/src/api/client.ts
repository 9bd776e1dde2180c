// Asking the APIs. Everything goes to the page's own origin, where the server adds the user's token (dashboard/proxy.py).
import { session } from "./session.svelte.ts"

export type Row = Record<string, any>

const ROOT = "/dashboard"
const VERSIONS: Record<string, string> = { compute: "compute 2.90", "block-storage": "volume 3.70", placement: "placement 1.39" }

// What the sign-in can be refused for: no session has ended by that.
const SIGNING_IN = new Set(["refused", "passcode_needed", "other_factors"])

// What an API refused, in its own words; `code` is a word of dashboard/errors.py.
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code = "",
  ) {
    super(message)
  }
}

export interface Options {
  body?: unknown
  query?: Record<string, string | number | boolean | null | undefined>
  headers?: Record<string, string>
  version?: string
}

export function address(service: string, path: string, query: Options["query"] = {}): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "")
  const text = new URLSearchParams(pairs.map(([name, value]) => [name, String(value)])).toString()
  return `${ROOT}/api/${service}${path}${text ? (path.includes("?") ? "&" : "?") + text : ""}`
}

// One request to a service; the answer as JSON (or text, or null). Throws ApiError.
export async function ask(service: string, method: string, path: string, options: Options = {}): Promise<any> {
  const headers: Record<string, string> = { Accept: "application/json", ...headersOf(service, method, options) }
  const raw = options.body instanceof Blob || typeof options.body === "string"
  if (options.body !== undefined && !raw) headers["Content-Type"] ??= "application/json"
  const body = options.body === undefined ? undefined : raw ? (options.body as BodyInit) : JSON.stringify(options.body)
  return answer(await fetch(address(service, path, options.query), { method, headers, body, credentials: "same-origin" }))
}

export const get = (service: string, path: string, query: Options["query"] = {}, version?: string): Promise<any> =>
  ask(service, "GET", path, { query, version })

function headersOf(service: string, method: string, options: Options): Record<string, string> {
  const version = options.version ?? VERSIONS[service]
  return {
    ...(version ? { "OpenStack-API-Version": version } : {}),
    ...(method === "GET" ? {} : { "X-CSRF-Token": session.about?.csrf ?? "" }),
    ...options.headers,
  }
}

// The dashboard's own server: sessions.
export async function own(method: string, path: string, body?: unknown): Promise<any> {
  const headers: Record<string, string> = { "Content-Type": "application/json", "X-CSRF-Token": session.about?.csrf ?? "" }
  return answer(await fetch(ROOT + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin" }))
}

async function answer(response: Response): Promise<any> {
  const text = await response.text()
  let parsed: any = text
  if ((response.headers.get("content-type") ?? "").includes("json") && text) {
    try {
      parsed = JSON.parse(text)
    } catch {
      parsed = text
    }
  }
  if (response.ok) return text === "" ? null : parsed
  const failure = failureOf(response.status, parsed)
  if (response.status === 401 && !SIGNING_IN.has(failure.code)) session.ended()
  throw failure
}

// The message of an error body: each API family wraps it in its own way.
export function failureOf(status: number, body: any): ApiError {
  if (typeof body === "string") return new ApiError(status, body.replace(/<[^>]*>/g, " ").trim().slice(0, 400) || `HTTP ${status}`)
  const inner = body?.NeutronError ?? body?.error ?? body?.errors?.[0] ?? (body && Object.keys(body).length === 1 ? Object.values(body)[0] : body)
  const message = inner?.message ?? inner?.detail ?? body?.explanation ?? body?.message ?? inner
  return new ApiError(status, typeof message === "string" ? message : `HTTP ${status}`, inner?.reason ?? "")
}

// Sends a file with progress (0…1); fetch can't tell how far an upload is.
export function upload(service: string, method: string, path: string, file: Blob, headers: Record<string, string>, progress: (part: number) => void) {
  const request = new XMLHttpRequest()
  const done = new Promise<void>((resolve, reject) => {
    request.open(method, address(service, path))
    for (const [name, value] of Object.entries({ ...headersOf(service, method, {}), ...headers })) request.setRequestHeader(name, value)
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total)
    request.onerror = () => reject(new ApiError(0, "The connection broke off."))
    request.onabort = () => reject(new ApiError(0, "Stopped."))
    request.onload = () => {
      if (request.status < 300) return resolve()
      let body: any = request.responseText
      try {
        body = JSON.parse(body)
      } catch {
        // plain text
      }
      reject(failureOf(request.status, body))
    }
    request.send(file)
  })
  return { done, stop: () => request.abort() }
}
