"""Identity provider: somebody else whose word this cloud takes for who a person is.

Source: Identity API v3, OS-FEDERATION, "Identity providers". What must be known to trust a provider (its keys, our password there) is not
here but in the operator's file federation/<id>.toml below the state folder.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.crypto import new_hex_id
from pilvi.core.db.types import Json
from pilvi.core.http import auth
from pilvi.core.resource import Resource
from pilvi.core.wire import OPTIONAL, Base, boolean, field, integer, list_of, text
from pilvi.identity import errors
from pilvi.identity.resources import policies
from pilvi.identity.resources.domain import Domain
from pilvi.identity.resources.federation import FEDERATION, STRICT, put
from pilvi.identity.resources.protocol import Protocol


class IdentityProvider(Base):
    __tablename__ = "identity_providers"
    id: Mapped[str] = field(text(64), key=True)
    enabled: Mapped[bool] = field(boolean(), create=OPTIONAL, update=True, default=False)
    description: Mapped[str | None] = field(text(65535), create=OPTIONAL, update=True, nullable=True, filter=False)
    domain_id: Mapped[str | None] = field(text(64), create=OPTIONAL)
    authorization_ttl: Mapped[int | None] = field(integer(0, 2**31 - 1), create=OPTIONAL, update=True, nullable=True, filter=False)
    remote_ids: Mapped[list[str] | None] = field(list_of(text(255)), create=OPTIONAL, update=True, default=list, nullable=True,
                                                filter=False)


class FederatedUser(Base):
    """Who somebody that a provider vouched for is here."""
    __tablename__ = "identity_federated_users"
    idp_id: Mapped[str] = mapped_column(primary_key=True)
    protocol_id: Mapped[str] = mapped_column(primary_key=True)
    unique_id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(index=True)
    display_name: Mapped[str]
    seen_at: Mapped[float] = mapped_column(default=clock.now)
    groups: Mapped[Any] = mapped_column(Json, default=list)
    """Ids of the groups that the last assertion gave."""


def place_provider(call: Call, row: IdentityProvider, values: dict[str, Any]) -> None:
    """Without a wish the provider gets a domain of its own. Raises DomainNotFound, NameTaken."""
    assert call.db is not None
    row.remote_ids = row.remote_ids or []
    if row.domain_id is None:
        made = Domain(id=new_hex_id(), name=new_hex_id(), description=f"Auto generated federated domain for Identity Provider: {row.id}")
        call.db.add(made)
        call.db.flush()
        row.domain_id = made.id
    elif call.db.get(Domain, row.domain_id) is None: raise errors.DomainNotFound(id=row.domain_id)
    check_remote_ids(call, row, values)


def check_remote_ids(call: Call, row: IdentityProvider, values: dict[str, Any]) -> None:
    """An id by which assertions name a provider names one provider."""
    assert call.db is not None
    wanted = set(values.get("remote_ids") or ())
    for other, taken in call.db.execute(select(IdentityProvider.id, IdentityProvider.remote_ids).where(IdentityProvider.id != row.id)):
        for id in wanted & set(taken or ()): raise errors.RemoteIdTaken(id=id, provider=other)
    if values.get("enabled") is False: auth.forget()


def remove_provider(call: Call, row: IdentityProvider) -> None:
    """Its protocols go with it; the people stay, but can no longer come this way."""
    assert call.db is not None
    call.db.execute(delete(Protocol).where(Protocol.idp_id == row.id))
    call.db.execute(delete(FederatedUser).where(FederatedUser.idp_id == row.id))
    auth.forget()


def _more_links(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    for body in bodies: body["links"]["protocols"] = body["links"]["self"] + "/protocols"


RESOURCE = Resource(
    IdentityProvider, "identity_provider", f"{FEDERATION}/identity_providers", STRICT, owner=None,
    verbs=("list", "show", "update", "delete"), missing=errors.IdentityProviderNotFound, policy=policies.verbs("identity_provider"),
    on_create=place_provider, on_update=check_remote_ids, on_delete=remove_provider, on_render=_more_links, default_sort=[("id", False)])
ROUTES = [put(RESOURCE)]
