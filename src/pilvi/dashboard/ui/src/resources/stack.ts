// Stacks. Source: Orchestration API v1.
import { ask } from "../api/client.ts"
import { command, quoted } from "../api/notices.svelte.ts"
import type { Row, Spec } from "./spec.ts"

const path = (id: string): string => `/v1/stacks/${id.split("/").map(encodeURIComponent).join("/")}`
const act = (row: Row, body: Row): Promise<any> => ask("orchestration", "POST", `${path(`${row.stack_name}/${row.id}`)}/actions`, { body })
const settled = (row: Row): boolean => !row.stack_status.endsWith("_IN_PROGRESS")

export const stacks: Spec = {
  name: "stacks", title: "stacks", singular: "stack", about: "stacks_about", icon: "stack", service: "orchestration", path: "/v1/stacks", member: "stacks", single: "stack", pages: true, details: true,
  id: (row) => `${row.stack_name}/${row.id}`, label: (row) => row.stack_name, marker: (row) => row.id, one: path, item: (row) => path(`${row.stack_name}/${row.id}`), events: ["orchestration."], busy: (row) => !settled(row),
  columns: [
    { label: "name", value: (row) => row.stack_name, sort: "name" }, { label: "status", kind: "status", value: (row) => row.stack_status, title: (row) => row.stack_status_reason },
    { label: "description", value: (row) => row.description }, { label: "created", kind: "time", value: (row) => row.creation_time, sort: "created_at" }, { label: "changed", kind: "time", value: (row) => row.updated_time },
  ],
  create: { label: "launch_stack", fields: () => [], make: async () => undefined, command: () => "", go: "/stack" },
  remove: { sure: "stack_delete_sure", command: (row) => command("stack delete --yes", quoted(row.stack_name)) },
  actions: [
    { key: "update", label: "update_stack", go: (row) => `/stack?update=${encodeURIComponent(`${row.stack_name}/${row.id}`)}`, run: async () => undefined },
    { key: "check", label: "check_stack", when: settled, run: (row) => act(row, { check: null }), command: (row) => command("stack check", quoted(row.stack_name)) },
    { key: "suspend", label: "suspend", when: settled, run: (row) => act(row, { suspend: null }), command: (row) => command("stack suspend", quoted(row.stack_name)) },
    { key: "resume", label: "resume", when: settled, run: (row) => act(row, { resume: null }), command: (row) => command("stack resume", quoted(row.stack_name)) },
    { key: "cancel", label: "cancel_update", when: (row) => row.stack_status === "UPDATE_IN_PROGRESS", run: (row) => act(row, { cancel_update: null }), command: (row) => command("stack cancel", quoted(row.stack_name)) },
  ],
}

// Where what a resource made can be looked at.
const PAGES: Record<string, string> = { "OS::Nova::Server": "servers", "OS::Neutron::Net": "networks", "OS::Neutron::Router": "routers", "OS::Neutron::SecurityGroup": "security-groups", "OS::Cinder::Volume": "volumes", "OS::Swift::Container": "containers", "OS::Glance::WebImage": "images" }

export const resourcesOf = (id: string): Spec => ({
  name: "stack-resources", title: "resources", singular: "resource", icon: "stack", service: "orchestration", path: `${path(id)}/resources`, member: "resources", pages: false, id: (row) => row.resource_name, label: (row) => row.resource_name, events: ["orchestration."],
  busy: (row) => row.resource_status.endsWith("_IN_PROGRESS") || row.resource_status === "INIT_COMPLETE",
  columns: [
    { label: "name", value: (row) => row.resource_name }, { label: "type", kind: "code", value: (row) => row.resource_type }, { label: "status", kind: "status", value: (row) => row.resource_status, title: (row) => row.resource_status_reason },
    { label: "thing", kind: "code", value: (row) => row.physical_resource_id, href: (row) => (PAGES[row.resource_type] && row.physical_resource_id ? `/${PAGES[row.resource_type]}/${encodeURIComponent(row.physical_resource_id)}` : null) },
    { label: "changed", kind: "time", value: (row) => row.updated_time }, { label: "reason", value: (row) => row.resource_status_reason },
  ],
})

