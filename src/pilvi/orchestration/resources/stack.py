"""Stacks: list, show, create, update, delete, preview.

Source: Orchestration API, "Stacks".
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core.context import Call
from pilvi.core.crypto import new_id
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.resource import PERSONAS
from pilvi.core.state import WrongState
from pilvi.orchestration import errors
from pilvi.orchestration.resources import export, lookup, stack_preview, stack_view
from pilvi.orchestration.resources.stack_request import BODY, Request, name_of, planned, read, with_files
from pilvi.orchestration.resources.tables import Stack
from pilvi.orchestration.stack import converge, credentials, plan, wish
from pilvi.orchestration.template import environment, parameters
from pilvi.orchestration.template.environment import Environment

STACKS_MOST = 512
RULES = {f"stacks:{verb}": Rule(PERSONAS["reader"]) for verb in (
    "index", "detail", "show", "lookup", "template", "environment", "files", "list_outputs", "show_output", "list_snapshots",
    "show_snapshot", "validate_template", "list_resource_types", "resource_schema", "generate_template", "list_template_versions",
    "list_template_functions", "preview", "preview_update", "preview_update_patch", "export")}
RULES |= {f"stacks:{verb}": Rule(PERSONAS["member"]) for verb in ("create", "update", "update_patch", "delete", "abandon", "snapshot",
                                                                  "delete_snapshot", "restore_snapshot")}
RULES["stacks:global_index"] = Rule(PERSONAS["admin"])


def create(call: Call) -> Response:
    """POST /stacks"""
    request = read(call)
    name = name_of(request)
    _check_room(call, name)
    stack_id = new_id()
    template = request.template if request.template is not None else export.template_of(request.raw.get("adopt_stack_data"))
    made = _plan(call, request, template, request.files, request.environment, name, stack_id)
    rollback = request.flag("disable_rollback", True)
    values: dict[str, Any] = {"timeout_minutes": request.timeout(), "tags": request.tags() or [], "disable_rollback": bool(rollback)}
    kept = credentials.given(call)
    assert call.application is not None
    adopted = export.adopted(request.raw.get("adopt_stack_data"))
    try:
        with call.application.database.write() as call.db:
            _check_room_in(call.db, call, name)
            stack = wish.create(call.db, made, id=stack_id, name=name, project_id=call.project_id, user_id=call.user_id,
                                user_name=call.identity.user_name, credentials=kept, root_id=stack_id, adopted=adopted, **values)
    except Exception:
        credentials.release(call.application, kept)
        raise
    finally:
        call.db = None
    address = lookup.base(call, stack)
    return Response(201, {"stack": {"id": stack.id, "links": lookup.links(call, stack)}}, {"Location": address})


def _plan(call: Call, request: Request, template: Any, files: Mapping[str, Any], given: Environment, name: str, stack_id: str) -> plan.Plan:
    if template is None: raise errors.RequestInvalid(reason="No template specified")
    return planned(call, template, files, with_files(given, files, template), name=name, stack_id=stack_id)


def _check_room(call: Call, name: str) -> None:
    assert call.application is not None
    if not call.project_id: raise errors.AccessRefused()
    with call.application.database.read() as db: _check_room_in(db, call, name)


def _check_room_in(db: Session, call: Call, name: str) -> None:
    if db.scalar(select(Stack.id).where(Stack.project_id == call.project_id, Stack.name == name, Stack.deleted_at.is_(None))):
        raise errors.StackExists(name=name)
    if converge.count(db, call.project_id) >= STACKS_MOST:
        raise errors.StackLimit(reason=f"You have reached the maximum stacks per tenant, {STACKS_MOST}. Please delete some stacks.")


def show(call: Call, stack_name: str, stack_id: str) -> dict[str, Any]:
    """GET /stacks/{name}/{id}"""
    assert call.application is not None and call.request is not None
    with call.application.database.read() as db: stack = lookup.find(db, call, stack_name, stack_id, deleted=True)
    resolve = (call.request.one("resolve_outputs") or "true").lower() not in ("false", "0", "no")
    return {"stack": stack_view.full(call, stack, resolve_outputs=resolve)}


def update(call: Call, stack_name: str, stack_id: str) -> Response:
    """PUT: the template is given anew; parameters that are not named go back to their defaults."""
    return _update(call, stack_name, stack_id, patch=False)


def update_patch(call: Call, stack_name: str, stack_id: str) -> Response:
    """PATCH: what is not named stays."""
    return _update(call, stack_name, stack_id, patch=True)


def _update(call: Call, stack_name: str, stack_id: str, *, patch: bool) -> Response:
    assert call.application is not None
    request = read(call)
    stack, made = _wanted(call, request, stack_name, stack_id, patch=patch)
    timeout, tags, rollback = request.timeout(), request.tags(), request.flag("disable_rollback")
    values: dict[str, Any] = {"tags": tags if tags is not None else (stack.tags if patch else [])}
    if timeout is not None or not patch: values["timeout_minutes"] = timeout or stack.timeout_minutes
    if rollback is not None: values["disable_rollback"] = rollback
    values["credentials"] = credentials.renewed(call, stack.credentials)
    with call.application.database.write() as db:
        current = lookup.find(db, call, stack_name, stack_id)
        try: wish.change(db, current, made, **values)
        except WrongState: raise errors.ActionInProgress(name=current.name, action=current.busy or current.state) from None
    return Response(202, None)


def _wanted(call: Call, request: Request, stack_name: str, stack_id: str, *, patch: bool) -> tuple[Stack, plan.Plan]:
    """The stack, and what it is to become. Raises TemplateInvalid and its kin."""
    assert call.application is not None
    with call.application.database.read() as db: stack = lookup.find(db, call, stack_name, stack_id)
    if stack.owner_id is not None: raise errors.ActionUnsupported(action="Updating a nested stack", what="the API")
    if request.template is None and not patch: raise errors.RequestInvalid(reason="No template specified")
    template = request.template if request.template is not None else stack.template
    files = request.files or (stack.files or {} if patch else {})
    given = _patched(call, request, stack) if patch else request.environment
    made = _plan(call, request, template, files, given, stack.name, stack.id)
    before = parameters.values_of(made.template.parameters, (stack.environment or {}).get("parameters") or {}, {}, {}, strict=False)
    old = call.application.state["plans"].of(stack).values
    parameters.check_immutable(old if old.schema else before, made.values)
    return stack, made


def _patched(call: Call, request: Request, stack: Stack) -> Environment:
    """What the stack had with what the request says over it."""
    old = dict(stack.environment or {})
    cleared = request.raw.get("clear_parameters") or []
    kept = {name: value for name, value in (old.get("parameters") or {}).items() if name not in cleared}
    merged = environment.merge([{**old, "parameters": kept}, request.environment.stored()])
    template = request.template
    if template is not None:  # parameters that a new template no longer has are dropped, not refused
        known = set(template.get("parameters") or {})
        merged["parameters"] = {name: value for name, value in merged.get("parameters", {}).items()
                                if name in known or name in request.environment.parameters}
    return environment.parse(merged)


def delete(call: Call, stack_name: str, stack_id: str) -> Response:
    """DELETE /stacks/{name}/{id}"""
    assert call.application is not None
    with call.application.database.read() as db: stack = lookup.find(db, call, stack_name, stack_id)
    kept = credentials.renewed(call, stack.credentials) if stack.owner_id is None else None
    with call.application.database.write() as db:
        current = lookup.find(db, call, stack_name, stack_id)
        if current.busy != "DELETE":
            if kept: current.credentials = kept
            converge.begin(db, current, "DELETE", {})
    return Response(204, None)


def preview(call: Call) -> dict[str, Any]:
    """POST /stacks/preview"""
    request = read(call)
    name = name_of(request)
    made = _plan(call, request, request.template, request.files, request.environment, name, "None")
    return {"stack": stack_preview.stack(call, made, name, request)}


def preview_update(call: Call, stack_name: str, stack_id: str) -> dict[str, Any]:
    """PUT /stacks/{name}/{id}/preview"""
    return _preview_update(call, stack_name, stack_id, patch=False)


def preview_update_patch(call: Call, stack_name: str, stack_id: str) -> dict[str, Any]:
    """PATCH /stacks/{name}/{id}/preview"""
    return _preview_update(call, stack_name, stack_id, patch=True)


def _preview_update(call: Call, stack_name: str, stack_id: str, *, patch: bool) -> dict[str, Any]:
    request = read(call)
    stack, made = _wanted(call, request, stack_name, stack_id, patch=patch)
    return {"resource_changes": stack_preview.changes(call, stack, made)}


LOOKUPS = dict(zip(("", "resources", "events", "template", "outputs", "snapshots", "actions", "environment", "files"), lookup.redirects(
    "", "resources", "events", "template", "outputs", "snapshots", "actions", "environment", "files"), strict=True))
ITEM = "/v1/stacks/{stack_name}/{stack_id}"
ROUTES = [
    Route("/v1/stacks", "GET", stack_view.index, "stacks:index"), Route("/v1/stacks/detail", "GET", stack_view.detail, "stacks:detail"),
    Route("/v1/stacks", "POST", create, "stacks:create", body=BODY),
    Route("/v1/stacks/preview", "POST", preview, "stacks:preview", body=BODY),
    *(Route("/v1/stacks/{stack_name}", method, LOOKUPS[""], "stacks:lookup", transaction="read")
      for method in ("GET", "PUT", "PATCH", "DELETE", "POST")),
    *(Route(f"/v1/stacks/{{stack_name}}/{path}", method, function, "stacks:lookup", transaction="read")
      for path, function in LOOKUPS.items() if path for method in ("GET", "POST")),
    Route(ITEM, "GET", show, "stacks:show"), Route(ITEM, "PUT", update, "stacks:update", body=BODY),
    Route(ITEM, "PATCH", update_patch, "stacks:update_patch", body=BODY), Route(ITEM, "DELETE", delete, "stacks:delete"),
    Route(ITEM + "/preview", "PUT", preview_update, "stacks:preview_update", body=BODY),
    Route(ITEM + "/preview", "PATCH", preview_update_patch, "stacks:preview_update_patch", body=BODY)]
