"""What the resources of federation share: their path, and that they are made by PUT under an id of the client's choice.

Source: Identity API v3, OS-FEDERATION.
"""
from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from pilvi.core.context import Call
from pilvi.core.dialect import KEYSTONE
from pilvi.core.http.faults import Schema
from pilvi.core.http.routes import Route
from pilvi.core.resource import Resource
from pilvi.identity import errors

FEDERATION = "/v3/OS-FEDERATION"
STRICT = replace(KEYSTONE, unknown_fields="refuse")
"""Unlike identity's other resources these keep no extra attributes."""
ID = Schema({"type": "object", "properties": {"id": {"type": "string", "maxLength": 64, "pattern": "^[A-Za-z0-9_.~-]+$"}}})
"""The checker of {"id": …}."""


def put(resource: Resource) -> Route:
    """The route that makes one."""
    return Route(f"{resource.path}/{{id}}", "PUT", partial(_put, resource), None, status=201)


def _put(resource: Resource, call: Call, id: str) -> dict[str, Any]:
    """PUT: made under the client's id. Raises NameTaken."""
    assert call.application is not None
    resource.permit(call, "create")
    given = resource.open(call.body)
    if isinstance(given, dict) and given.get("id") == id: given = {name: given[name] for name in given if name != "id"}  # as the SDK does
    values = resource.take(call, "create", given)
    ID.check({"id": id})
    with call.application.database.write() as call.db:
        if call.db.get(resource.table, id): raise errors.NameTaken(what=resource.name, name=id)
        row = resource.table(**values | {"id": id})
        for column in resource.table.__table__.columns:
            if getattr(row, column.key) is None and column.default is not None and column.key not in values:
                setattr(row, column.key, column.default.arg(None) if column.default.is_callable else column.default.arg)
        if resource.on_create: resource.on_create(call, row, values)
        call.db.add(row)
        call.db.flush()
        return resource.wrap(resource.render(call, [row])[0])
