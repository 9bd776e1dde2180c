// Servers, flavors, key pairs, server groups; for administrators hosts and aggregates. Source: Compute API 2.1 with microversions.
import { ask, get } from "../api/client.ts"
import { command, quoted } from "../api/notices.svelte.ts"
import { session } from "../api/session.svelte.ts"
import { choices, given, type Row, type Spec } from "./spec.ts"
import { networks, floatingIps, securityGroups } from "./network.ts"
import { images } from "./image.ts"
import { volumes } from "./volume.ts"

const action = (row: Row, body: Row): Promise<any> => ask("compute", "POST", `/v2.1/servers/${row.id}/action`, { body })
const idle = (row: Row): boolean => !row["OS-EXT-STS:task_state"]
const is = (...states: string[]) => (row: Row): boolean => idle(row) && states.includes(row.status)
const server = (verb: string, ...more: string[]) => (row: Row): string => ["openstack server", verb, ...more, quoted(row.name)].join(" ")

export const addresses = (row: Row): string[] => Object.values<Row[]>(row.addresses ?? {}).flat().map((each) => each.addr)
export const flavorText = (row: Row): string => (row.flavor?.original_name ? `${row.flavor.original_name}` : (row.flavor?.id ?? ""))

export const servers: Spec = {
  name: "servers", title: "servers", singular: "server", icon: "server", service: "compute", path: "/v2.1/servers/detail", member: "servers", single: "server", pages: true,
  search: (text) => (/^\d+(\.\d+){1,3}$/.test(text) ? { ip: text } : { name: text }), searched: "search_name_or_address",
  details: true, events: ["compute.instance"], busy: (row) => Boolean(row["OS-EXT-STS:task_state"]) || row.status === "BUILD",
  columns: [
    { label: "name", value: (row) => row.name, sort: "name" },
    { label: "status", kind: "status", value: (row) => row["OS-EXT-STS:task_state"] ?? row.status, title: (row) => row.fault?.message ?? row.status },
    { label: "addresses", kind: "lines", value: addresses },
    { label: "flavor", value: (row) => (row.flavor?.original_name ? `${row.flavor.original_name} · ${row.flavor.vcpus} vCPU · ${row.flavor.ram} MiB` : "") },
    { label: "zone", value: (row) => row["OS-EXT-AZ:availability_zone"] },
    { label: "created", kind: "time", value: (row) => row.created, sort: "created_at" },
  ],
  create: { label: "launch_server", fields: () => [], make: async () => undefined, command: () => "", go: "/launch" },
  remove: { command: server("delete") },
  actions: [
    { key: "console", label: "console", when: is("ACTIVE", "PAUSED"), go: (row) => `/servers/${row.id}?tab=console`, run: async () => undefined },
    { key: "start", label: "start", when: is("SHUTOFF"), run: (row) => action(row, { "os-start": null }), command: server("start") },
    { key: "stop", label: "stop", when: is("ACTIVE", "ERROR"), run: (row) => action(row, { "os-stop": null }), command: server("stop") },
    { key: "reboot", label: "reboot", when: is("ACTIVE"), run: (row) => action(row, { reboot: { type: "SOFT" } }), command: server("reboot") },
    { key: "hard", label: "reboot_hard", sure: "reboot_hard_sure", when: is("ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED", "ERROR"), run: (row) => action(row, { reboot: { type: "HARD" } }), command: server("reboot", "--hard") },
    { key: "pause", label: "pause", when: is("ACTIVE"), run: (row) => action(row, { pause: null }), command: server("pause") },
    { key: "unpause", label: "unpause", when: is("PAUSED"), run: (row) => action(row, { unpause: null }), command: server("unpause") },
    { key: "suspend", label: "suspend", when: is("ACTIVE"), run: (row) => action(row, { suspend: null }), command: server("suspend") },
    { key: "resume", label: "resume", when: is("SUSPENDED"), run: (row) => action(row, { resume: null }), command: server("resume") },
    {
      key: "image", label: "make_image", when: (row) => is("ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED")(row) && Boolean(row.image),
      fields: (row) => [{ name: "name", label: "name", required: true, first: row.name }],
      run: (row, values) => action(row, { createImage: { name: values.name } }), command: (row, values) => command("server image create", ["--name", values.name], quoted(row.name)),
    },
    {
      key: "rebuild", label: "rebuild", danger: true, when: (row) => is("ACTIVE", "SHUTOFF", "ERROR")(row) && Boolean(row.image),
      fields: (row) => [{ name: "image", label: "image", kind: "select", required: true, help: "rebuild_help", first: row.image?.id, options: choices(() => images, undefined, (one) => one.status === "active") }],
      run: (row, values) => action(row, { rebuild: { imageRef: values.image } }), command: (row, values) => command("server rebuild", ["--image", values.image], quoted(row.name)),
    },
    {
      key: "resize", label: "resize", when: is("ACTIVE", "SHUTOFF"),
      fields: (row) => [{ name: "flavor", label: "flavor", kind: "select", required: true, options: choices(() => flavors, (each) => `${each.name} · ${each.vcpus} vCPU · ${each.ram} MiB · ${each.disk} GiB`, (each) => each.name !== flavorText(row) && (!row.image || each.disk >= row.flavor.disk)) }],
      run: (row, values) => action(row, { resize: { flavorRef: values.flavor } }), command: (row, values) => command("server resize", ["--flavor", values.flavor], quoted(row.name)),
    },
    { key: "confirm", label: "confirm_resize", when: is("VERIFY_RESIZE"), run: (row) => action(row, { confirmResize: null }), command: server("resize confirm") },
    { key: "revert", label: "revert_resize", sure: "revert_resize_sure", when: is("VERIFY_RESIZE"), run: (row) => action(row, { revertResize: null }), command: server("resize revert") },
    {
      key: "rename", label: "rename", fields: (row) => [{ name: "name", label: "name", required: true, first: row.name }, { name: "description", label: "description", first: row.description ?? "" }],
      run: (row, values) => ask("compute", "PUT", `/v2.1/servers/${row.id}`, { body: { server: { name: values.name, description: values.description || null } } }),
      command: (row, values) => command("server", "set", ["--name", values.name], ["--description", values.description], quoted(row.name)),
    },
    {
      key: "volume", label: "attach_volume", when: is("ACTIVE", "SHUTOFF", "PAUSED"),
      fields: () => [{ name: "volume", label: "volume", kind: "select", required: true, options: choices(() => volumes, (row) => `${row.name || row.id} (${row.size} GiB)`, (row) => row.status === "available") }],
      run: (row, values) => ask("compute", "POST", `/v2.1/servers/${row.id}/os-volume_attachments`, { body: { volumeAttachment: { volumeId: values.volume } } }),
      command: (row, values) => command("server add volume", quoted(row.name), quoted(values.volume ?? "")),
    },
    {
      key: "interface", label: "attach_interface", when: is("ACTIVE", "SHUTOFF", "PAUSED"),
      fields: () => [{ name: "network", label: "network", kind: "select", required: true, options: choices(() => networks, undefined, (row) => !row["router:external"]) }],
      run: (row, values) => ask("compute", "POST", `/v2.1/servers/${row.id}/os-interface`, { body: { interfaceAttachment: { net_id: values.network } } }),
      command: (row, values) => command("server add network", quoted(row.name), quoted(values.network ?? "")),
    },
    {
      key: "floating", label: "associate_address", when: (row) => addresses(row).length > 0,
      fields: () => [{ name: "address", label: "floating_ip", kind: "select", required: true, options: choices(() => floatingIps, (row) => row.floating_ip_address, (row) => !row.port_id) }],
      run: async (row, values) => {
        const ports = (await get("network", "/v2.0/ports", { device_id: row.id })).ports
        await ask("network", "PUT", `/v2.0/floatingips/${values.address}`, { body: { floatingip: { port_id: ports[0].id } } })
      },
      command: (row, values) => command("server add floating ip", quoted(row.name), quoted(values.address ?? "")),
    },
    {
      key: "lock", label: "lock", when: (row) => !row.locked, fields: () => [{ name: "reason", label: "reason" }],
      run: (row, values) => action(row, { lock: values.reason ? { locked_reason: values.reason } : null }), command: (row, values) => command("server lock", ["--reason", values.reason], quoted(row.name)),
    },
    { key: "unlock", label: "unlock", when: (row) => row.locked, run: (row) => action(row, { unlock: null }), command: server("unlock") },
    {
      key: "reset", label: "reset_state", danger: true, when: () => session.isAdmin,
      fields: () => [{ name: "state", label: "status", kind: "select", required: true, options: [{ value: "active", label: "active" }, { value: "error", label: "error" }] }],
      run: (row, values) => action(row, { "os-resetState": { state: values.state } }), command: (row, values) => command("server set", ["--state", values.state], quoted(row.name)),
    },
  ],
}