export const eventsOf = (id: string): Spec => ({
  name: "stack-events", title: "events", singular: "event", icon: "bell", service: "orchestration", path: `${path(id)}/events`, member: "events", pages: true, query: () => ({ sort_dir: "desc" }), label: (row) => row.resource_name, events: ["orchestration."],
  columns: [{ label: "time", kind: "time", value: (row) => row.event_time }, { label: "resource", value: (row) => row.resource_name }, { label: "status", kind: "status", value: (row) => row.resource_status }, { label: "reason", value: (row) => row.resource_status_reason }, { label: "thing", kind: "code", value: (row) => row.physical_resource_id }],
})

export const snapshotsOf = (stack: Row): Spec => {
  const own = `${path(`${stack.stack_name}/${stack.id}`)}/snapshots`
  return {
    name: "stack-snapshots", title: "snapshots", singular: "snapshot", icon: "snapshot", service: "orchestration", path: own, member: "snapshots", pages: false, events: ["orchestration."], busy: (row) => row.status === "IN_PROGRESS",
    columns: [{ label: "name", value: (row) => row.name || row.id.slice(0, 8) }, { label: "status", kind: "status", value: (row) => row.status, title: (row) => row.status_reason }, { label: "created", kind: "time", value: (row) => row.creation_time }, { label: "reason", kind: "prose", value: (row) => (row.status === "FAILED" ? row.status_reason : "") }],
    create: { fields: () => [{ name: "name", label: "name", required: true }], make: (values) => ask("orchestration", "POST", own, { body: values }), command: (values) => command("stack snapshot create", ["--name", values.name], quoted(stack.stack_name)) },
    remove: { when: (row) => row.status !== "IN_PROGRESS", command: (row) => command("stack snapshot delete", quoted(stack.stack_name), row.id) },
    actions: [{ key: "restore", label: "restore", sure: "restore_stack_sure", when: (row) => row.status === "COMPLETE", run: (row) => ask("orchestration", "POST", `${own}/${row.id}/restore`), command: (row) => command("stack snapshot restore", quoted(stack.stack_name), row.id) }],
  }
}

export const resourceTypes: Spec = {
  name: "resource-types", title: "resource_types", singular: "resource_type", about: "resource_types_about", icon: "code", service: "orchestration", path: "/v1/resource_types", member: "resource_types", single: "", pages: false, details: true, query: () => ({ with_description: true }), events: [],
  id: (row) => row.resource_type, label: (row) => row.resource_type,
  columns: [{ label: "name", value: (row) => row.resource_type }, { label: "description", kind: "prose", value: (row) => row.description }],
}

export const templateVersions: Spec = {
  name: "template-versions", title: "template_versions", singular: "template_version", about: "template_versions_about", icon: "file", service: "orchestration", path: "/v1/template_versions", member: "template_versions", pages: false, details: true, events: [],
  id: (row) => row.version, label: (row) => row.version,
  columns: [{ label: "name", value: (row) => row.version }, { label: "type", value: (row) => row.type }, { label: "aliases", kind: "lines", value: (row) => row.aliases }],
}

export const functionsOf = (version: string): Spec => ({
  name: "template-functions", title: "functions", singular: "function", icon: "code", service: "orchestration", path: `/v1/template_versions/${encodeURIComponent(version)}/functions`, member: "template_functions", pages: false, query: () => ({ with_condition_func: true }), events: [],
  id: (row) => row.functions, label: (row) => row.functions,
  columns: [{ label: "name", kind: "code", value: (row) => row.functions }, { label: "description", kind: "prose", value: (row) => row.description }],
})

export const stackPath = path
