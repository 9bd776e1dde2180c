// Containers and what lies in them. Source: Object Storage API v1.
import { ask } from "../api/client.ts"
import { command, quoted } from "../api/notices.svelte.ts"
import { session } from "../api/session.svelte.ts"
import type { Row, Spec } from "./spec.ts"

export const account = (): string => `/v1/AUTH_${session.about?.project.id}`
// A container or object as a path; slashes within an object's name are its folders.
export const place = (container: string, object = ""): string => `${account()}/${encodeURIComponent(container)}${object ? `/${object.split("/").map(encodeURIComponent).join("/")}` : ""}`
// Whoever has an object's link may read it, and nobody sees the list. (With .rlistings Swift also hides the ACL from the owner.)
export const PUBLIC = ".r:*"

// All names below a prefix, page by page.
export async function names(container: string, prefix: string): Promise<string[]> {
  const found: string[] = []
  for (;;) {
    const page: Row[] = await ask("object-store", "GET", place(container), { query: { format: "json", prefix, marker: found.at(-1), limit: 1000 } })
    found.push(...page.map((row) => row.name))
    if (page.length < 1000) return found
  }
}

export const containers: Spec = {
  name: "containers", title: "containers", singular: "container", about: "containers_about", icon: "container", service: "object-store", pages: true, details: true, member: "",
  get path() {
    return account()
  },
  query: () => ({ format: "json" }), id: (row) => row.name, search: (text) => ({ prefix: text }), searched: "search_prefix", events: ["objectstore."],
  columns: [{ label: "name", value: (row) => row.name }, { label: "objects", kind: "number", value: (row) => row.count }, { label: "size", kind: "bytes", value: (row) => row.bytes }, { label: "changed", kind: "time", value: (row) => row.last_modified }],
  create: {
    fields: () => [{ name: "name", label: "name", required: true, pattern: "[^/]+" }, { name: "open", label: "make_public", kind: "flag" }],
    make: (values) => ask("object-store", "PUT", place(values.name), { headers: values.open ? { "X-Container-Read": PUBLIC } : {} }),
    command: (values) => command("container create", quoted(values.name ?? "")) + (values.open ? `; swift post ${quoted(values.name ?? "")} --read-acl ${quoted(PUBLIC)}` : ""),
  },
  remove: {
    sure: "container_delete_sure", command: (row) => command("container delete --recursive", quoted(row.name)),
    run: async (row) => {
      for (const name of await names(row.name, "")) await ask("object-store", "DELETE", place(row.name, name))
      await ask("object-store", "DELETE", place(row.name))
    },
  },
}
