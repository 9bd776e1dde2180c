// Networks, subnets, ports, routers, security groups, floating IPs. Source: Networking API v2.0.
import { ask, get } from "../api/client.ts"
import { command, quoted } from "../api/notices.svelte.ts"
import { session } from "../api/session.svelte.ts"
import { projects } from "./identity.ts"
import { all, choices, given, type Row, type Spec } from "./spec.ts"

const put = (path: string, body: Row): Promise<any> => ask("network", "PUT", `/v2.0/${path}`, { body })
const post = (path: string, body: Row): Promise<any> => ask("network", "POST", `/v2.0/${path}`, { body })
const mine = (row: Row): boolean => session.isAdmin || row.project_id === session.about?.project.id
const short = (id: string): string => id?.slice(0, 8)
const NETWORK = { service: "network", pages: true }

export const networks: Spec = {
  ...NETWORK, name: "networks", title: "networks", singular: "network", icon: "network", path: "/v2.0/networks", member: "networks", single: "network", details: true, events: ["network.", "subnet."],
  columns: [
    { label: "name", value: (row) => row.name || short(row.id), sort: "name" }, { label: "status", kind: "status", value: (row) => row.status }, { label: "subnets", kind: "number", value: (row) => row.subnets?.length },
    { label: "shared", kind: "flag", value: (row) => row.shared }, { label: "external", kind: "flag", value: (row) => row["router:external"] }, { label: "mtu", kind: "number", value: (row) => row.mtu }, { label: "created", kind: "time", value: (row) => row.created_at },
  ],
  create: {
    fields: () => [
      { name: "name", label: "name", required: true }, { name: "cidr", label: "subnet_cidr", placeholder: "192.168.10.0/24", help: "subnet_cidr_help" }, { name: "gateway_ip", label: "gateway", when: (values) => Boolean(values.cidr), placeholder: "192.168.10.1" },
      { name: "enable_dhcp", label: "dhcp", kind: "flag", first: true, when: (values) => Boolean(values.cidr) }, { name: "dns", label: "dns_servers", help: "comma_separated", when: (values) => Boolean(values.cidr) },
    ],
    make: async (values) => {
      const made = (await post("networks", { network: { name: values.name } })).network
      if (!values.cidr) return
      try {
        await post("subnets", { subnet: { ...given({ gateway_ip: values.gateway_ip }), network_id: made.id, name: values.name, cidr: values.cidr, ip_version: values.cidr.includes(":") ? 6 : 4, enable_dhcp: values.enable_dhcp, dns_nameservers: words(values.dns) } })
      } catch (failure) {
        await ask("network", "DELETE", `/v2.0/networks/${made.id}`)
        throw failure
      }
    },
    command: (values) => command("network create", quoted(values.name ?? "")) + (values.cidr ? `; ${command("subnet create", ["--network", values.name], ["--subnet-range", values.cidr], ["--gateway", values.gateway_ip], values.enable_dhcp ? "" : "--no-dhcp", ["--dns-nameserver", words(values.dns)], quoted(values.name ?? ""))}` : ""),
  },
  remove: { when: mine, command: (row) => command("network delete", quoted(row.name || row.id)) },
  actions: [{ key: "rename", label: "rename", when: mine, fields: (row) => [{ name: "name", label: "name", first: row.name }], run: (row, values) => put(`networks/${row.id}`, { network: values }), command: (row, values) => command("network set", ["--name", values.name], row.id) }],
}
export const words = (text: unknown): string[] => String(text ?? "").split(/[\s,]+/).filter(Boolean)

