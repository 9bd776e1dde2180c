"""What a request would make or change, without doing it.

Source: Orchestration API, "Preview stack", "Preview stack update".
"""
from __future__ import annotations

import dataclasses
from typing import Any

from pilvi.core.context import Call
from pilvi.orchestration.errors import TooManyResources
from pilvi.orchestration.resources.stack_request import Request
from pilvi.orchestration.resources.tables import Stack, StackResource
from pilvi.orchestration.stack import live
from pilvi.orchestration.stack.plan import Plan, Planned, plan, pseudo
from pilvi.orchestration.template import values
from pilvi.orchestration.template.parse import RESOURCES_MOST
from pilvi.orchestration.types.heat.nested import NestedType
from pilvi.orchestration.types.interface import Place, present_names, take_all

NO_ID = "None"


def stack(call: Call, made: Plan, name: str, request: Request) -> dict[str, Any]:
    """A stack that is not there yet, with the resources it would have."""
    assert call.request is not None
    href = call.url(f"/v1/{call.project_id}/stacks/{name}/{NO_ID}")
    return {
        "id": NO_ID, "stack_name": name, "description": made.template.description, "template_description": made.template.description,
        "links": [{"href": href, "rel": "self"}], "parent": None, "creation_time": None, "updated_time": None, "deletion_time": None,
        "stack_owner": call.identity.user_name or None, "stack_user_project_id": None, "capabilities": [], "notification_topics": [],
        "timeout_mins": request.timeout(), "disable_rollback": bool(request.flag("disable_rollback", True)), "tags": request.tags(),
        "parameters": made.values.shown(), "resources": _resources(call, made, name, None, [RESOURCES_MOST])}


def _resources(call: Call, made: Plan, stack_name: str, parent: str | None, left: list[int]) -> list[Any]:
    """`left`: how many resources the stack may still have, nested ones counted too."""
    left[0] -= len(made.resources)
    if left[0] < 0: raise TooManyResources(most=RESOURCES_MOST)
    after = made.required_by()
    found: list[Any] = []
    for name, one in made.resources.items():
        child = _child(call, made, one, stack_name)
        if child is not None: found.append(_resources(call, child, f"{stack_name}-{name}", name, left))
        else: found.append(_resource(call, one, stack_name, parent, sorted(after.get(name, ()))))
    return found


def _child(call: Call, made: Plan, one: Planned, stack_name: str) -> Plan | None:
    if not isinstance(one.type, NestedType): return None
    given = present_names(one.type.properties, values.known(one.preview))
    properties = {key: given.get(key) for key in one.type.properties} if _lacks(one) else take_all(one.type.properties, given)
    child = one.type.child(one.definition.name, properties, Place(made.environment, made.files, made.depth), {})
    inner = dataclasses.replace(child.environment, parameters={key: value for key, value in child.parameters.items() if value is not None})
    return plan(child.template, made.files, inner, pseudo(NO_ID, f"{stack_name}-{one.definition.name}", call.project_id), strict=False,
                depth=made.depth + 1)


def _lacks(one: Planned) -> bool:
    """Is a required property not known yet?"""
    known = present_names(one.type.properties, values.known(one.preview))
    return any(rules.required and known.get(name) is None for name, rules in one.type.properties.items())


def _resource(call: Call, one: Planned, stack_name: str, parent: str | None, required_by: list[str]) -> dict[str, Any]:
    name = one.definition.name
    where = {"stack_name": stack_name, "stack_id": NO_ID, "tenant": call.project_id}
    told = {
        "resource_name": name, "resource_type": one.definition.type, "resource_action": "INIT", "resource_status": "COMPLETE",
        "resource_status_reason": "", "physical_resource_id": "", "description": one.definition.description, "creation_time": None,
        "updated_time": None, "stack_name": stack_name, "metadata": values.known(one.preview.get("metadata") or {}),
        "attributes": {attribute: "" for attribute in one.type.attributes if attribute != "show"}, "properties": shown_properties(one),
        "resource_identity": {**where, "path": f"/resources/{name}"}, "stack_identity": {**where, "path": ""}, "required_by": required_by}
    return told | ({"parent_resource": parent} if parent else {})


def shown_properties(one: Planned) -> dict[str, Any]:
    """The properties with their defaults; those that nobody knows yet are None."""
    given = present_names(one.type.properties, one.preview)
    return {key: values.known(given.get(key, rules.default)) for key, rules in one.type.properties.items()}


def changes(call: Call, current: Stack, made: Plan) -> dict[str, list[Any]]:
    """{unchanged, updated, replaced, added, deleted: resources}"""
    assert call.application is not None
    with call.application.database.read() as db: rows = live.current_rows(db, current.id)
    after = made.required_by()
    found: dict[str, list[Any]] = {kind: [] for kind in ("unchanged", "updated", "replaced", "added", "deleted")}
    for name, one in made.resources.items():
        told = _resource(call, one, current.name, None, sorted(after.get(name, ()))) | _identities(current, name)
        found[_change(one, rows.get(name))].append(told)
    for name, row in rows.items():
        if name in made.resources: continue
        found["deleted"].append({"resource_name": name, "resource_type": row.type, "physical_resource_id": row.physical_id or "",
                                 "stack_name": current.name, "properties": row.properties or {}, **_identities(current, name)})
    return found


def _identities(current: Stack, name: str) -> dict[str, Any]:
    where = {"stack_name": current.name, "stack_id": current.id, "tenant": current.project_id}
    return {"resource_identity": {**where, "path": f"/resources/{name}"}, "stack_identity": {**where, "path": ""}}


def _change(one: Planned, row: StackResource | None) -> str:
    if row is None: return "added"
    if row.type != one.type_name or row.state.endswith("_FAILED"): return "replaced"
    schema = one.type.properties
    old = take_all(schema, present_names(schema, row.properties or {}))
    given = present_names(schema, one.preview)
    new = {key: given.get(key, rules.default) for key, rules in schema.items()}
    changed = [key for key, rules in schema.items() if not values.unknown_in(new[key]) and rules.take(new[key], key) != old[key]]
    if not changed: return "unchanged"
    return "updated" if all(schema[key].update for key in changed) else "replaced"
