// Images. Source: Image API v2.
import { ask } from "../api/client.ts"
import { command, quoted } from "../api/notices.svelte.ts"
import { session } from "../api/session.svelte.ts"
import type { Row, Spec } from "./spec.ts"

const patch = (row: Row, operations: Row[]): Promise<any> =>
  ask("image", "PATCH", `/v2/images/${row.id}`, { body: new Blob([JSON.stringify(operations)]), headers: { "Content-Type": "application/openstack-images-v2.1-json-patch" } })
const mine = (row: Row): boolean => session.isAdmin || row.owner === session.about?.project.id
const VISIBILITIES = ["private", "shared", "community", "public"]

export const images: Spec = {
  name: "images", title: "images", singular: "image", icon: "image", service: "image", path: "/v2/images", member: "images", single: "", pages: true, details: true, events: ["image."],
  busy: (row) => ["saving", "importing", "uploading"].includes(row.status),
  columns: [
    { label: "name", value: (row) => row.name || row.id, sort: "name" }, { label: "status", kind: "status", value: (row) => row.status }, { label: "visibility", value: (row) => row.visibility }, { label: "format", value: (row) => row.disk_format },
    { label: "size", kind: "bytes", value: (row) => row.size, sort: "size" }, { label: "protected", kind: "flag", value: (row) => row.protected }, { label: "created", kind: "time", value: (row) => row.created_at, sort: "created_at" },
  ],
  create: { label: "upload_image", fields: () => [], make: async () => undefined, command: () => "", go: "/upload" },
  remove: { when: (row) => mine(row) && !row.protected, command: (row) => command("image delete", quoted(row.name || row.id)) },
  actions: [
    { key: "launch", label: "launch_server", when: (row) => row.status === "active", go: (row) => `/launch?image=${row.id}`, run: async () => undefined },
    { key: "rename", label: "rename", when: mine, fields: (row) => [{ name: "name", label: "name", required: true, first: row.name }], run: (row, values) => patch(row, [{ op: "replace", path: "/name", value: values.name }]), command: (row, values) => command("image set", ["--name", values.name], row.id) },
    {
      key: "visibility", label: "visibility", when: mine, fields: (row) => [{ name: "visibility", label: "visibility", kind: "select", required: true, first: row.visibility, options: VISIBILITIES.map((value) => ({ value, label: value })) }],
      run: (row, values) => patch(row, [{ op: "replace", path: "/visibility", value: values.visibility }]), command: (row, values) => command("image set", `--${values.visibility}`, quoted(row.name)),
    },
    { key: "protect", label: "protect", when: (row) => mine(row) && !row.protected, run: (row) => patch(row, [{ op: "replace", path: "/protected", value: true }]), command: (row) => command("image set --protected", quoted(row.name)) },
    { key: "unprotect", label: "unprotect", when: (row) => mine(row) && row.protected, run: (row) => patch(row, [{ op: "replace", path: "/protected", value: false }]), command: (row) => command("image set --unprotected", quoted(row.name)) },
  ],
}
