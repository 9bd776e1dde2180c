"""Finding stacks as the API's paths name them, and how their links look.

Source: Orchestration API, "Find stack", "Find stack resources".
"""
from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from pilvi.core.context import Call
from pilvi.core.http.app import Response
from pilvi.orchestration import errors
from pilvi.orchestration.resources.tables import SoftwareConfig, SoftwareDeployment, Stack

Link = dict[str, str]
Owned = TypeVar("Owned", SoftwareConfig, SoftwareDeployment)


def visible(call: Call, *, every_project: bool = False) -> list[ColumnElement[bool]]:
    """The stacks of the caller's project."""
    return [] if every_project else [Stack.project_id == call.project_id]


def by_name(db: Session, call: Call, name: str) -> Stack:
    """The stack of that name, or with that id. Raises StackUnknown."""
    alive = db.scalar(select(Stack).where(*visible(call), Stack.name == name, Stack.deleted_at.is_(None)))
    found = alive or db.scalar(select(Stack).where(*visible(call), Stack.id == name))
    if found is None: raise errors.StackUnknown(name=name)
    return found


def find(db: Session, call: Call, stack_name: str, stack_id: str, *, deleted: bool = False) -> Stack:
    """The stack at a path. Raises StackUnknown. `deleted`: also one that is gone."""
    found = db.scalar(select(Stack).where(Stack.id == stack_id, *visible(call, every_project=call.is_admin)))
    if found is None or found.name != stack_name or (found.deleted_at is not None and not deleted):
        raise errors.StackUnknown(name=stack_name)
    return found


def own(call: Call, table: type[Owned], id: str, entity: str) -> Owned:
    """What the caller's project has under this id; administrators see every project's. Raises EntityUnknown."""
    assert call.db is not None
    row = call.db.get(table, id)
    if row is None or (row.project_id != call.project_id and not call.is_admin): raise errors.EntityUnknown(entity=entity, name=id)
    return row


def base(call: Call, stack: Stack) -> str:
    """The address of a stack."""
    return call.url(f"/v1/{stack.project_id}/stacks/{quote(stack.name)}/{stack.id}")


def links(call: Call, stack: Stack) -> list[Link]:
    """The link to itself."""
    return [{"href": base(call, stack), "rel": "self"}]


def identity(stack: Stack, path: str = "") -> dict[str, str]:
    """How Heat names a stack or something of it."""
    return {"stack_name": stack.name, "stack_id": stack.id, "tenant": stack.project_id, "path": path}


def redirect(call: Call, stack_name: str, path: str = "") -> Response:
    """302 to the address with the id."""
    assert call.db is not None and call.request is not None
    found = by_name(call.db, call, stack_name)
    query = f"?{call.request.query_string}" if call.request.query_string else ""
    place = base(call, found) + (f"/{path}" if path else "") + query
    return Response(302, {"code": "302 Found", "message": "The resource was found at " + place, "title": "Found"}, {"Location": place})


def redirects(*paths: str) -> list[Any]:
    """Functions that redirect a path below a stack's name."""
    def to(path: str) -> Any:
        def function(call: Call, stack_name: str) -> Response:
            return redirect(call, stack_name, path)

        return function

    return [to(path) for path in paths]