export const allServers: Spec = {
  ...servers, name: "admin/servers", title: "all_servers", details: false, query: () => ({ all_tenants: 1 }), create: undefined,
  columns: [
    { ...servers.columns[0], href: (row) => `/servers/${row.id}` }, servers.columns[1],
    { label: "project", kind: "code", value: (row) => row.tenant_id.slice(0, 8), title: (row) => row.tenant_id },
    { label: "host", value: (row) => row["OS-EXT-SRV-ATTR:host"] }, servers.columns[2], servers.columns[3], servers.columns[5],
  ],
}

export const keypairs: Spec = {
  name: "keypairs", title: "keypairs", singular: "keypair", about: "keypairs_about", icon: "key", service: "compute", path: "/v2.1/os-keypairs", member: "keypairs", wrap: "keypair",
  id: (row) => row.name, pages: false, events: ["compute.keypair"],
  columns: [{ label: "name", value: (row) => row.name }, { label: "type", value: (row) => row.type }, { label: "fingerprint", kind: "code", value: (row) => row.fingerprint }],
  create: {
    label: "add_keypair",
    fields: () => [
      { name: "name", label: "name", required: true },
      { name: "public_key", label: "public_key", kind: "area", rows: 4, help: "public_key_help", placeholder: "ssh-ed25519 AAAA…" },
    ],
    make: async (values) => {
      const made = (await ask("compute", "POST", "/v2.1/os-keypairs", { body: { keypair: given({ name: values.name, public_key: values.public_key?.trim() }) } })).keypair
      if (made.private_key) save(`${values.name}.pem`, made.private_key)
    },
    command: (values) => (values.public_key ? command("keypair create", ["--public-key", "KEY.pub"], quoted(values.name ?? "")) : command("keypair create", quoted(values.name ?? ""), `> ${quoted(`${values.name ?? ""}.pem`)}`)),
  },
  remove: { command: (row) => command("keypair delete", quoted(row.name)) },
}