export const subnetsOf = (network: Row): Spec => ({
  ...NETWORK, name: "subnets", title: "subnets", singular: "subnet", icon: "network", path: "/v2.0/subnets", member: "subnets", single: "subnet", query: () => ({ network_id: network.id }), events: ["subnet."],
  columns: [{ label: "name", value: (row) => row.name || short(row.id) }, { label: "cidr", kind: "code", value: (row) => row.cidr }, { label: "gateway", kind: "code", value: (row) => row.gateway_ip }, { label: "dhcp", kind: "flag", value: (row) => row.enable_dhcp }, { label: "dns_servers", kind: "lines", value: (row) => row.dns_nameservers }, { label: "pools", kind: "lines", value: (row) => row.allocation_pools?.map((pool: Row) => `${pool.start} – ${pool.end}`) }],
  create: {
    fields: () => [{ name: "cidr", label: "cidr", required: true, placeholder: "192.168.20.0/24" }, { name: "name", label: "name" }, { name: "gateway_ip", label: "gateway" }, { name: "enable_dhcp", label: "dhcp", kind: "flag", first: true }, { name: "dns", label: "dns_servers", help: "comma_separated" }],
    make: ({ dns, ...values }) => post("subnets", { subnet: { ...given(values), network_id: network.id, ip_version: values.cidr.includes(":") ? 6 : 4, dns_nameservers: words(dns) } }),
    command: (values) => command("subnet create", ["--network", network.name], ["--subnet-range", values.cidr], ["--gateway", values.gateway_ip], values.enable_dhcp ? "" : "--no-dhcp", ["--dns-nameserver", words(values.dns)], quoted(values.name || "SUBNET")),
  },
  remove: { when: mine, command: (row) => command("subnet delete", quoted(row.name || row.id)) },
})

const PORT_COLUMNS: Spec["columns"] = [
  { label: "name", value: (row) => row.name || short(row.id) }, { label: "addresses", kind: "lines", value: (row) => row.fixed_ips?.map((each: Row) => each.ip_address) }, { label: "mac", kind: "code", value: (row) => row.mac_address },
  { label: "status", kind: "status", value: (row) => row.status }, { label: "attached_to", value: (row) => (row.device_owner ? `${row.device_owner.split(":").pop()} ${short(row.device_id)}` : ""), href: (row) => (row.device_owner?.startsWith("compute:") ? `/servers/${row.device_id}` : row.device_owner?.startsWith("network:router") ? `/routers/${row.device_id}` : null) },
]
export const portsOf = (network: Row): Spec => ({
  ...NETWORK, name: "ports", title: "ports", singular: "port", icon: "network", path: "/v2.0/ports", member: "ports", single: "port", query: () => ({ network_id: network.id }), events: ["port."], columns: PORT_COLUMNS,
  create: {
    fields: () => [{ name: "name", label: "name" }, { name: "ip", label: "address" }, { name: "security_groups", label: "security_groups", kind: "many", options: choices(() => securityGroups) }],
    make: (values) => post("ports", { port: { network_id: network.id, name: values.name, ...(values.ip ? { fixed_ips: [{ ip_address: values.ip }] } : {}), ...(values.security_groups?.length ? { security_groups: values.security_groups } : {}) } }),
    command: (values) => command("port create", ["--network", network.name], ["--fixed-ip", values.ip ? `ip-address=${values.ip}` : ""], ["--security-group", values.security_groups], quoted(values.name || "PORT")),
  },
  remove: { when: (row) => mine(row) && !row.device_owner?.startsWith("network:"), command: (row) => command("port delete", row.id) },
})

