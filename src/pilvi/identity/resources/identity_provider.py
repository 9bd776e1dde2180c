"""Federation's registers: identity providers, the protocols they speak with their mappings, and service providers.

Source: Identity API v3, "OS-FEDERATION". An identity provider has a domain of its own, in which its users live.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import delete as delete_from
from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core.context import Call
from pilvi.core.crypto import new_hex_id
from pilvi.core.dialect import KEYSTONE
from pilvi.core.errors import Conflict, Invalid
from pilvi.core.http.routes import Route
from pilvi.core.resource import Resource
from pilvi.core.wire import OPTIONAL, REQUIRED, Base, HexIdentified, boolean, field, integer, json, list_of, text
from pilvi.identity import errors
from pilvi.identity.resources import policies
from pilvi.identity.resources.domain import Domain
from pilvi.identity.resources.relative import find, links, named

PREFIX = "/v3/OS-FEDERATION"
URL = text(256, "https?://[^ ]+")
ID = text(64, r"[\w.~%@-]+", shortest=1)
RULES = {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["local", "remote"], "properties": {
    "local": {"type": "array"}, "remote": {"type": "array", "minItems": 1}}}}


class IdentityProvider(HexIdentified, Base):
    __tablename__ = "identity_providers"
    id: Mapped[str] = field(ID, key=True, create=OPTIONAL)
    description: Mapped[str | None] = field(text(65535), create=OPTIONAL, update=True, filter=False)
    enabled: Mapped[bool] = field(boolean(strict=True), create=OPTIONAL, update=True, default=False)
    domain_id: Mapped[str | None] = field(text(64), create=OPTIONAL)
    remote_ids: Mapped[list[str]] = field(list_of(text(255, shortest=1)), create=OPTIONAL, update=True, default=list, filter=False)
    authorization_ttl: Mapped[int | None] = field(integer(0), create=OPTIONAL, update=True, filter=False)


class Mapping(HexIdentified, Base):
    __tablename__ = "identity_mappings"
    id: Mapped[str] = field(ID, key=True, create=OPTIONAL)
    rules: Mapped[list[Any]] = field(json(RULES), create=REQUIRED, update=True, filter=False)
    schema_version: Mapped[str] = field(text(5), create=OPTIONAL, update=True, default="1.0", filter=False)


class Protocol(Base):
    """`id` is the protocol's own name (openid, saml2, mapped), one for each provider."""
    __tablename__ = "identity_protocols"
    idp_id: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    mapping_id: Mapped[str]
    remote_id_attribute: Mapped[str | None]


class ServiceProvider(HexIdentified, Base):
    __tablename__ = "identity_service_providers"
    id: Mapped[str] = field(ID, key=True, create=OPTIONAL)
    auth_url: Mapped[str] = field(URL, create=REQUIRED, update=True, filter=False)
    sp_url: Mapped[str] = field(URL, create=REQUIRED, update=True, filter=False)
    description: Mapped[str | None] = field(text(65535), create=OPTIONAL, update=True, filter=False)
    enabled: Mapped[bool] = field(boolean(strict=True), create=OPTIONAL, update=True, default=False)
    relay_state_prefix: Mapped[str] = field(text(256), create=OPTIONAL, update=True, default="ss:mem:", filter=False)


def place(call: Call, provider: IdentityProvider, values: dict[str, Any]) -> None:
    """Without a domain it gets one of its own. Remote ids belong to one provider each."""
    assert call.db is not None
    check_remote_ids(call, provider, values)
    if provider.domain_id:
        if call.db.get(Domain, provider.domain_id) is None: raise errors.DomainNotFound(id=provider.domain_id)
        return
    name = new_hex_id()
    domain = Domain(id=name, name=name, description=f"Auto generated federated domain for Identity Provider: {provider.id}", enabled=True)
    call.db.add(domain)
    call.db.flush()
    provider.domain_id = domain.id


def check_remote_ids(call: Call, provider: IdentityProvider, values: dict[str, Any]) -> None:
    """Raises Conflict."""
    assert call.db is not None
    wanted = set(values.get("remote_ids") or ())
    for id, theirs in call.db.execute(select(IdentityProvider.id, IdentityProvider.remote_ids).where(IdentityProvider.id != provider.id)):
        if wanted & set(theirs): raise Conflict(f"Duplicate remote ID: {', '.join(sorted(wanted & set(theirs)))} belongs to {id}")


def remove(call: Call, provider: IdentityProvider) -> None:
    """Its protocols go with it; its domain stays, for an administrator to remove."""
    assert call.db is not None
    call.db.execute(delete_from(Protocol).where(Protocol.idp_id == provider.id))