// Gives the user a file that was made here.
export function save(name: string, text: string, type = "text/plain"): void {
  const url = URL.createObjectURL(new Blob([text], { type }))
  const link = Object.assign(document.createElement("a"), { href: url, download: name })
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 1000)
}

const POLICIES = ["anti-affinity", "affinity", "soft-anti-affinity", "soft-affinity"].map((value) => ({ value, label: value }))
export const serverGroups: Spec = {
  name: "server-groups", title: "server_groups", singular: "server_group", about: "server_groups_about", icon: "group", service: "compute", path: "/v2.1/os-server-groups", member: "server_groups", pages: false,
  events: ["compute.server_group"],
  columns: [{ label: "name", value: (row) => row.name }, { label: "policy", value: (row) => row.policy ?? row.policies?.join(", ") }, { label: "members", kind: "number", value: (row) => row.members?.length }],
  create: {
    fields: () => [{ name: "name", label: "name", required: true }, { name: "policy", label: "policy", kind: "select", required: true, options: POLICIES, first: "anti-affinity" }],
    make: (values) => ask("compute", "POST", "/v2.1/os-server-groups", { body: { server_group: { name: values.name, policy: values.policy } } }),
    command: (values) => command("server group create", ["--policy", values.policy], quoted(values.name ?? "")),
  },
  remove: { command: (row) => command("server group delete", quoted(row.id)) },
}

export const flavors: Spec = {
  name: "admin/flavors", title: "flavors", singular: "flavor", icon: "flavor", service: "compute", path: "/v2.1/flavors/detail", member: "flavors", pages: true,
  query: () => (session.isAdmin ? { is_public: "None" } : {}), events: ["compute.flavor"],
  columns: [
    { label: "name", value: (row) => row.name }, { label: "vcpus", kind: "number", value: (row) => row.vcpus }, { label: "memory", kind: "bytes", value: (row) => row.ram * 1048576 },
    { label: "disk", kind: "bytes", value: (row) => row.disk * 1073741824 }, { label: "public", kind: "flag", value: (row) => row["os-flavor-access:is_public"] },
    { label: "extra_specs", kind: "lines", value: (row) => Object.entries(row.extra_specs ?? {}).map(([key, value]) => `${key}=${value}`) },
  ],
  create: {
    fields: () => [
      { name: "name", label: "name", required: true }, { name: "vcpus", label: "vcpus", kind: "number", required: true, least: 1, first: 1 }, { name: "ram", label: "memory_mib", kind: "number", required: true, least: 1, first: 512 },
      { name: "disk", label: "disk_gib", kind: "number", required: true, least: 0, first: 1 }, { name: "public", label: "public", kind: "flag", first: true },
    ],
    make: ({ public: open, ...values }) => ask("compute", "POST", "/v2.1/flavors", { body: { flavor: { ...values, "os-flavor-access:is_public": open } } }),
    command: (values) => command("flavor create", ["--vcpus", values.vcpus], ["--ram", values.ram], ["--disk", values.disk], values.public ? "" : "--private", quoted(values.name ?? "")),
  },
  remove: { command: (row) => command("flavor delete", quoted(row.name)) },
}

