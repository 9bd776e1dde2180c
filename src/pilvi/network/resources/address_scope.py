"""Address scope: subnet pools whose addresses do not overlap, so that they can be routed between each other.

Source: Networking API v2.0, "Address scopes".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, or_, select

from pilvi.core.context import Call
from pilvi.core.dialect import NEUTRON
from pilvi.core.resource import Resource
from pilvi.network import errors
from pilvi.network.resources.standard import POLICY, permit_attributes
from pilvi.network.resources.tables import AddressScope, SubnetPool


def create(call: Call, scope: AddressScope, values: dict[str, Any]) -> None:
    """Sharing is for administrators."""
    permit_attributes(call, "create_address_scope", AddressScope, values, scope.project_id)
    if scope.ip_version not in (4, 6): raise errors.InvalidInput(error_message=f"ip_version {scope.ip_version} is neither 4 nor 6")


def change(call: Call, scope: AddressScope, changes: dict[str, Any]) -> None:
    """What was shared stays shared, as in Neutron."""
    permit_attributes(call, "update_address_scope", AddressScope, changes, scope.project_id)
    if scope.shared and changes.get("shared") is False:
        raise errors.AddressScopeUpdateError(address_scope_id=scope.id, reason="Shared address scope can't be unshared")


def remove(call: Call, scope: AddressScope) -> None:
    """Not while pools are in it."""
    assert call.db is not None
    if call.db.execute(select(SubnetPool.id).where(SubnetPool.address_scope_id == scope.id).limit(1)).first():
        raise errors.AddressScopeInUse(address_scope_id=scope.id)


def visible(call: Call) -> ColumnElement[bool]:
    """Own and shared ones."""
    return or_(AddressScope.project_id == call.project_id, AddressScope.shared)


RESOURCE = Resource(
    AddressScope, "address_scope", "/v2.0/address-scopes", NEUTRON, policy=POLICY, missing=errors.AddressScopeNotFound, visible=visible,
    on_create=create, on_update=change, on_delete=remove)
