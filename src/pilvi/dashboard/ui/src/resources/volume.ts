// Volumes, snapshots, volume types. Source: Block Storage API 3.
import { ask } from "../api/client.ts"
import { command, quoted } from "../api/notices.svelte.ts"
import { session } from "../api/session.svelte.ts"
import { images } from "./image.ts"
import { choices, given, type Row, type Spec } from "./spec.ts"
import { servers } from "./compute.ts"

const action = (row: Row, body: Row): Promise<any> => ask("block-storage", "POST", `/v3/volumes/${row.id}/action`, { body })
const moving = (row: Row): boolean => /ing$/.test(row.status)

export const volumes: Spec = {
  name: "volumes", title: "volumes", singular: "volume", icon: "volume", service: "block-storage", path: "/v3/volumes/detail", member: "volumes", single: "volume", pages: true, details: true, events: ["volume."], busy: moving,
  search: (text) => ({ "name~": text }), searched: "search_name",
  columns: [
    { label: "name", value: (row) => row.name || row.id, sort: "name" }, { label: "status", kind: "status", value: (row) => row.status, sort: "status" }, { label: "size", value: (row) => `${row.size} GiB`, sort: "size" }, { label: "type", value: (row) => row.volume_type },
    { label: "attached_to", kind: "lines", value: (row) => row.attachments?.map((each: Row) => `${each.server_id.slice(0, 8)} ${each.device ?? ""}`), href: (row) => (row.attachments?.length === 1 ? `/servers/${row.attachments[0].server_id}` : null) },
    { label: "bootable", kind: "flag", value: (row) => row.bootable === "true" }, { label: "created", kind: "time", value: (row) => row.created_at, sort: "created_at" },
  ],
  create: {
    fields: () => [
      { name: "name", label: "name" }, { name: "size", label: "size_gib", kind: "number", required: true, least: 1, first: 1 },
      { name: "imageRef", label: "from_image", kind: "select", options: choices(() => images, undefined, (row) => row.status === "active") }, { name: "snapshot_id", label: "from_snapshot", kind: "select", options: choices(() => snapshots), when: (values) => !values.imageRef },
      { name: "volume_type", label: "type", kind: "select", options: choices(() => volumeTypes) }, { name: "description", label: "description" },
    ],
    make: (values) => ask("block-storage", "POST", "/v3/volumes", { body: { volume: given({ ...values, snapshot_id: values.imageRef ? "" : values.snapshot_id }) } }),
    command: (values) => command("volume create", ["--size", values.size], ["--image", values.imageRef], ["--snapshot", values.imageRef ? "" : values.snapshot_id], ["--type", values.volume_type], quoted(values.name || "VOLUME")),
  },
  remove: { when: (row) => !row.attachments?.length && !moving(row), command: (row) => command("volume delete", quoted(row.name || row.id)) },
  actions: [
    { key: "edit", label: "rename", fields: (row) => [{ name: "name", label: "name", first: row.name }, { name: "description", label: "description", first: row.description ?? "" }], run: (row, values) => ask("block-storage", "PUT", `/v3/volumes/${row.id}`, { body: { volume: values } }), command: (row, values) => command("volume set", ["--name", values.name], row.id) },
    { key: "extend", label: "extend", when: (row) => row.status === "available", fields: (row) => [{ name: "size", label: "size_gib", kind: "number", required: true, least: row.size + 1, first: row.size + 1 }], run: (row, values) => action(row, { "os-extend": { new_size: values.size } }), command: (row, values) => command("volume set", ["--size", values.size], quoted(row.name || row.id)) },
    {
      key: "attach", label: "attach_to_server", when: (row) => row.status === "available", fields: () => [{ name: "server", label: "server", kind: "select", required: true, options: choices(() => servers) }],
      run: (row, values) => ask("compute", "POST", `/v2.1/servers/${values.server}/os-volume_attachments`, { body: { volumeAttachment: { volumeId: row.id } } }), command: (row, values) => command("server add volume", quoted(values.server ?? ""), quoted(row.name || row.id)),
    },
    { key: "detach", label: "detach", sure: "detach_sure", when: (row) => row.status === "in-use", run: (row) => ask("compute", "DELETE", `/v2.1/servers/${row.attachments[0].server_id}/os-volume_attachments/${row.id}`), command: (row) => command("server remove volume", row.attachments?.[0]?.server_id ?? "", quoted(row.name || row.id)) },
    { key: "snapshot", label: "make_snapshot", when: (row) => ["available", "in-use"].includes(row.status), fields: () => [{ name: "name", label: "name", required: true }], run: (row, values) => ask("block-storage", "POST", "/v3/snapshots", { body: { snapshot: { volume_id: row.id, name: values.name, force: true } } }), command: (row, values) => command("volume snapshot create", ["--volume", row.name || row.id], quoted(values.name ?? "")) },
    { key: "image", label: "make_image", when: (row) => row.status === "available", fields: () => [{ name: "name", label: "name", required: true }], run: (row, values) => action(row, { "os-volume_upload_image": { image_name: values.name, disk_format: "qcow2", container_format: "bare" } }), command: (row, values) => command("image create", ["--volume", row.name || row.id], quoted(values.name ?? "")) },
  ],
}

