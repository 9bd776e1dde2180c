// Projects, users, roles, groups, domains; for administrators. Source: Identity API v3.
import { ask, get } from "../api/client.ts"
import { command, quoted } from "../api/notices.svelte.ts"
import { session } from "../api/session.svelte.ts"
import { save } from "./compute.ts"
import { choices, given, type Row, type Spec } from "./spec.ts"

const IDENTITY = { service: "identity", pages: false }
const patch = (path: string, body: Row): Promise<any> => ask("identity", "PATCH", `/v3/${path}`, { body })
const post = (path: string, body: Row): Promise<any> => ask("identity", "POST", `/v3/${path}`, { body })
const enabled = { label: "enabled", kind: "flag", value: (row: Row) => row.enabled } as const

export const domains: Spec = {
  ...IDENTITY, name: "admin/domains", title: "domains", singular: "domain", icon: "group", path: "/v3/domains", member: "domains", single: "domain", events: ["identity.domain"],
  columns: [{ label: "name", value: (row) => row.name }, { label: "description", value: (row) => row.description }, enabled],
  create: { fields: () => [{ name: "name", label: "name", required: true }, { name: "description", label: "description" }], make: (values) => post("domains", { domain: values }), command: (values) => command("domain create", ["--description", values.description], quoted(values.name ?? "")) },
  remove: { when: (row) => !row.enabled, command: (row) => command("domain delete", quoted(row.name)) },
  actions: switches("domain", "domains"),
}

export const projects: Spec = {
  ...IDENTITY, name: "admin/projects", title: "projects", singular: "project", icon: "project", path: "/v3/projects", member: "projects", single: "project", details: true, events: ["identity.project"],
  columns: [{ label: "name", value: (row) => row.name }, { label: "description", value: (row) => row.description }, { label: "domain", kind: "code", value: (row) => row.domain_id }, enabled, { label: "id", kind: "code", value: (row) => row.id }],
  create: {
    fields: () => [{ name: "name", label: "name", required: true }, { name: "domain_id", label: "domain", kind: "select", required: true, first: "default", options: choices(() => domains) }, { name: "description", label: "description" }],
    make: (values) => post("projects", { project: values }), command: (values) => command("project create", ["--domain", values.domain_id], ["--description", values.description], quoted(values.name ?? "")),
  },
  remove: { command: (row) => command("project delete", quoted(row.name)) },
  actions: [
    ...switches("project", "projects"),
    { key: "edit", label: "rename", fields: (row) => [{ name: "name", label: "name", required: true, first: row.name }, { name: "description", label: "description", first: row.description ?? "" }], run: (row, values) => patch(`projects/${row.id}`, { project: values }), command: (row, values) => command("project set", ["--name", values.name], ["--description", values.description], row.id) },
  ],
}

export const users: Spec = {
  ...IDENTITY, name: "admin/users", title: "users", singular: "user", icon: "user", path: "/v3/users", member: "users", single: "user", events: ["identity.user"],
  columns: [{ label: "name", value: (row) => row.name }, { label: "email", value: (row) => row.email }, { label: "domain", kind: "code", value: (row) => row.domain_id }, enabled, { label: "id", kind: "code", value: (row) => row.id }],
  create: {
    fields: () => [
      { name: "name", label: "name", required: true }, { name: "password", label: "password", kind: "password", required: true }, { name: "email", label: "email" }, { name: "domain_id", label: "domain", kind: "select", required: true, first: "default", options: choices(() => domains) },
      { name: "project", label: "project", kind: "select", options: choices(() => projects) }, { name: "role", label: "role", kind: "select", options: choices(() => roles), first: "", when: (values) => Boolean(values.project) },
    ],
    make: async ({ project, role, ...values }) => {
      const made = (await post("users", { user: { ...given(values), ...(project ? { default_project_id: project } : {}) } })).user
      if (project && role) await ask("identity", "PUT", `/v3/projects/${project}/users/${made.id}/roles/${role}`)
    },
    command: (values) => command("user create --password-prompt", ["--domain", values.domain_id], ["--email", values.email], ["--project", values.project], quoted(values.name ?? "")) + (values.project && values.role ? `; ${command("role add", ["--user", values.name], ["--project", values.project], quoted(values.role))}` : ""),
  },
  remove: { command: (row) => command("user delete", quoted(row.name)) },
  actions: [
    ...switches("user", "users"),
    { key: "password", label: "change_password", fields: () => [{ name: "password", label: "password", kind: "password", required: true }], run: (row, values) => patch(`users/${row.id}`, { user: values }), command: (row) => command("user set --password-prompt", quoted(row.name)) },
    {
      key: "role", label: "add_to_project", fields: () => [{ name: "project", label: "project", kind: "select", required: true, options: choices(() => projects) }, { name: "role", label: "role", kind: "select", required: true, options: choices(() => roles) }],
      run: (row, values) => ask("identity", "PUT", `/v3/projects/${values.project}/users/${row.id}/roles/${values.role}`), command: (row, values) => command("role add", ["--user", row.name], ["--project", values.project], quoted(values.role ?? "")),
    },
  ],
}