export const routers: Spec = {
  ...NETWORK, name: "routers", title: "routers", singular: "router", icon: "router", path: "/v2.0/routers", member: "routers", single: "router", details: true, events: ["router."],
  columns: [{ label: "name", value: (row) => row.name || short(row.id), sort: "name" }, { label: "status", kind: "status", value: (row) => row.status }, { label: "external_address", kind: "lines", value: (row) => row.external_gateway_info?.external_fixed_ips?.map((each: Row) => each.ip_address) }, { label: "admin_state", kind: "flag", value: (row) => row.admin_state_up }],
  create: {
    fields: () => [{ name: "name", label: "name", required: true }, { name: "network", label: "external_network", kind: "select", options: choices(() => networks, undefined, () => true, { "router:external": true }) }],
    make: (values) => post("routers", { router: { name: values.name, ...(values.network ? { external_gateway_info: { network_id: values.network } } : {}) } }),
    command: (values) => command("router create", ["--external-gateway", values.network], quoted(values.name ?? "")),
  },
  remove: { command: (row) => command("router delete", quoted(row.name || row.id)) },
  actions: [
    {
      key: "gateway", label: "set_gateway", when: (row) => !row.external_gateway_info, fields: () => [{ name: "network", label: "external_network", kind: "select", required: true, options: choices(() => networks, undefined, () => true, { "router:external": true }) }],
      run: (row, values) => put(`routers/${row.id}`, { router: { external_gateway_info: { network_id: values.network } } }), command: (row, values) => command("router set", ["--external-gateway", values.network], quoted(row.name)),
    },
    { key: "nogateway", label: "clear_gateway", sure: "clear_gateway_sure", when: (row) => row.external_gateway_info, run: (row) => put(`routers/${row.id}`, { router: { external_gateway_info: null } }), command: (row) => command("router unset --external-gateway", quoted(row.name)) },
    {
      key: "subnet", label: "add_interface", fields: () => [{ name: "subnet", label: "subnet", kind: "select", required: true, options: subnetChoices }],
      run: (row, values) => put(`routers/${row.id}/add_router_interface`, { subnet_id: values.subnet }), command: (row, values) => command("router add subnet", quoted(row.name), quoted(values.subnet ?? "")),
    },
  ],
}
const subnetChoices = async () => (await get("network", "/v2.0/subnets")).subnets.map((row: Row) => ({ value: row.id, label: `${row.name || short(row.id)} (${row.cidr})` }))

export const interfacesOfRouter = (router: Row): Spec => ({
  ...NETWORK, name: "router-interfaces", title: "interfaces", singular: "interface", icon: "network", path: "/v2.0/ports", member: "ports", query: () => ({ device_id: router.id }), events: ["port.", "router."],
  columns: [...PORT_COLUMNS.slice(0, 4), { label: "network", kind: "code", value: (row) => short(row.network_id), href: (row) => `/networks/${row.network_id}` }, { label: "type", value: (row) => row.device_owner }],
  create: { label: "add_interface", fields: () => [{ name: "subnet", label: "subnet", kind: "select", required: true, options: subnetChoices }], make: (values) => put(`routers/${router.id}/add_router_interface`, { subnet_id: values.subnet }), command: (values) => command("router add subnet", quoted(router.name), quoted(values.subnet ?? "")) },
  remove: { when: (row) => row.device_owner === "network:router_interface", run: (row) => put(`routers/${router.id}/remove_router_interface`, { port_id: row.id }), command: (row) => command("router remove port", quoted(router.name), row.id) },
})

export const securityGroups: Spec = {
  ...NETWORK, name: "security-groups", title: "security_groups", singular: "security_group", icon: "shield", path: "/v2.0/security-groups", member: "security_groups", single: "security_group", details: true, events: ["security_group."],
  query: () => ({ project_id: session.about?.project.id }),
  columns: [{ label: "name", value: (row) => row.name, sort: "name" }, { label: "description", value: (row) => row.description }, { label: "rules", kind: "number", value: (row) => row.security_group_rules?.length }],
  create: {
    fields: () => [{ name: "name", label: "name", required: true }, { name: "description", label: "description" }],
    make: (values) => post("security-groups", { security_group: values }), command: (values) => command("security group create", ["--description", values.description], quoted(values.name ?? "")),
  },
  remove: { when: (row) => row.name !== "default", command: (row) => command("security group delete", quoted(row.name)) },
  actions: [{ key: "rename", label: "rename", when: (row) => row.name !== "default", fields: (row) => [{ name: "name", label: "name", required: true, first: row.name }, { name: "description", label: "description", first: row.description }], run: (row, values) => put(`security-groups/${row.id}`, { security_group: values }), command: (row, values) => command("security group set", ["--name", values.name], ["--description", values.description], row.id) }],
}

