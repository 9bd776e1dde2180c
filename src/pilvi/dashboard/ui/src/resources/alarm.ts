// Alarms. Source: Alarming API v2.
import { ask } from "../api/client.ts"
import { command, quoted } from "../api/notices.svelte.ts"
import { servers } from "./compute.ts"
import { choices, type Row, type Spec } from "./spec.ts"

const METERS = ["cpu", "memory.usage", "memory.resident", "power.state"].map((value) => ({ value, label: value }))
const COMPARISONS = [["gt", ">"], ["ge", "≥"], ["lt", "<"], ["le", "≤"], ["eq", "="], ["ne", "≠"]].map(([value, label]) => ({ value, label }))
const METHODS = ["mean", "max", "min", "rate:mean", "last", "count"].map((value) => ({ value, label: value }))
const SEVERITIES = ["low", "moderate", "critical"].map((value) => ({ value, label: value }))
const rule = (row: Row): Row => row[`${row.type}_rule`] ?? {}
const words = (row: Row): string => (rule(row).metric ? `${rule(row).aggregation_method ?? ""} ${rule(row).metric} ${COMPARISONS.find((each) => each.value === rule(row).comparison_operator)?.label ?? ""} ${rule(row).threshold}` : (rule(row).event_type ?? row.type))
const replaced = (row: Row, change: Row): Promise<any> => ask("alarming", "PUT", `/v2/alarms/${row.alarm_id}`, { body: { ...row, ...change } })

export const alarms: Spec = {
  name: "alarms", title: "alarms", singular: "alarm", about: "alarms_about", icon: "bell", service: "alarming", path: "/v2/alarms", member: "", pages: true, id: (row) => row.alarm_id, events: ["telemetry.", "alarm."],
  columns: [
    { label: "name", value: (row) => row.name }, { label: "status", kind: "status", value: (row) => row.state, title: (row) => row.state_reason }, { label: "rule", value: words }, { label: "severity", value: (row) => row.severity },
    { label: "enabled", kind: "flag", value: (row) => row.enabled }, { label: "changed", kind: "time", value: (row) => row.state_timestamp }, { label: "reason", value: (row) => row.state_reason },
  ],
  create: {
    fields: () => [
      { name: "name", label: "name", required: true }, { name: "resource_id", label: "server", kind: "select", required: true, options: choices(() => servers) }, { name: "metric", label: "metric", kind: "select", required: true, options: METERS, first: "cpu" },
      { name: "aggregation_method", label: "method", kind: "select", required: true, options: METHODS, first: "rate:mean", help: "method_help" }, { name: "comparison_operator", label: "comparison", kind: "select", required: true, options: COMPARISONS, first: "gt" },
      { name: "threshold", label: "threshold", kind: "number", required: true }, { name: "granularity", label: "granularity", kind: "number", required: true, least: 1, first: 300 }, { name: "evaluation_periods", label: "periods", kind: "number", required: true, least: 1, first: 1 },
      { name: "severity", label: "severity", kind: "select", required: true, options: SEVERITIES, first: "low" }, { name: "action", label: "call_on_alarm", placeholder: "https://…", help: "call_help" },
    ],
    make: ({ name, severity, action, ...values }) =>
      ask("alarming", "POST", "/v2/alarms", { body: { name, severity, type: "gnocchi_resources_threshold", alarm_actions: action ? [action] : [], gnocchi_resources_threshold_rule: { ...values, resource_type: "instance" } } }),
    command: (values) => command("alarm create --type gnocchi_resources_threshold", ["--name", values.name], "--resource-type instance", ["--resource-id", values.resource_id], ["--metric", values.metric], ["--aggregation-method", values.aggregation_method], ["--comparison-operator", values.comparison_operator], ["--threshold", values.threshold], ["--granularity", values.granularity], ["--evaluation-periods", values.evaluation_periods], ["--alarm-action", values.action]),
  },
  remove: { command: (row) => command("alarm delete", row.alarm_id) },
  actions: [
    { key: "disable", label: "disable", when: (row) => row.enabled, run: (row) => replaced(row, { enabled: false }), command: (row) => command("alarm update --enabled false", quoted(row.alarm_id)) },
    { key: "enable", label: "enable", when: (row) => !row.enabled, run: (row) => replaced(row, { enabled: true }), command: (row) => command("alarm update --enabled true", quoted(row.alarm_id)) },
  ],
}