export const roles: Spec = {
  ...IDENTITY, name: "admin/roles", title: "roles", singular: "role", icon: "shield", path: "/v3/roles", member: "roles", single: "role", events: ["identity.role"],
  columns: [{ label: "name", value: (row) => row.name }, { label: "description", value: (row) => row.description }, { label: "id", kind: "code", value: (row) => row.id }],
  create: { fields: () => [{ name: "name", label: "name", required: true }], make: (values) => post("roles", { role: values }), command: (values) => command("role create", quoted(values.name ?? "")) },
  remove: { command: (row) => command("role delete", quoted(row.name)) },
}

export const groups: Spec = {
  ...IDENTITY, name: "admin/groups", title: "groups", singular: "group", icon: "group", path: "/v3/groups", member: "groups", single: "group", details: true, events: ["identity.group"],
  columns: [{ label: "name", value: (row) => row.name }, { label: "description", value: (row) => row.description }, { label: "domain", kind: "code", value: (row) => row.domain_id }],
  create: {
    fields: () => [{ name: "name", label: "name", required: true }, { name: "domain_id", label: "domain", kind: "select", required: true, first: "default", options: choices(() => domains) }, { name: "description", label: "description" }],
    make: (values) => post("groups", { group: values }), command: (values) => command("group create", ["--domain", values.domain_id], ["--description", values.description], quoted(values.name ?? "")),
  },
  remove: { command: (row) => command("group delete", quoted(row.name)) },
  actions: [
    { key: "edit", label: "rename", fields: (row) => [{ name: "name", label: "name", required: true, first: row.name }, { name: "description", label: "description", first: row.description ?? "" }], run: (row, values) => patch(`groups/${row.id}`, { group: values }), command: (row, values) => command("group set", ["--name", values.name], ["--description", values.description], row.id) },
    {
      key: "role", label: "add_to_project", fields: () => [{ name: "project", label: "project", kind: "select", required: true, options: choices(() => projects) }, { name: "role", label: "role", kind: "select", required: true, options: choices(() => roles) }],
      run: (row, values) => ask("identity", "PUT", `/v3/projects/${values.project}/groups/${row.id}/roles/${values.role}`), command: (row, values) => command("role add", ["--group", row.name], ["--project", values.project], quoted(values.role ?? "")),
    },
  ],
}

export const membersOfGroup = (group: Row): Spec => ({
  ...IDENTITY, name: "group-members", title: "members", singular: "member", icon: "user", path: `/v3/groups/${group.id}/users`, member: "users", events: ["identity."],
  columns: [{ label: "name", value: (row) => row.name }, { label: "email", value: (row) => row.email }, { label: "domain", kind: "code", value: (row) => row.domain_id }, enabled],
  create: { label: "add_member", fields: () => [{ name: "user", label: "user", kind: "select", required: true, options: choices(() => users) }], make: (values) => ask("identity", "PUT", `/v3/groups/${group.id}/users/${values.user}`), command: (values) => command("group add user", quoted(group.name), quoted(values.user ?? "")) },
  remove: { label: "remove_member", sure: "remove_member_sure", command: (row) => command("group remove user", quoted(group.name), quoted(row.name)) },
})

export const rolesOfGroup = (group: Row): Spec => ({
  ...IDENTITY, name: "group-roles", title: "roles", singular: "role", icon: "shield", path: "/v3/role_assignments", member: "role_assignments", query: () => ({ "group.id": group.id, include_names: "true" }), events: ["identity."],
  id: (row) => `${row.scope.project?.id ?? row.scope.domain?.id ?? "system"} ${row.role.id}`, label: (row) => row.role.name,
  columns: [{ label: "role", value: (row) => row.role.name }, { label: "project", value: (row) => row.scope.project?.name, href: (row) => (row.scope.project ? `/admin/projects/${row.scope.project.id}` : null) }, { label: "domain", value: (row) => row.scope.domain?.name }],
})

