"""Subnet pool: blocks from which subnets are cut, so that those of one pool never overlap.

Source: Networking API v2.0, "Subnet pools extension" (subnet_allocation), "Default subnet pools".
"""
from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from pilvi.core.context import Call
from pilvi.core.dialect import NEUTRON
from pilvi.core.resource import Resource
from pilvi.network import addressing, errors
from pilvi.network.resources.address_scope import RESOURCE as ADDRESS_SCOPE
from pilvi.network.resources.standard import POLICY, check_revision, permit_attributes, tag_filters
from pilvi.network.resources.tables import Subnet, SubnetPool

LEAST_PREFIX = {4: 8, 6: 64}
MOST_PREFIX = {4: 32, 6: 128}
LENGTHS = ("min_prefixlen", "max_prefixlen", "default_prefixlen")


def create(call: Call, pool: SubnetPool, values: dict[str, Any]) -> None:
    """Fills in the lengths and checks that all fit together."""
    assert call.db is not None
    permit_attributes(call, "create_subnetpool", SubnetPool, values, pool.project_id)
    pool.prefixes = _merged(values["prefixes"])
    if not pool.prefixes: raise errors.EmptySubnetPoolPrefixList()
    pool.ip_version = ip_network(pool.prefixes[0]).version
    pool.min_prefixlen = values.get("min_prefixlen") or LEAST_PREFIX[pool.ip_version]
    pool.max_prefixlen = values.get("max_prefixlen") or MOST_PREFIX[pool.ip_version]
    pool.default_prefixlen = values.get("default_prefixlen") or pool.min_prefixlen
    _check_lengths(pool)
    if pool.is_default: _check_default(call.db, pool)
    if pool.address_scope_id: _check_scope(call, pool)


def _merged(given: list[str]) -> list[str]:
    """The prefixes in order, neighbours joined."""
    try: nets = [ip_network(text, strict=False) for text in given]
    except ValueError as failure: raise errors.InvalidInput(error_message=f"prefixes: {failure}") from None
    if len({net.version for net in nets}) > 1: raise errors.PrefixVersionMismatch()
    return addressing.merged([str(net) for net in nets])


def _check_lengths(pool: SubnetPool) -> None:
    least, most, default = pool.min_prefixlen, pool.max_prefixlen, pool.default_prefixlen
    limit = MOST_PREFIX[pool.ip_version]
    if most > limit or least > limit:
        raise errors.IllegalSubnetPoolPrefixBounds(prefix_type="max_prefixlen", prefixlen=most, base_prefix_type="the address length",
                                                   base_prefixlen=limit)
    if least > most:
        raise errors.IllegalSubnetPoolPrefixBounds(prefix_type="min_prefixlen", prefixlen=least, base_prefix_type="max_prefixlen",
                                                   base_prefixlen=most)
    if not least <= default <= most:
        raise errors.IllegalSubnetPoolPrefixBounds(prefix_type="default_prefixlen", prefixlen=default,
                                                   base_prefix_type="min_prefixlen and max_prefixlen", base_prefixlen=f"{least}, {most}")


def _check_default(db: Session, pool: SubnetPool) -> None:
    same = select(SubnetPool.id).where(SubnetPool.is_default, SubnetPool.ip_version == pool.ip_version, SubnetPool.id != pool.id)
    if db.execute(same).first():
        raise errors.InvalidInput(error_message=f"A default subnetpool for this IP family has already been set. Only one default may exist "
                                                f"per IP family (IPv{pool.ip_version})")


def _check_scope(call: Call, pool: SubnetPool) -> None:
    """Pools of a scope do not overlap. Raises IllegalSubnetPoolAssociationToAddressScope, AddressScopePrefixConflict."""
    assert call.db is not None and pool.address_scope_id is not None
    scope = ADDRESS_SCOPE.find(call, pool.address_scope_id)
    if scope.project_id != pool.project_id or scope.ip_version != pool.ip_version:
        raise errors.IllegalSubnetPoolAssociationToAddressScope(subnetpool_id=pool.id, address_scope_id=scope.id)
    others = select(SubnetPool.prefixes).where(SubnetPool.address_scope_id == scope.id, SubnetPool.id != pool.id)
    for prefixes in call.db.scalars(others):
        if any(addressing.overlap(one, other) for one in prefixes for other in pool.prefixes): raise errors.AddressScopePrefixConflict()