export const snapshots: Spec = {
  name: "snapshots", title: "snapshots", singular: "snapshot", icon: "snapshot", service: "block-storage", path: "/v3/snapshots/detail", member: "snapshots", single: "snapshot", pages: true, events: ["snapshot.", "volume."], busy: moving,
  search: (text) => ({ "name~": text }), searched: "search_name",
  columns: [{ label: "name", value: (row) => row.name || row.id, sort: "name" }, { label: "status", kind: "status", value: (row) => row.status }, { label: "size", value: (row) => `${row.size} GiB` }, { label: "volume", kind: "code", value: (row) => row.volume_id.slice(0, 8), href: (row) => `/volumes/${row.volume_id}` }, { label: "created", kind: "time", value: (row) => row.created_at, sort: "created_at" }],
  create: {
    fields: () => [{ name: "volume_id", label: "volume", kind: "select", required: true, options: choices(() => volumes) }, { name: "name", label: "name", required: true }],
    make: (values) => ask("block-storage", "POST", "/v3/snapshots", { body: { snapshot: { ...values, force: true } } }), command: (values) => command("volume snapshot create", ["--volume", values.volume_id], quoted(values.name ?? "")),
  },
  remove: { when: (row) => !moving(row), command: (row) => command("volume snapshot delete", quoted(row.name || row.id)) },
  actions: [
    { key: "volume", label: "make_volume", when: (row) => row.status === "available", fields: (row) => [{ name: "name", label: "name", required: true }, { name: "size", label: "size_gib", kind: "number", required: true, least: row.size, first: row.size }], run: (row, values) => ask("block-storage", "POST", "/v3/volumes", { body: { volume: { ...values, snapshot_id: row.id } } }), command: (row, values) => command("volume create", ["--snapshot", row.name || row.id], ["--size", values.size], quoted(values.name ?? "")) },
  ],
}

export const volumeTypes: Spec = {
  name: "admin/volume-types", title: "volume_types", singular: "volume_type", icon: "volume", service: "block-storage", path: "/v3/types", member: "volume_types", single: "volume_type", pages: false, events: ["volume_type"],
  id: (row) => row.name, item: (row) => `/v3/types/${row.id}`,
  columns: [{ label: "name", value: (row) => row.name }, { label: "description", value: (row) => row.description }, { label: "public", kind: "flag", value: (row) => row.is_public }, { label: "extra_specs", kind: "lines", value: (row) => Object.entries(row.extra_specs ?? {}).map(([key, value]) => `${key}=${value}`) }],
  create: {
    fields: () => [{ name: "name", label: "name", required: true }, { name: "description", label: "description" }],
    make: (values) => ask("block-storage", "POST", "/v3/types", { body: { volume_type: given(values) } }), command: (values) => command("volume type create", ["--description", values.description], quoted(values.name ?? "")),
  },
  remove: { when: () => session.isAdmin, command: (row) => command("volume type delete", quoted(row.name)) },
}

export const allVolumes: Spec = {
  ...volumes, name: "admin/volumes", title: "all_volumes", details: false, create: undefined, query: () => ({ all_tenants: 1 }),
  columns: [{ ...volumes.columns[0], href: (row) => `/volumes/${row.id}` }, volumes.columns[1], { label: "project", kind: "code", value: (row) => row["os-vol-tenant-attr:tenant_id"]?.slice(0, 8) }, { label: "host", value: (row) => row["os-vol-host-attr:host"] }, ...volumes.columns.slice(2)],
}