def add_protocols(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    for body in bodies: body["links"]["protocols"] = body["links"]["self"] + "/protocols"


def check_mapping(call: Call, mapping: Mapping, values: dict[str, Any]) -> None:
    """A mapping needs rules."""
    if not values.get("rules", mapping.rules): raise Invalid("A mapping needs rules.")


RESOURCE = Resource(IdentityProvider, "identity_provider", f"{PREFIX}/identity_providers", KEYSTONE, owner=None,
                    verbs=("list", "show", "update", "delete"), missing=errors.IdentityProviderNotFound,
                    policy=policies.verbs("identity_provider"), on_create=place, on_update=check_remote_ids, on_delete=remove,
                    on_render=add_protocols)
MAPPING = Resource(Mapping, "mapping", f"{PREFIX}/mappings", KEYSTONE, owner=None, verbs=("list", "show", "update", "delete"),
                   missing=errors.MappingNotFound, policy=policies.verbs("mapping"), on_create=check_mapping)
SERVICE_PROVIDER = Resource(ServiceProvider, "service_provider", f"{PREFIX}/service_providers", KEYSTONE, owner=None,
                            verbs=("list", "show", "update", "delete"), missing=errors.ServiceProviderNotFound,
                            policy=policies.verbs("service_provider"))


def _body(call: Call, row: Protocol) -> dict[str, Any]:
    above = call.url(f"{PREFIX}/identity_providers/{row.idp_id}")
    shown = {"id": row.id, "mapping_id": row.mapping_id, "remote_id_attribute": row.remote_id_attribute}
    return shown | {"links": {"self": f"{above}/protocols/{row.id}", "identity_provider": above}}


def _protocol(call: Call, idp_id: str, id: str) -> Protocol:
    assert call.db is not None
    row = call.db.get(Protocol, (idp_id, id))
    if row is None: raise errors.ProtocolNotFound(id=id)
    return row


def _check_mapping_id(call: Call, id: str) -> None:
    assert call.db is not None
    if call.db.get(Mapping, id) is None: raise errors.MappingUnknown(id=id)


def create_protocol(call: Call, idp_id: str, protocol_id: str) -> dict[str, Any]:
    """PUT …/identity_providers/{idp_id}/protocols/{protocol_id}"""
    assert call.db is not None
    asked = call.body["protocol"]
    if "mapping_id" not in asked: raise Invalid("Expecting to find mapping_id in protocol.")
    find(call, "identity_provider", idp_id)
    _check_mapping_id(call, asked["mapping_id"])
    if call.db.get(Protocol, (idp_id, protocol_id)): raise errors.NameTaken(what="federation_protocol", name=protocol_id)
    row = Protocol(idp_id=idp_id, id=protocol_id, mapping_id=asked["mapping_id"], remote_id_attribute=asked.get("remote_id_attribute"))
    call.db.add(row)
    call.db.flush()
    return {"protocol": _body(call, row)}


def show_protocol(call: Call, idp_id: str, protocol_id: str) -> dict[str, Any]:
    """GET …/identity_providers/{idp_id}/protocols/{protocol_id}"""
    return {"protocol": _body(call, _protocol(call, idp_id, protocol_id))}


def update_protocol(call: Call, idp_id: str, protocol_id: str) -> dict[str, Any]:
    """PATCH …/identity_providers/{idp_id}/protocols/{protocol_id}"""
    row, asked = _protocol(call, idp_id, protocol_id), call.body["protocol"]
    if "mapping_id" in asked:
        _check_mapping_id(call, asked["mapping_id"])
        row.mapping_id = asked["mapping_id"]
    row.remote_id_attribute = asked.get("remote_id_attribute", row.remote_id_attribute)
    return {"protocol": _body(call, row)}


def delete_protocol(call: Call, idp_id: str, protocol_id: str) -> None:
    """DELETE …/identity_providers/{idp_id}/protocols/{protocol_id}"""
    assert call.db is not None
    call.db.delete(_protocol(call, idp_id, protocol_id))


def list_protocols(call: Call, idp_id: str) -> dict[str, Any]:
    """GET …/identity_providers/{idp_id}/protocols"""
    assert call.db is not None
    find(call, "identity_provider", idp_id)
    rows = call.db.query(Protocol).filter_by(idp_id=idp_id).order_by(Protocol.id)
    return {"protocols": [_body(call, row) for row in rows], "links": links(call)}


EVERY, ONE = PREFIX + "/identity_providers/{idp_id}/protocols", PREFIX + "/identity_providers/{idp_id}/protocols/{protocol_id}"
BODY = {"type": "object", "required": ["protocol"], "properties": {"protocol": {"type": "object", "properties": {
    "mapping_id": {"type": "string", "minLength": 1, "maxLength": 64},
    "remote_id_attribute": {"type": ["string", "null"], "maxLength": 64}}}}}
ROUTES = [
    named(RESOURCE), named(MAPPING), named(SERVICE_PROVIDER),
    Route(EVERY, "GET", list_protocols, "identity:list_protocols", transaction="read"),
    Route(ONE, "PUT", create_protocol, "identity:create_protocol", status=201, transaction="write", body=BODY),
    Route(ONE, "GET", show_protocol, "identity:get_protocol", transaction="read"),
    Route(ONE, "PATCH", update_protocol, "identity:update_protocol", transaction="write", body=BODY),
    Route(ONE, "DELETE", delete_protocol, "identity:delete_protocol", transaction="write", status=204),
]
