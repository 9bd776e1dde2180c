// What a kind of thing is to the page: where its API is, what a list of it shows, how it is made and what can be done to it. One value of
// `Spec` makes a page (components/ResourceTable.svelte); nothing else has to be written for it.
import { ask, get, type Row } from "../api/client.ts"
import { settings } from "../api/settings.svelte.ts"
import type { Key } from "../i18n/text.ts"

export type { Row }
export type Values = Record<string, any>
export interface Option {
  value: string
  label: string
  hint?: string
}

export interface Column {
  label: Key
  value: (row: Row) => any
  kind?: "text" | "status" | "time" | "bytes" | "number" | "flag" | "code" | "lines" | "prose"
  href?: (row: Row) => string | null
  sort?: string // the API's sort key
  title?: (row: Row) => string
}

export interface Field {
  name: string
  label: Key
  kind?: "text" | "number" | "password" | "area" | "select" | "many" | "flag" | "file"
  options?: Option[] | (() => Promise<Option[]>)
  required?: boolean
  first?: unknown // the value at first
  help?: Key
  placeholder?: string
  least?: number
  most?: number
  pattern?: string
  rows?: number
  when?: (values: Values) => boolean
}

export interface Action {
  key: string
  label: Key
  danger?: boolean
  primary?: boolean
  sure?: Key // the question before it is done
  when?: (row: Row) => boolean
  fields?: (row: Row) => Field[]
  note?: (row: Row) => string
  run: (row: Row, values: Values) => Promise<unknown>
  command?: (row: Row, values: Values) => string
  go?: (row: Row) => string // instead of a dialog: a place to go to
}

export interface Spec {
  name: string
  title: Key
  singular: Key
  about?: Key
  icon: string
  service: string
  path: string // of the list
  item?: (row: Row) => string // of one, if not path/id
  one?: (id: string) => string // the path of one by the page's id, if not path/id
  marker?: (row: Row) => string // what the API pages by, if not the id
  member: string // the key of the list in the answer; "" when the answer is the list
  single?: string // the key of one in the answer; "" when it has none
  version?: string
  wrap?: string // each row lies within this key
  id?: (row: Row) => string
  label?: (row: Row) => string
  query?: () => Values
  pages: boolean // does the API page?
  search?: (text: string) => Values // its own search; else only what is loaded is searched
  searched?: Key
  columns: Column[]
  create?: { label?: Key; fields: () => Field[]; make: (values: Values) => Promise<unknown>; command: (values: Values) => string; go?: string }
  remove?: { run?: (row: Row) => Promise<unknown>; command: (row: Row) => string; when?: (row: Row) => boolean; sure?: Key; label?: Key }
  actions?: Action[]
  events: string[]
  busy?: (row: Row) => boolean // will it change by itself?
  details?: boolean // has a page of its own at /NAME/ID
}

export const idOf = (spec: Spec, row: Row): string => (spec.id ? spec.id(row) : row.id)
export const labelOf = (spec: Spec, row: Row): string => (spec.label ? spec.label(row) : row.name || row.id)

export interface Page {
  rows: Row[]
  more: boolean
}

export interface Wish {
  marker?: string
  sort?: string
  downwards?: boolean
  search?: string
  filter?: Values
  limit?: number
}

// One page of a list. Where the API does not page, all of it.
export async function list(spec: Spec, wish: Wish = {}): Promise<Page> {
  const limit = wish.limit ?? settings.rows
  const query: Values = { ...spec.query?.(), ...wish.filter }
  if (wish.search && spec.search) Object.assign(query, spec.search(wish.search))
  if (wish.sort) sortBy(spec, query, wish.sort, wish.downwards ? "desc" : "asc")
  if (spec.pages) Object.assign(query, { limit: limit + 1, marker: wish.marker })
  const answer = await get(spec.service, spec.path, query, spec.version)
  const found: Row[] = ((spec.member ? answer[spec.member] : answer) ?? []).map((row: Row) => (spec.wrap ? row[spec.wrap] : row))
  return spec.pages ? { rows: found.slice(0, limit), more: found.length > limit } : { rows: found, more: false }
}

function sortBy(spec: Spec, query: Values, key: string, direction: string): void {
  if (spec.service === "block-storage") query.sort = `${key}:${direction}`
  else Object.assign(query, { sort_key: key, sort_dir: direction })
}

// All of a list, page by page, up to `most`: for choosing from.
export async function all(spec: Spec, filter: Values = {}, most = 1000): Promise<Row[]> {
  const rows: Row[] = []
  let more = true
  while (more && rows.length < most) {
    const page = await list(spec, { filter, limit: 200, marker: rows.length ? markerOf(spec, rows[rows.length - 1]) : undefined })
    rows.push(...page.rows)
    more = page.more
  }
  return rows
}

export async function show(spec: Spec, id: string): Promise<Row> {
  const answer = await get(spec.service, spec.one?.(id) ?? `${spec.path.replace(/\/detail$/, "")}/${encodeURIComponent(id)}`, {}, spec.version)
  const single = spec.single ?? spec.member.replace(/s$/, "")
  return single ? answer[single] : answer
}

export const markerOf = (spec: Spec, row: Row): string => (spec.marker ? spec.marker(row) : idOf(spec, row))
export const pathOf = (spec: Spec, row: Row): string => spec.item?.(row) ?? `${spec.path.replace(/\/detail$/, "")}/${encodeURIComponent(idOf(spec, row))}`
export const remove = (spec: Spec, row: Row): Promise<unknown> => spec.remove?.run?.(row) ?? ask(spec.service, "DELETE", pathOf(spec, row), { version: spec.version })

// Options of a select: the things of another list.
export const choices =
  (spec: () => Spec, label?: (row: Row) => string, keep: (row: Row) => boolean = () => true, filter: Values = {}) =>
  async (): Promise<Option[]> =>
    (await all(spec(), filter)).filter(keep).map((row) => ({ value: idOf(spec(), row), label: label ? label(row) : labelOf(spec(), row) }))

// What is left of the values without the empty ones.
export const given = (values: Values): Values => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== "" && value !== undefined && value !== null))
