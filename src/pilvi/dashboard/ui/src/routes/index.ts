// All places of the page: what the navigation lists, and which component shows which address.
import type { Component } from "svelte"
import type { Key } from "../i18n/text.ts"
import { aggregates, allServers, flavors, hypervisors, keypairs, serverGroups, servers } from "../resources/compute.ts"
import { appCredentials, credentials, domains, groups, identityProviders, mappings, projects, roles, users } from "../resources/identity.ts"
import { images } from "../resources/image.ts"
import { alarms } from "../resources/alarm.ts"
import { containers } from "../resources/container.ts"
import { resourceTypes, stacks, templateVersions } from "../resources/stack.ts"
import { floatingIps, networks, rbacPolicies, routers, securityGroups } from "../resources/network.ts"
import type { Spec } from "../resources/spec.ts"
import { allVolumes, snapshots, volumes, volumeTypes } from "../resources/volume.ts"

interface Place {
  path: string
  title: Key
  icon: string
  service?: string // shown only where the cloud has it
}
interface Group {
  title: Key
  admin?: boolean
  places: Place[]
}

const place = (spec: Spec): Place => ({ path: `/${spec.name}`, title: spec.title, icon: spec.icon, service: spec.service })

export const NAVIGATION: Group[] = [
  { title: "group_home", places: [{ path: "/", title: "overview", icon: "overview" }, { path: "/api-access", title: "api_access", icon: "code" }, place(appCredentials)] },
  { title: "group_compute", places: [place(servers), place(images), place(keypairs), place(serverGroups)] },
  { title: "group_storage", places: [place(volumes), place(snapshots), place(containers)] },
  { title: "group_network", places: [{ path: "/topology", title: "topology", icon: "topology", service: "network" }, place(networks), place(routers), place(securityGroups), place(floatingIps)] },
  { title: "group_more", places: [place(stacks), place(resourceTypes), place(templateVersions), place(alarms), { path: "/bill", title: "bill", icon: "bill", service: "rating" }] },
  { title: "group_admin", admin: true, places: [place(allServers), place(allVolumes), place(hypervisors), place(aggregates), place(flavors), place(volumeTypes), place(rbacPolicies), { path: "/admin/system", title: "system", icon: "chart" }] },
  { title: "group_identity", admin: true, places: [place(projects), place(users), place(groups), place(roles), place(domains), place(credentials), place(identityProviders), place(mappings)] },
]

interface Found {
  key: string // a change of it makes the page anew
  title: Key
  admin: boolean
  load: () => Promise<{ component: Component<any>; props: Record<string, unknown> }>
}

const LISTS = [appCredentials, containers, stacks, alarms, servers, images, keypairs, serverGroups, volumes, snapshots, networks, routers, securityGroups, floatingIps, allServers, allVolumes, hypervisors, aggregates, flavors, volumeTypes, projects, users, groups, roles, domains, resourceTypes, templateVersions, rbacPolicies, credentials, identityProviders, mappings]
type Load = () => Promise<{ default: Component<any> }>
const PAGES: Record<string, [Key, Load]> = {
  "/": ["overview", () => import("./Overview.svelte")],
  "/launch": ["launch_server", () => import("./Launch.svelte")],
  "/upload": ["upload_image", () => import("./Upload.svelte")],
  "/topology": ["topology", () => import("./Topology.svelte")],
  "/api-access": ["api_access", () => import("./ApiAccess.svelte")],
  "/stack": ["launch_stack", () => import("./LaunchStack.svelte")],
  "/bill": ["bill", () => import("./Bill.svelte")],
  "/admin/system": ["system", () => import("./System.svelte")],
  "/settings": ["settings", () => import("./Settings.svelte")],
}
const DETAILS: Record<string, Load> = {
  servers: () => import("./Server.svelte"),
  images: () => import("./Image.svelte"),
  containers: () => import("./Container.svelte"),
  stacks: () => import("./Stack.svelte"),
  "resource-types": () => import("./ResourceType.svelte"),
  "template-versions": () => import("./TemplateVersion.svelte"),
  volumes: () => import("./Volume.svelte"),
  networks: () => import("./Network.svelte"),
  routers: () => import("./Router.svelte"),
  "security-groups": () => import("./SecurityGroup.svelte"),
  "admin/projects": () => import("./Project.svelte"),
  "admin/groups": () => import("./Group.svelte"),
}

// What shows an address; null: nothing does.
export function find(path: string): Found | null {
  const page = PAGES[path]
  if (page) return { key: path, title: page[0], admin: path.startsWith("/admin/"), load: async () => ({ component: (await page[1]()).default, props: {} }) }
  const list = LISTS.find((spec) => path === `/${spec.name}`)
  if (list) return { key: path, title: list.title, admin: list.name.startsWith("admin/"), load: async () => ({ component: (await import("../components/ResourceTable.svelte")).default, props: { spec: list } }) }
  const one = LISTS.find((spec) => spec.details && path.startsWith(`/${spec.name}/`))
  if (!one) return null
  const id = decodeURIComponent(path.slice(one.name.length + 2))
  return { key: path, title: one.singular, admin: one.name.startsWith("admin/"), load: async () => ({ component: (await DETAILS[one.name]()).default, props: { id } }) }
}

