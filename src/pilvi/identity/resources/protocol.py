"""Protocol: a way by which people of an identity provider come, and the mapping that reads what it says of them.

Source: Identity API v3, OS-FEDERATION, "Identity providers" (protocols hang below their provider).
"""
from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core.context import Call
from pilvi.core.errors import Invalid
from pilvi.core.http import auth
from pilvi.core.http.routes import Route
from pilvi.core.wire import Base
from pilvi.identity import errors
from pilvi.identity.resources import policies
from pilvi.identity.resources.federation import FEDERATION, ID
from pilvi.identity.resources.mapping import AttributeMapping
from pilvi.identity.resources.relative import links, resource


class Protocol(Base):
    """How people of a provider are passed on; `id` is what is written in URLs: openid, saml2, mapped …"""
    __tablename__ = "identity_protocols"
    idp_id: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    mapping_id: Mapped[str]
    remote_id_attribute: Mapped[str | None]


FIELDS = {"mapping_id": {"type": "string", "maxLength": 64}, "remote_id_attribute": {"type": ["string", "null"], "maxLength": 64}}


def _schema(*required: str) -> dict[str, Any]:
    return {"type": "object", "required": ["protocol"], "properties": {"protocol": {
        "type": "object", "properties": FIELDS, "required": list(required), "additionalProperties": False}}}


def _protocol(call: Call, row: Protocol) -> dict[str, Any]:
    provider = call.url(f"{FEDERATION}/identity_providers/{row.idp_id}")
    return {"id": row.id, "mapping_id": row.mapping_id, "remote_id_attribute": row.remote_id_attribute,
            "links": {"self": f"{provider}/protocols/{row.id}", "identity_provider": provider}}


def _found(call: Call, idp_id: str, id: str) -> Protocol:
    assert call.db is not None
    row = call.db.get(Protocol, (idp_id, id))
    if row is None: raise errors.ProtocolNotFound(id=id)
    return row


def _check_mapping_id(call: Call, id: str | None) -> None:
    assert call.db is not None
    if id is not None and call.db.get(AttributeMapping, id) is None: raise Invalid(f"Invalid mapping id: {id}")


def put_protocol(call: Call, idp_id: str, id: str) -> dict[str, Any]:
    """PUT /v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{id}"""
    assert call.db is not None
    policies.permit(call, "create_protocol")
    asked = call.body["protocol"]
    ID.check({"id": id})
    if call.db.get(resource(call, "identity_provider").table, idp_id) is None: raise errors.IdentityProviderNotFound(id=idp_id)
    if call.db.get(Protocol, (idp_id, id)): raise errors.NameTaken(what="protocol", name=id)
    _check_mapping_id(call, asked["mapping_id"])
    row = Protocol(idp_id=idp_id, id=id, mapping_id=asked["mapping_id"], remote_id_attribute=asked.get("remote_id_attribute"))
    call.db.add(row)
    call.db.flush()
    return {"protocol": _protocol(call, row)}


def list_protocols(call: Call, idp_id: str) -> dict[str, Any]:
    """GET /v3/OS-FEDERATION/identity_providers/{idp_id}/protocols"""
    assert call.db is not None
    policies.permit(call, "list_protocols")
    if call.db.get(resource(call, "identity_provider").table, idp_id) is None: raise errors.IdentityProviderNotFound(id=idp_id)
    rows = call.db.query(Protocol).where(Protocol.idp_id == idp_id).order_by(Protocol.id)
    return {"protocols": [_protocol(call, row) for row in rows], "links": links(call)}


def show_protocol(call: Call, idp_id: str, id: str) -> dict[str, Any]:
    """GET /v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{id}"""
    policies.permit(call, "get_protocol")
    return {"protocol": _protocol(call, _found(call, idp_id, id))}


def update_protocol(call: Call, idp_id: str, id: str) -> dict[str, Any]:
    """PATCH /v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{id}"""
    policies.permit(call, "update_protocol")
    row, asked = _found(call, idp_id, id), call.body["protocol"]
    _check_mapping_id(call, asked.get("mapping_id"))
    for name, value in asked.items(): setattr(row, name, value)
    return {"protocol": _protocol(call, row)}


def delete_protocol(call: Call, idp_id: str, id: str) -> None:
    """DELETE /v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{id}"""
    assert call.db is not None
    policies.permit(call, "delete_protocol")
    call.db.delete(_found(call, idp_id, id))
    auth.forget()


EVERY = f"{FEDERATION}/identity_providers/{{idp_id}}/protocols"
ONE = f"{EVERY}/{{id}}"
ROUTES = [
    Route(EVERY, "GET", list_protocols, None, transaction="read"),
    Route(ONE, "PUT", put_protocol, None, transaction="write", status=201, body=_schema("mapping_id")),
    Route(ONE, "GET", show_protocol, None, transaction="read"),
    Route(ONE, "PATCH", update_protocol, None, transaction="write", body=_schema()),
    Route(ONE, "DELETE", delete_protocol, None, transaction="write", status=204),
]