def change(call: Call, pool: SubnetPool, changes: dict[str, Any]) -> None:
    """A pool only grows."""
    assert call.db is not None
    check_revision(call, pool)
    permit_attributes(call, "update_subnetpool", SubnetPool, changes, pool.project_id)
    if "prefixes" in changes:
        wanted = _merged(changes.pop("prefixes"))
        if not all(any(addressing.within(old, new) for new in wanted) for old in pool.prefixes):
            raise errors.IllegalSubnetPoolPrefixUpdate(new_prefixes=", ".join(wanted), old_prefixes=", ".join(pool.prefixes))
        if ip_network(wanted[0]).version != pool.ip_version: raise errors.PrefixVersionMismatch()
        pool.prefixes = wanted
    for name in (*LENGTHS, "address_scope_id"):
        if name in changes: setattr(pool, name, changes[name])
    _check_lengths(pool)
    if changes.get("is_default"): _check_default(call.db, pool)
    if pool.address_scope_id: _check_scope(call, pool)


def remove(call: Call, pool: SubnetPool) -> None:
    """Not while subnets of it exist."""
    assert call.db is not None
    check_revision(call, pool)
    if call.db.execute(select(Subnet.id).where(Subnet.subnetpool_id == pool.id).limit(1)).first():
        raise errors.SubnetPoolDeleteError(reason="Subnet pool has existing allocations")


def cut(call: Call, pool_id: str, cidr: str | None, length: int | None, subnet: Subnet) -> str:
    """The block for a new subnet: the one wished for, or the first free one of that length. Raises SubnetAllocationError,
    MinPrefixSubnetAllocationError, MaxPrefixSubnetAllocationError, SubnetPoolQuotaExceeded."""
    assert call.db is not None
    pool = RESOURCE.find(call, pool_id)
    call.db.execute(select(SubnetPool.id).where(SubnetPool.id == pool.id).with_for_update())
    if pool.ip_version != subnet.ip_version:
        raise errors.InvalidInput(error_message=f"ip_version '{subnet.ip_version}' does not match that of the subnet pool")
    wished = ip_network(cidr).prefixlen if cidr else length or pool.default_prefixlen
    if wished < pool.min_prefixlen: raise errors.MinPrefixSubnetAllocationError(prefixlen=wished, min_prefixlen=pool.min_prefixlen)
    if wished > pool.max_prefixlen: raise errors.MaxPrefixSubnetAllocationError(prefixlen=wished, max_prefixlen=pool.max_prefixlen)
    taken = [(other, project) for other, project in call.db.execute(
        select(Subnet.cidr, Subnet.project_id).where(Subnet.subnetpool_id == pool.id))]
    _check_quota(pool, [other for other, project in taken if project == subnet.project_id], wished)
    return _block(pool, [other for other, _ in taken], cidr, wished)


def _block(pool: SubnetPool, taken: Sequence[str], cidr: str | None, length: int) -> str:
    if cidr:
        free = any(addressing.within(cidr, prefix) for prefix in pool.prefixes) and not any(addressing.overlap(cidr, one) for one in taken)
        if not free: raise errors.SubnetAllocationError(reason="Cannot allocate requested subnet from the available set of prefixes")
        return cidr
    found = addressing.free_block(pool.prefixes, taken, length)
    if found is None: raise errors.SubnetAllocationError(reason=f"Insufficient prefix space to allocate subnet size /{length}")
    return found


def _check_quota(pool: SubnetPool, own: Sequence[str], length: int) -> None:
    """IPv4 counts addresses, IPv6 blocks of 64, as in Neutron."""
    if pool.default_quota is None: return
    unit = 32 if pool.ip_version == 4 else 64
    used = sum(2 ** max(unit - ip_network(one).prefixlen, 0) for one in own)
    if used + 2 ** max(unit - length, 0) > pool.default_quota: raise errors.SubnetPoolQuotaExceeded()


def default_pool(db: Session, ip_version: int) -> str:
    """The id of the default pool. Raises InvalidInput."""
    found = db.scalar(select(SubnetPool.id).where(SubnetPool.is_default, SubnetPool.ip_version == ip_version))
    if found is None: raise errors.InvalidInput(error_message=f"No default subnetpool found for IPv{ip_version}")
    return found


def visible(call: Call) -> ColumnElement[bool]:
    """Own and shared ones."""
    return or_(SubnetPool.project_id == call.project_id, SubnetPool.shared)


def render(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    """Lengths are text in this API."""
    for body in bodies: body.update({name: str(body[name]) for name in LENGTHS if name in body})


RESOURCE = Resource(
    SubnetPool, "subnetpool", "/v2.0/subnetpools", NEUTRON, quota="subnetpool", policy=POLICY, missing=errors.SubnetPoolNotFound,
    visible=visible, filters=tag_filters(SubnetPool), on_create=create, on_update=change, on_delete=remove, on_render=render)