// Who has which role in a project.
export const membersOf = (project: Row): Spec => ({
  ...IDENTITY, name: "members", title: "members", singular: "member", icon: "user", path: "/v3/role_assignments", member: "role_assignments", query: () => ({ "scope.project.id": project.id, include_names: "true" }), events: ["identity."],
  id: (row) => `${row.user?.id ?? row.group?.id} ${row.role.id}`, label: (row) => `${row.user?.name ?? row.group?.name} · ${row.role.name}`,
  columns: [{ label: "user", value: (row) => row.user?.name ?? row.group?.name }, { label: "type", value: (row) => (row.user ? "user" : "group") }, { label: "role", value: (row) => row.role.name }],
  create: {
    label: "add_member", fields: () => [{ name: "user", label: "user", kind: "select", required: true, options: choices(() => users) }, { name: "role", label: "role", kind: "select", required: true, options: choices(() => roles) }],
    make: (values) => ask("identity", "PUT", `/v3/projects/${project.id}/users/${values.user}/roles/${values.role}`), command: (values) => command("role add", ["--user", values.user], ["--project", project.name], quoted(values.role ?? "")),
  },
  remove: {
    run: (row) => ask("identity", "DELETE", `/v3/projects/${project.id}/${row.user ? "users" : "groups"}/${(row.user ?? row.group).id}/roles/${row.role.id}`),
    command: (row) => command("role remove", [row.user ? "--user" : "--group", (row.user ?? row.group).name], ["--project", project.name], quoted(row.role.name)),
  },
})

function switches(kind: string, path: string): NonNullable<Spec["actions"]> {
  return [
    { key: "disable", label: "disable", sure: "disable_sure", when: (row) => row.enabled, run: (row) => patch(`${path}/${row.id}`, { [kind]: { enabled: false } }), command: (row) => command(`${kind} set --disable`, quoted(row.name)) },
    { key: "enable", label: "enable", when: (row) => !row.enabled, run: (row) => patch(`${path}/${row.id}`, { [kind]: { enabled: true } }), command: (row) => command(`${kind} set --enable`, quoted(row.name)) },
  ]
}

// Federation. Source: Identity API v3, "OS-FEDERATION".
const FEDERATION = "/v3/OS-FEDERATION"
const listed = (text: unknown): string[] => String(text ?? "").split(/[\s,]+/).filter(Boolean)

export const identityProviders: Spec = {
  ...IDENTITY, name: "admin/identity-providers", title: "identity_providers", singular: "identity_provider", about: "identity_providers_about", icon: "key", path: `${FEDERATION}/identity_providers`, member: "identity_providers", single: "identity_provider", events: ["identity."], label: (row) => row.id,
  columns: [{ label: "name", value: (row) => row.id }, { label: "description", value: (row) => row.description }, { label: "remote_ids", kind: "lines", value: (row) => row.remote_ids }, { label: "domain", kind: "code", value: (row) => row.domain_id }, enabled],
  create: {
    fields: () => [{ name: "id", label: "name", required: true }, { name: "description", label: "description" }, { name: "remote_ids", label: "remote_ids", help: "comma_separated", placeholder: "https://login.example" }],
    make: ({ id, remote_ids, ...values }) => ask("identity", "PUT", `${FEDERATION}/identity_providers/${encodeURIComponent(id)}`, { body: { identity_provider: { ...given(values), remote_ids: listed(remote_ids), enabled: true } } }),
    command: (values) => command("identity provider create", ["--remote-id", listed(values.remote_ids)], ["--description", values.description], quoted(values.id ?? "")),
  },
  remove: { command: (row) => command("identity provider delete", quoted(row.id)) },
  actions: [
    { key: "disable", label: "disable", sure: "disable_sure", when: (row) => row.enabled, run: (row) => provider(row, { enabled: false }), command: (row) => command("identity provider set --disable", quoted(row.id)) },
    { key: "enable", label: "enable", when: (row) => !row.enabled, run: (row) => provider(row, { enabled: true }), command: (row) => command("identity provider set --enable", quoted(row.id)) },
    {
      key: "protocol", label: "add_protocol", fields: () => [{ name: "name", label: "name", required: true, first: "openid", help: "protocol_help" }, { name: "mapping", label: "mapping", kind: "select", required: true, options: choices(() => mappings) }],
      run: (row, values) => ask("identity", "PUT", `${FEDERATION}/identity_providers/${encodeURIComponent(row.id)}/protocols/${encodeURIComponent(values.name)}`, { body: { protocol: { mapping_id: values.mapping } } }),
      command: (row, values) => command("federation protocol create", ["--identity-provider", row.id], ["--mapping", values.mapping], quoted(values.name ?? "")),
    },
  ],
}
const provider = (row: Row, changes: Row): Promise<any> => ask("identity", "PATCH", `${FEDERATION}/identity_providers/${encodeURIComponent(row.id)}`, { body: { identity_provider: changes } })

