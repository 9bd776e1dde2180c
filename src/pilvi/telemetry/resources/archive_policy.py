"""Archive policies and the rules that choose one by a metric's name.

Source: Gnocchi REST API, "Archive policy", "Archive policy rule". Everybody may read them, administrators change them.
"""
from __future__ import annotations

from fnmatch import fnmatch
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core.context import Call
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.telemetry import archive, errors
from pilvi.telemetry.resources.tables import ArchivePolicy, ArchivePolicyRule, Metric
from pilvi.telemetry.timespan import length

NAME = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[^/]+$"}
LINES = {"type": "array", "minItems": 1, "maxItems": 32, "items": {
    "type": "object", "minProperties": 1, "additionalProperties": False,
    "properties": {"granularity": {"type": ["string", "number"]}, "timespan": {"type": ["string", "number"]},
                   "points": {"type": ["integer", "string"], "minimum": 1, "pattern": "^[1-9][0-9]{0,9}$"}}}}
WINDOW = {"type": ["integer", "string"], "minimum": 0, "maximum": 10_000_000, "pattern": "^[0-9]{1,7}$"}
CREATE = {"type": "object", "required": ["name", "definition"], "additionalProperties": False, "properties": {
    "name": NAME, "definition": LINES, "back_window": WINDOW,
    "aggregation_methods": {"type": "array", "items": {"type": "string", "maxLength": 20}, "maxItems": 500}}}
UPDATE = {"type": "object", "required": ["definition"], "additionalProperties": False,
          "properties": {"definition": LINES, "back_window": WINDOW}}
CREATE_RULE = {"type": "object", "required": ["name", "metric_pattern", "archive_policy_name"], "additionalProperties": False,
               "properties": {"name": NAME, "metric_pattern": NAME, "archive_policy_name": NAME}}
UPDATE_RULE = {"type": "object", "required": ["name"], "additionalProperties": False, "properties": {"name": NAME}}


def furnish(db: Session) -> None:
    """Makes the built-in policies, and the rule by which every metric finds one, where they are missing. Repeatable."""
    known = set(db.scalars(select(ArchivePolicy.name)))
    for name, (window, levels, methods) in archive.BUILT_IN.items():
        if name in known: continue
        lines = archive.definition({"granularity": granularity, "timespan": span} for granularity, span in levels)
        db.add(ArchivePolicy(name=name, back_window=window, definition=lines, aggregation_methods=list(methods)))
    if db.get(ArchivePolicyRule, "default") is None and not known:
        db.add(ArchivePolicyRule(name="default", metric_pattern="*", archive_policy_name="low"))


def body_of(row: ArchivePolicy) -> dict[str, Any]:
    """As the API shows it."""
    return {"name": row.name, "back_window": row.back_window, "aggregation_methods": list(row.aggregation_methods),
            "definition": [archive.shown(line) for line in row.definition]}