export const hypervisors: Spec = {
  name: "admin/hosts", title: "hosts", singular: "host", about: "hosts_about", icon: "host", service: "compute", path: "/v2.1/os-hypervisors/detail", member: "hypervisors", version: "compute 2.87", pages: true,
  label: (row) => row.hypervisor_hostname, events: ["compute.host", "compute.instance"],
  columns: [
    { label: "name", value: (row) => row.hypervisor_hostname }, { label: "status", kind: "status", value: (row) => (row.state === "up" ? (row.status === "enabled" ? "up" : "disabled") : "down") },
    { label: "type", value: (row) => row.hypervisor_type }, { label: "address", value: (row) => row.host_ip }, { label: "servers", kind: "number", value: (row) => row.running_vms },
    { label: "vcpus_used", value: (row) => `${row.vcpus_used} / ${row.vcpus}` }, { label: "memory_used", value: (row) => `${row.memory_mb_used} / ${row.memory_mb} MiB` }, { label: "disk_used", value: (row) => `${row.local_gb_used} / ${row.local_gb} GiB` },
  ],
  actions: [
    { key: "disable", label: "disable", when: (row) => row.status === "enabled", fields: () => [{ name: "reason", label: "reason" }], run: (row, values) => ask("compute", "PUT", `/v2.1/os-services/${row.service.id}`, { body: { status: "disabled", ...(values.reason ? { disabled_reason: values.reason } : {}) } }), command: (row, values) => command("compute service set --disable", ["--disable-reason", values.reason], quoted(row.service.host), "nova-compute") },
    { key: "enable", label: "enable", when: (row) => row.status !== "enabled", run: (row) => ask("compute", "PUT", `/v2.1/os-services/${row.service.id}`, { body: { status: "enabled" } }), command: (row) => command("compute service set --enable", quoted(row.service.host), "nova-compute") },
  ],
}

export const aggregates: Spec = {
  name: "admin/aggregates", title: "aggregates", singular: "aggregate", icon: "group", service: "compute", path: "/v2.1/os-aggregates", member: "aggregates", pages: false, events: ["compute.aggregate", "aggregate"],
  columns: [{ label: "name", value: (row) => row.name }, { label: "zone", value: (row) => row.availability_zone }, { label: "hosts", kind: "lines", value: (row) => row.hosts }, { label: "metadata", kind: "lines", value: (row) => Object.entries(row.metadata ?? {}).map(([key, value]) => `${key}=${value}`) }],
  create: {
    fields: () => [{ name: "name", label: "name", required: true }, { name: "availability_zone", label: "zone" }],
    make: (values) => ask("compute", "POST", "/v2.1/os-aggregates", { body: { aggregate: given(values) } }), command: (values) => command("aggregate create", ["--zone", values.availability_zone], quoted(values.name ?? "")),
  },
  remove: { command: (row) => command("aggregate delete", quoted(row.name)) },
  actions: [
    { key: "add", label: "add_host", fields: () => [{ name: "host", label: "host", kind: "select", required: true, options: async () => (await get("compute", "/v2.1/os-hypervisors/detail", {}, "compute 2.87")).hypervisors.map((row: Row) => ({ value: row.service.host, label: row.hypervisor_hostname })) }], run: (row, values) => ask("compute", "POST", `/v2.1/os-aggregates/${row.id}/action`, { body: { add_host: { host: values.host } } }), command: (row, values) => command("aggregate add host", quoted(row.name), quoted(values.host ?? "")) },
    { key: "remove", label: "remove_host", when: (row) => row.hosts?.length > 0, fields: (row) => [{ name: "host", label: "host", kind: "select", required: true, options: row.hosts.map((value: string) => ({ value, label: value })) }], run: (row, values) => ask("compute", "POST", `/v2.1/os-aggregates/${row.id}/action`, { body: { remove_host: { host: values.host } } }), command: (row, values) => command("aggregate remove host", quoted(row.name), quoted(values.host ?? "")) },
  ],
}