const RULES = JSON.stringify([{ remote: [{ type: "HTTP_OIDC_SUB" }], local: [{ user: { name: "{0}" } }] }], null, 1)
export const mappings: Spec = {
  ...IDENTITY, name: "admin/mappings", title: "mappings", singular: "mapping", about: "mappings_about", icon: "code", path: `${FEDERATION}/mappings`, member: "mappings", single: "mapping", events: ["identity."], label: (row) => row.id,
  columns: [{ label: "name", value: (row) => row.id }, { label: "rules", kind: "code", value: (row) => JSON.stringify(row.rules) }],
  create: {
    fields: () => [{ name: "id", label: "name", required: true }, { name: "rules", label: "rules", kind: "area", rows: 10, required: true, first: RULES }],
    make: async (values) => ask("identity", "PUT", `${FEDERATION}/mappings/${encodeURIComponent(values.id)}`, { body: { mapping: { rules: JSON.parse(values.rules) } } }), command: (values) => command("mapping create --rules FILE", quoted(values.id ?? "")),
  },
  remove: { command: (row) => command("mapping delete", quoted(row.id)) },
  actions: [
    { key: "edit", label: "rename", fields: (row) => [{ name: "rules", label: "rules", kind: "area", rows: 12, required: true, first: JSON.stringify(row.rules, null, 1) }], run: async (row, values) => ask("identity", "PATCH", `${FEDERATION}/mappings/${encodeURIComponent(row.id)}`, { body: { mapping: { rules: JSON.parse(values.rules) } } }), command: (row) => command("mapping set --rules FILE", quoted(row.id)) },
  ],
}

// What users have beside their passwords (EC2 keys, one-time codes); what is in them isn't shown.
export const credentials: Spec = {
  ...IDENTITY, name: "admin/credentials", title: "credentials", singular: "credential", icon: "key", path: "/v3/credentials", member: "credentials", single: "credential", events: ["identity."], label: (row) => `${row.type} ${row.id.slice(0, 8)}`,
  columns: [{ label: "type", value: (row) => row.type }, { label: "user", kind: "code", value: (row) => row.user_id }, { label: "project", kind: "code", value: (row) => row.project_id }, { label: "id", kind: "code", value: (row) => row.id }],
  remove: { command: (row) => command("credential delete", row.id) },
}

export const changeOwnPassword = (id: string, values: Row): Promise<any> => ask("identity", "POST", `/v3/users/${id}/password`, { body: { user: { original_password: values.original, password: values.password } } })
export const projectName = async (id: string): Promise<string> => (await get("identity", `/v3/projects/${id}`)).project.name

// Words for programs, instead of the user's own password. The secret is told once: it goes into a clouds.yaml that is downloaded.
export const appCredentials: Spec = {
  ...IDENTITY, name: "app-credentials", title: "app_credentials", singular: "app_credential", about: "app_credentials_about", icon: "key", member: "application_credentials", single: "application_credential", events: ["identity.application_credential", "identity."],
  get path() {
    return `/v3/users/${session.about?.user.id}/application_credentials`
  },
  columns: [
    { label: "name", value: (row) => row.name }, { label: "description", value: (row) => row.description }, { label: "roles", kind: "lines", value: (row) => row.roles?.map((role: Row) => role.name) }, { label: "expires", kind: "time", value: (row) => row.expires_at }, { label: "id", kind: "code", value: (row) => row.id },
  ],
  create: {
    fields: () => [{ name: "name", label: "name", required: true }, { name: "description", label: "description" }, { name: "expires_at", label: "expires", placeholder: "2030-01-31T00:00:00" }],
    make: async (values) => {
      const about = session.about!
      const made = (await post(`users/${about.user.id}/application_credentials`, { application_credential: given(values) })).application_credential
      const lines = ["clouds:", `  ${JSON.stringify(values.name)}:`, "    auth_type: v3applicationcredential", "    auth:", `      auth_url: ${JSON.stringify(`${about.auth_url.replace(/\/v3\/?$/, "")}/v3`)}`, `      application_credential_id: ${made.id}`, `      application_credential_secret: ${JSON.stringify(made.secret)}`, `    region_name: ${JSON.stringify(about.region)}`, ""]
      save("clouds.yaml", lines.join("\n"), "application/yaml")
    },
    command: (values) => command("application credential create", ["--description", values.description], ["--expiration", values.expires_at], quoted(values.name ?? "")),
  },
  remove: { command: (row) => command("application credential delete", quoted(row.id)) },
}
