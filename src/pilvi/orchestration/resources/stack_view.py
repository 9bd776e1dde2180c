"""How stacks look in the API: lists with their filters, and the whole of one.

Source: Orchestration API, "List stacks", "Show stack details".
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.errors import Forbidden
from pilvi.core.wire import truth
from pilvi.orchestration import errors
from pilvi.orchestration.resources import lookup
from pilvi.orchestration.resources.tables import Stack
from pilvi.orchestration.stack import outputs
from pilvi.orchestration.stack.states import split, status

HIDDEN_TAGS = ("data-processing-cluster", "hidden")
SORT = {"name": Stack.name, "stack_name": Stack.name, "status": Stack.state, "stack_status": Stack.state, "created_at": Stack.created_at,
        "creation_time": Stack.created_at, "updated_at": Stack.renewed_at, "updated_time": Stack.renewed_at, "id": Stack.id}
SCAN_MOST = 10_000


def moment(at: float | None) -> str | None:
    """An instant as Heat writes it."""
    return None if at is None else clock.iso(at)


def brief(call: Call, stack: Stack) -> dict[str, Any]:
    """A stack in a list."""
    return {
        "id": stack.id, "stack_name": stack.name, "description": stack.description, "links": lookup.links(call, stack),
        "creation_time": moment(stack.created_at), "updated_time": moment(stack.renewed_at), "deletion_time": moment(stack.deleted_at),
        "stack_status": status(stack.state, stack.busy), "stack_status_reason": stack.reason, "stack_owner": stack.user_name or None,
        "parent": stack.owner_id, "stack_user_project_id": None, "tags": stack.tags or None}


def full(call: Call, stack: Stack, *, resolve_outputs: bool) -> dict[str, Any]:
    """The whole of one. Outside transactions: outputs are asked of other services."""
    assert call.application is not None
    body = brief(call, stack)
    plan = call.application.state["plans"].of(stack)
    body |= {"capabilities": [], "notification_topics": [], "disable_rollback": stack.disable_rollback,
             "timeout_mins": stack.timeout_minutes, "parameters": plan.values.shown(), "template_description": stack.description}
    if stack.deleted_at is None: body["outputs"] = outputs.outputs(call.application, call, stack) if resolve_outputs else []
    return body


def index(call: Call) -> dict[str, Any]:
    """GET /stacks"""
    found, total = _page(call)
    every = _flag(call, "global_tenant")
    told = [brief(call, stack) | ({"project": stack.project_id} if every else {}) for stack in found]
    return {"stacks": told} | ({"count": total} if _flag(call, "with_count") else {})


def detail(call: Call) -> dict[str, Any]:
    """GET /stacks/detail"""
    found, total = _page(call)
    told = [full(call, stack, resolve_outputs=False) for stack in found]
    return {"stacks": told} | ({"count": total} if _flag(call, "with_count") else {})


def _flag(call: Call, name: str) -> bool:
    assert call.request is not None
    try: return bool(truth(call.request.one(name) or "false"))
    except ValueError: raise errors.RequestInvalid(reason=f'Unrecognized value "{call.request.one(name)}" for "{name}"') from None


def _page(call: Call) -> tuple[list[Stack], int]:
    assert call.application is not None and call.request is not None
    every = _flag(call, "global_tenant")
    if every and not call.allowed("stacks:global_index"): raise Forbidden(action="stacks:global_index")
    conditions = [*lookup.visible(call, every_project=every), *_conditions(call)]
    order = _order(call)
    keep = _tag_filter(call)
    with call.application.database.read() as db:
        rows = [stack for stack in db.scalars(select(Stack).where(*conditions).order_by(*order, Stack.id).limit(SCAN_MOST)) if keep(stack)]
        total = len(rows) if len(rows) < SCAN_MOST else db.scalar(select(func.count()).select_from(Stack).where(*conditions)) or 0
    marker, limit = call.request.one("marker"), _limit(call)
    if marker is not None:
        at = next((number for number, stack in enumerate(rows) if stack.id == marker), None)
        rows = rows[at + 1:] if at is not None else []
    return rows[:limit] if limit is not None else rows, total


def _limit(call: Call) -> int | None:
    assert call.request is not None
    given = call.request.one("limit")
    if given is None: return None
    if not given.isdigit(): raise errors.RequestInvalid(reason=f"Only integer is allowed for limit: {given[:40]!r}")
    return int(given) or None


def _order(call: Call) -> list[Any]:
    assert call.request is not None
    given = [word for key, value in call.request.query if key in ("sort_keys", "sort_key") for word in value.split(",")]
    direction = call.request.one("sort_dir") or "desc"
    if direction not in ("asc", "desc"): raise errors.RequestInvalid(reason="The sort direction must be asc or desc")
    columns = [SORT[key] for key in given if key in SORT] or [Stack.created_at]
    return [column.asc() if direction == "asc" else column.desc() for column in columns]


def _conditions(call: Call) -> list[ColumnElement[bool]]:
    assert call.request is not None
    wanted: dict[str, list[str]] = {}
    for key, value in call.request.query: wanted.setdefault(key, []).append(value)
    found: list[ColumnElement[bool]] = []
    if not _flag(call, "show_deleted"): found.append(Stack.deleted_at.is_(None))
    if not _flag(call, "show_nested") and "owner_id" not in wanted: found.append(Stack.owner_id.is_(None))
    for name, column in (("id", Stack.id), ("name", Stack.name), ("stack_name", Stack.name), ("tenant", Stack.project_id),
                         ("username", Stack.user_name), ("owner_id", Stack.owner_id)):
        if name in wanted: found.append(column.in_(wanted[name]))
    for key in ("status", "stack_status"):
        if key in wanted: found.append(or_(*(_has_status(word) for word in wanted[key])))
    if "action" in wanted: found.append(or_(*(_has_action(word) for word in wanted["action"])))
    return found


def _has_action(word: str) -> ColumnElement[bool]:
    return or_(Stack.busy == word, and_(Stack.busy.is_(None), Stack.state.startswith(word + "_", autoescape=True)))


def _has_status(word: str) -> ColumnElement[bool]:
    """COMPLETE, FAILED, IN_PROGRESS, with or without the action before it."""
    action, rest = split(word) if "_" in word and word != "IN_PROGRESS" else ("", word)
    if rest == "IN_PROGRESS": return Stack.busy == action if action else Stack.busy.is_not(None)
    return and_(Stack.busy.is_(None), Stack.state == word if action else Stack.state.endswith("_" + word))


def _tag_filter(call: Call) -> Callable[[Stack], bool]:
    assert call.request is not None

    def words(name: str) -> list[str]:
        said = call.request.one(name) if call.request else None
        return [one.strip() for one in said.split(",")] if said else []

    every, some, no_every, none = words("tags"), words("tags_any"), words("not_tags"), words("not_tags_any")
    hidden = _flag(call, "show_hidden") or any(word in HIDDEN_TAGS for word in (*every, *some))

    def keep(stack: Stack) -> bool:
        mine = set(stack.tags or ())
        if not hidden and mine & set(HIDDEN_TAGS): return False
        return (set(every) <= mine and (not some or bool(mine & set(some))) and not (no_every and set(no_every) <= mine)
                and not mine & set(none))

    return keep