// What runs where: the workers of compute, block storage and networks.
export const services: Spec = {
  name: "admin/services", title: "services", singular: "service", about: "services_about", icon: "host", service: "compute", path: "/v2.1/os-services", member: "services", pages: false, label: (row) => `${row.binary} ${row.host}`, events: ["compute.service", "compute.host"],
  columns: [{ label: "name", value: (row) => row.binary }, { label: "host", value: (row) => row.host }, { label: "zone", value: (row) => row.zone }, { label: "status", kind: "status", value: (row) => row.state }, { label: "enabled", kind: "flag", value: (row) => row.status === "enabled" }, { label: "reason", value: (row) => row.disabled_reason }, { label: "changed", kind: "time", value: (row) => row.updated_at }],
}
export const volumeServices: Spec = {
  ...services, name: "volume-services", title: "volume_services", service: "block-storage", path: "/v3/os-services", about: undefined, id: (row) => `${row.binary} ${row.host}`,
}
export const agents: Spec = {
  name: "agents", title: "agents", singular: "agent", icon: "network", service: "network", path: "/v2.0/agents", member: "agents", pages: false, label: (row) => `${row.binary} ${row.host}`, events: ["agent."],
  columns: [{ label: "name", value: (row) => row.agent_type }, { label: "host", value: (row) => row.host }, { label: "status", kind: "status", value: (row) => (row.alive ? "up" : "down") }, { label: "enabled", kind: "flag", value: (row) => row.admin_state_up }, { label: "changed", kind: "time", value: (row) => row.heartbeat_timestamp }],
}

// The things that hang on one server.
export const interfacesOf = (id: string): Spec => ({
  name: "interfaces", title: "interfaces", singular: "interface", icon: "network", service: "compute", path: `/v2.1/servers/${id}/os-interface`, member: "interfaceAttachments", pages: false, id: (row) => row.port_id, label: (row) => row.mac_addr,
  events: ["network.port", "port.", "compute.instance"],
  columns: [
    { label: "addresses", kind: "lines", value: (row) => row.fixed_ips?.map((each: Row) => each.ip_address) }, { label: "mac", kind: "code", value: (row) => row.mac_addr },
    { label: "network", kind: "code", value: (row) => row.net_id.slice(0, 8), href: (row) => `/networks/${row.net_id}` }, { label: "status", kind: "status", value: (row) => row.port_state },
  ],
  create: {
    label: "attach", fields: () => [{ name: "network", label: "network", kind: "select", required: true, options: choices(() => networks, undefined, (row) => !row["router:external"]) }],
    make: (values) => ask("compute", "POST", `/v2.1/servers/${id}/os-interface`, { body: { interfaceAttachment: { net_id: values.network } } }), command: (values) => command("server add network", id, quoted(values.network ?? "")),
  },
  remove: { label: "detach", command: (row) => command("server remove port", id, row.port_id) },
})

export const attachmentsOf = (id: string): Spec => ({
  name: "attachments", title: "volumes", singular: "volume", icon: "volume", service: "compute", path: `/v2.1/servers/${id}/os-volume_attachments`, member: "volumeAttachments", pages: false, id: (row) => row.volumeId, label: (row) => row.volumeId,
  events: ["volume.", "compute.instance"],
  columns: [{ label: "volume", kind: "code", value: (row) => row.volumeId, href: (row) => `/volumes/${row.volumeId}` }, { label: "device", kind: "code", value: (row) => row.device }, { label: "deleted_with_server", kind: "flag", value: (row) => row.delete_on_termination }],
  create: {
    label: "attach", fields: () => [{ name: "volume", label: "volume", kind: "select", required: true, options: choices(() => volumes, (row) => `${row.name || row.id} (${row.size} GiB)`, (row) => row.status === "available") }],
    make: (values) => ask("compute", "POST", `/v2.1/servers/${id}/os-volume_attachments`, { body: { volumeAttachment: { volumeId: values.volume } } }), command: (values) => command("server add volume", id, quoted(values.volume ?? "")),
  },
  remove: { label: "detach", command: (row) => command("server remove volume", id, row.volumeId) },
})

export const actionsOf = (id: string): Spec => ({
  name: "actions", title: "action_log", singular: "action", icon: "file", service: "compute", path: `/v2.1/servers/${id}/os-instance-actions`, member: "instanceActions", pages: false, id: (row) => row.request_id, events: ["compute.instance"],
  columns: [
    { label: "action", value: (row) => row.action }, { label: "started", kind: "time", value: (row) => row.start_time }, { label: "finished", kind: "time", value: (row) => row.updated_at },
    { label: "result", kind: "status", value: (row) => row.message ?? "ok" }, { label: "request", kind: "code", value: (row) => row.request_id },
  ],
})

export { securityGroups }