const DIRECTIONS = ["ingress", "egress"].map((value) => ({ value, label: value }))
const PROTOCOLS = ["tcp", "udp", "icmp"].map((value) => ({ value, label: value }))
export const rulesOf = (group: Row): Spec => ({
  ...NETWORK, name: "rules", title: "rules", singular: "rule", icon: "shield", path: "/v2.0/security-group-rules", member: "security_group_rules", query: () => ({ security_group_id: group.id }), events: ["security_group_rule."],
  label: (row) => `${row.direction} ${row.protocol ?? "any"} ${ports(row)}`,
  columns: [
    { label: "direction", value: (row) => row.direction }, { label: "ether_type", value: (row) => row.ethertype }, { label: "protocol", value: (row) => row.protocol ?? "any" }, { label: "port_range", kind: "code", value: ports },
    { label: "remote", kind: "code", value: (row) => row.remote_ip_prefix ?? (row.remote_group_id ? `sg:${short(row.remote_group_id)}` : "any"), href: (row) => (row.remote_group_id ? `/security-groups/${row.remote_group_id}` : null) }, { label: "description", value: (row) => row.description },
  ],
  create: {
    label: "add_rule",
    fields: () => [
      { name: "direction", label: "direction", kind: "select", required: true, options: DIRECTIONS, first: "ingress" }, { name: "protocol", label: "protocol", kind: "select", options: PROTOCOLS, first: "tcp" },
      { name: "low", label: "port_from", kind: "number", least: 0, most: 65535, when: (values) => ["tcp", "udp"].includes(values.protocol) }, { name: "high", label: "port_to", kind: "number", least: 0, most: 65535, when: (values) => ["tcp", "udp"].includes(values.protocol) },
      { name: "remote_ip_prefix", label: "remote_prefix", placeholder: "0.0.0.0/0", when: (values) => !values.remote_group_id }, { name: "remote_group_id", label: "remote_group", kind: "select", options: choices(() => securityGroups) }, { name: "description", label: "description" },
    ],
    make: ({ low, high, ...values }) => {
      const tells = ["tcp", "udp"].includes(values.protocol) ? { port_range_min: low, port_range_max: high === "" || high == null ? low : high } : {}
      return post("security-group-rules", { security_group_rule: { ...given({ ...values, ...tells, remote_ip_prefix: values.remote_group_id ? "" : values.remote_ip_prefix }), security_group_id: group.id, ethertype: values.remote_ip_prefix?.includes(":") ? "IPv6" : "IPv4" } })
    },
    command: (values) => command("security group rule create", `--${values.direction ?? "ingress"}`, ["--protocol", values.protocol], ["--dst-port", values.low ? `${values.low}${values.high ? `:${values.high}` : ""}` : ""], ["--remote-ip", values.remote_group_id ? "" : values.remote_ip_prefix], ["--remote-group", values.remote_group_id], quoted(group.name)),
  },
  remove: { command: (row) => command("security group rule delete", row.id) },
})
function ports(row: Row): string {
  if (row.port_range_min === null || row.port_range_min === undefined) return "any"
  return row.port_range_min === row.port_range_max ? String(row.port_range_min) : `${row.port_range_min}–${row.port_range_max}`
}