def _lines(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    def read(index: int, line: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {"points": int(line["points"])} if "points" in line else {}
        for name in ("granularity", "timespan"):
            if name not in line: continue
            try: found[name] = length(line[name])
            except ValueError as failure: raise errors.invalid(str(failure), "definition", index, name) from None
        return found

    try: return archive.definition(read(index, line) for index, line in enumerate(given))
    except ValueError as failure: raise errors.Malformed(reason=str(failure)) from None


def find(call: Call, name: str) -> ArchivePolicy:
    """The policy. Raises ArchivePolicyUnknown."""
    assert call.db is not None
    row = call.db.get(ArchivePolicy, name)
    if row is None: raise errors.ArchivePolicyUnknown(name=name)
    return row


def list_policies(call: Call) -> Any:
    """GET /v1/archive_policy"""
    assert call.db is not None
    return [body_of(row) for row in call.db.scalars(select(ArchivePolicy).order_by(ArchivePolicy.name))]


def show_policy(call: Call, name: str) -> Any:
    """GET /v1/archive_policy/{name}"""
    return body_of(find(call, name))


def create_policy(call: Call) -> Response:
    """POST /v1/archive_policy"""
    assert call.db is not None
    body = call.body
    words = body.get("aggregation_methods", sorted(archive.DEFAULT))
    for index, word in enumerate(words):
        if word not in archive.WRITABLE: raise errors.invalid("value is not allowed", "aggregation_methods", index)
    lines = _lines(body["definition"])
    if call.db.get(ArchivePolicy, body["name"]) is not None: raise errors.ArchivePolicyExists(name=body["name"])
    row = ArchivePolicy(name=body["name"], back_window=int(body.get("back_window", 0)), definition=lines,
                        aggregation_methods=sorted(archive.methods_of(words)))
    call.db.add(row)
    call.db.flush()
    return Response(201, body_of(row), {"Location": call.url(f"/v1/archive_policy/{row.name}")})


def update_policy(call: Call, name: str) -> Any:
    """PATCH: only how long each granularity is kept, and the back window, can change."""
    row = find(call, name)
    lines = sorted(_lines(call.body["definition"]), key=lambda line: line["granularity"])
    old = sorted(row.definition, key=lambda line: line["granularity"])
    if len(lines) != len(old): raise errors.ArchivePolicyFixed(name=name, reason="Cannot add or drop granularities")
    for before, after in zip(old, lines, strict=True):
        if before["granularity"] != after["granularity"]:
            raise errors.ArchivePolicyFixed(name=name, reason=f"{float(after['granularity'])} granularity interval was changed")
    row.definition = lines
    row.back_window = int(call.body.get("back_window", row.back_window))
    return body_of(row)


def delete_policy(call: Call, name: str) -> None:
    """DELETE: refused while a metric or a rule names it."""
    assert call.db is not None
    row = find(call, name)
    for user in (Metric.archive_policy_name, ArchivePolicyRule.archive_policy_name):
        if call.db.execute(select(user).where(user == name).limit(1)).first(): raise errors.ArchivePolicyInUse(name=name)
    call.db.delete(row)


def _rule(call: Call, name: str) -> ArchivePolicyRule:
    assert call.db is not None
    row = call.db.get(ArchivePolicyRule, name)
    if row is None: raise errors.RuleUnknown(name=name)
    return row


def _rule_body(row: ArchivePolicyRule) -> dict[str, Any]:
    return {"name": row.name, "metric_pattern": row.metric_pattern, "archive_policy_name": row.archive_policy_name}


def list_rules(call: Call) -> Any:
    """GET /v1/archive_policy_rule: in the order in which they are tried, the longest pattern first"""
    assert call.db is not None
    return [_rule_body(row) for row in _ordered(call.db)]


def _ordered(db: Session) -> list[ArchivePolicyRule]:
    return sorted(db.scalars(select(ArchivePolicyRule)), key=lambda row: (-len(row.metric_pattern), row.metric_pattern))


def policy_for(db: Session, metric_name: str | None) -> str | None:
    """The policy that the rules choose for a metric's name."""
    return next((row.archive_policy_name for row in _ordered(db) if fnmatch(metric_name or "", row.metric_pattern)), None)


def show_rule(call: Call, name: str) -> Any:
    """GET /v1/archive_policy_rule/{name}"""
    return _rule_body(_rule(call, name))


def create_rule(call: Call) -> Response:
    """POST /v1/archive_policy_rule"""
    assert call.db is not None
    body = call.body
    if call.db.get(ArchivePolicy, body["archive_policy_name"]) is None:
        name = body["archive_policy_name"]
        raise errors.ArchivePolicyNotThere(name=name, description={"cause": "Archive policy does not exist", "detail": name})
    if call.db.get(ArchivePolicyRule, body["name"]) is not None: raise errors.RuleExists(name=body["name"])
    row = ArchivePolicyRule(**body)
    call.db.add(row)
    call.db.flush()
    return Response(201, _rule_body(row), {"Location": call.url(f"/v1/archive_policy_rule/{row.name}")})


def rename_rule(call: Call, name: str) -> Any:
    """PATCH /v1/archive_policy_rule/{name}"""
    assert call.db is not None
    row, new = _rule(call, name), call.body["name"]
    if new != name and call.db.get(ArchivePolicyRule, new) is not None: raise errors.RuleFixed(name=name, new=new)
    row.name = new
    return _rule_body(row)


def delete_rule(call: Call, name: str) -> None:
    """DELETE /v1/archive_policy_rule/{name}"""
    assert call.db is not None
    call.db.delete(_rule(call, name))


RULES = {f"{verb} {noun}": Rule("@" if verb in ("get", "list") else "role:admin")
         for noun in ("archive policy", "archive policy rule") for verb in ("get", "list", "create", "update", "delete")}
ROUTES = [
    Route("/v1/archive_policy", "GET", list_policies, "list archive policy", transaction="read"),
    Route("/v1/archive_policy", "POST", create_policy, "create archive policy", transaction="write", body=CREATE),
    Route("/v1/archive_policy/{name}", "GET", show_policy, "get archive policy", transaction="read"),
    Route("/v1/archive_policy/{name}", "PATCH", update_policy, "update archive policy", transaction="write", body=UPDATE),
    Route("/v1/archive_policy/{name}", "DELETE", delete_policy, "delete archive policy", transaction="write", status=204),
    Route("/v1/archive_policy_rule", "GET", list_rules, "list archive policy rule", transaction="read"),
    Route("/v1/archive_policy_rule", "POST", create_rule, "create archive policy rule", transaction="write", body=CREATE_RULE),
    Route("/v1/archive_policy_rule/{name}", "GET", show_rule, "get archive policy rule", transaction="read"),
    Route("/v1/archive_policy_rule/{name}", "PATCH", rename_rule, "update archive policy rule", transaction="write", body=UPDATE_RULE),
    Route("/v1/archive_policy_rule/{name}", "DELETE", delete_rule, "delete archive policy rule", transaction="write", status=204),
]
