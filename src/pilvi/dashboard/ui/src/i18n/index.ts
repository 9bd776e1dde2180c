// The page's words in the chosen language. Each text stands once, in English and Chinese side by side (text.ts), so neither can lack one.
import { settings } from "../api/settings.svelte.ts"
import { TEXT, type Key } from "./text.ts"

export type { Key }

// The text, with {names} filled in.
export function t(key: Key, facts: Record<string, unknown> = {}): string {
  const words: string = TEXT[key][settings.language === "zh" ? 1 : 0]
  return words.replace(/\{(\w+)\}/g, (_, name: string) => String(facts[name] ?? ""))
}

const locale = (): string => (settings.language === "zh" ? "zh-CN" : "en-GB")

export function time(value: unknown, seconds = false): string {
  if (!value) return "–"
  const text = typeof value === "number" ? value * 1000 : /[zZ]|[+-]\d\d:?\d\d$/.test(String(value)) ? String(value) : `${value}Z`
  const date = new Date(text)
  return isNaN(date.getTime()) ? String(value) : date.toLocaleString(locale(), { dateStyle: "medium", timeStyle: seconds ? "medium" : "short" })
}

export function ago(value: unknown): string {
  if (!value) return "–"
  const text = typeof value === "number" ? value * 1000 : /[zZ]|[+-]\d\d:?\d\d$/.test(String(value)) ? String(value) : `${value}Z`
  const seconds = (new Date(text).getTime() - Date.now()) / 1000
  const steps: [number, Intl.RelativeTimeFormatUnit][] = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]]
  const [size, unit] = steps.find(([each]) => Math.abs(seconds) >= each) ?? [1, "second"]
  return new Intl.RelativeTimeFormat(locale(), { numeric: "auto" }).format(Math.round(seconds / size), unit)
}

export function bytes(value: unknown): string {
  if (value === null || value === undefined || value === "") return "–"
  let amount = Number(value)
  for (const unit of ["B", "KiB", "MiB", "GiB", "TiB"]) {
    if (amount < 1024 || unit === "TiB") return `${number(amount, amount < 10 && unit !== "B" ? 1 : 0)} ${unit}`
    amount /= 1024
  }
  return ""
}

export function number(value: unknown, digits = 0): string {
  return Number(value).toLocaleString(locale(), { maximumFractionDigits: digits })
}

export function duration(seconds: number): string {
  if (seconds < 0.001) return `${number(seconds * 1e6)} µs`
  if (seconds < 1) return `${number(seconds * 1000, seconds < 0.1 ? 1 : 0)} ms`
  return seconds < 120 ? `${number(seconds, 1)} s` : seconds < 7200 ? `${number(seconds / 60)} min` : `${number(seconds / 3600, 1)} h`
}