export const floatingIps: Spec = {
  ...NETWORK, name: "floating-ips", title: "floating_ips", singular: "floating_ip", icon: "address", path: "/v2.0/floatingips", member: "floatingips", single: "floatingip", label: (row) => row.floating_ip_address, events: ["floatingip."],
  columns: [{ label: "address", kind: "code", value: (row) => row.floating_ip_address, sort: "floating_ip_address" }, { label: "status", kind: "status", value: (row) => row.status }, { label: "fixed_address", kind: "code", value: (row) => row.fixed_ip_address }, { label: "attached_to", kind: "code", value: (row) => (row.port_details?.device_id ? short(row.port_details.device_id) : row.port_id ? short(row.port_id) : ""), href: (row) => (row.port_details?.device_owner?.startsWith("compute:") ? `/servers/${row.port_details.device_id}` : null) }, { label: "created", kind: "time", value: (row) => row.created_at }],
  create: {
    label: "allocate_address", fields: () => [{ name: "network", label: "external_network", kind: "select", required: true, options: choices(() => networks, undefined, () => true, { "router:external": true }) }, { name: "description", label: "description" }],
    make: (values) => post("floatingips", { floatingip: { floating_network_id: values.network, ...given({ description: values.description }) } }), command: (values) => command("floating ip create", ["--description", values.description], quoted(values.network ?? "")),
  },
  remove: { label: "release", command: (row) => command("floating ip delete", row.floating_ip_address) },
  actions: [
    {
      key: "associate", label: "associate", when: (row) => !row.port_id,
      fields: () => [{ name: "port", label: "port", kind: "select", required: true, options: async () => (await all(portsOfServers)).map((row) => ({ value: row.id, label: `${row.fixed_ips?.[0]?.ip_address ?? ""} · ${row.name || short(row.device_id)}` })) }],
      run: (row, values) => put(`floatingips/${row.id}`, { floatingip: { port_id: values.port } }), command: (row, values) => command("floating ip set", ["--port", values.port], row.floating_ip_address),
    },
    { key: "free", label: "disassociate", sure: "disassociate_sure", when: (row) => row.port_id, run: (row) => put(`floatingips/${row.id}`, { floatingip: { port_id: null } }), command: (row) => command("floating ip unset --port", row.floating_ip_address) },
  ],
}
const portsOfServers: Spec = { ...NETWORK, name: "ports", title: "ports", singular: "port", icon: "network", path: "/v2.0/ports", member: "ports", query: () => ({ device_owner: "compute:nova" }), columns: PORT_COLUMNS, events: [] }

const SHARINGS = ["access_as_shared", "access_as_external"].map((value) => ({ value, label: value }))
export const rbacPolicies: Spec = {
  ...NETWORK, name: "admin/rbac-policies", title: "rbac_policies", singular: "rbac_policy", about: "rbac_policies_about", icon: "shield", path: "/v2.0/rbac-policies", member: "rbac_policies", single: "rbac_policy", events: ["rbac_policy.", "network."],
  label: (row) => `${row.action} ${short(row.object_id)}`,
  columns: [
    { label: "network", kind: "code", value: (row) => short(row.object_id), href: (row) => `/networks/${row.object_id}` }, { label: "action", value: (row) => row.action }, { label: "shared_with", kind: "code", value: (row) => (row.target_tenant === "*" ? "*" : short(row.target_tenant)) },
    { label: "project", kind: "code", value: (row) => short(row.project_id) }, { label: "id", kind: "code", value: (row) => row.id },
  ],
  create: {
    fields: () => [
      { name: "object_id", label: "network", kind: "select", required: true, options: choices(() => networks) }, { name: "action", label: "action", kind: "select", required: true, options: SHARINGS, first: "access_as_shared" },
      { name: "target", label: "shared_with", kind: "select", options: choices(() => projects), help: "shared_with_help" },
    ],
    make: ({ target, ...values }) => post("rbac-policies", { rbac_policy: { ...values, object_type: "network", target_tenant: target || "*" } }),
    command: (values) => command("network rbac create --type network", ["--action", values.action], values.target ? ["--target-project", values.target] : "--target-all-projects", quoted(values.object_id ?? "")),
  },
  remove: { command: (row) => command("network rbac delete", row.id) },
}
