"""Which addresses a port gets, and the rows that make them its own. All in the caller's transaction."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from pilvi.network import addressing, errors
from pilvi.network.resources.tables import Allocation, Pool, Port, Subnet

MOST = 10
"""Addresses that a client may ask for on one port."""
AUTOMATIC = ("slaac", "dhcpv6-stateless")
Wish = dict[str, str]
"""{"subnet_id"?, "ip_address"?}"""


@dataclass(frozen=True, slots=True)
class Choice:
    """An address that a port is to have; None: any of the subnet."""
    subnet: Subnet
    address: str | None


def is_automatic(subnet: Subnet) -> bool:
    """Do machines make their own addresses here, from the MAC?"""
    return subnet.ip_version == 6 and subnet.ipv6_address_mode in AUTOMATIC


def is_routers(owner: str) -> bool:
    """Does a router own such a port?"""
    return owner.startswith("network:router_")


def subnets_of(db: Session, network_id: str) -> list[Subnet]:
    """The network's subnets, oldest first."""
    return list(db.query(Subnet).where(Subnet.network_id == network_id).order_by(Subnet.created_at, Subnet.id))


def allocate(db: Session, port: Port, wishes: Sequence[Wish] | None) -> None:
    """Gives a new port its addresses: the wishes, or (None) one of each family. Raises what `choose` raises, IpAddressGenerationFailure."""
    subnets = subnets_of(db, port.network_id)
    if wishes is not None:
        give(db, port, choose(port, subnets, wishes))
        return
    chosen = []
    for version in (4, 6):
        family = [s for s in subnets if s.ip_version == version and not is_automatic(s)]
        if not family: continue
        found = next(((s, address) for s in family if (address := _pick(db, s)) is not None), None)
        if found is None: raise errors.IpAddressGenerationFailure(net_id=port.network_id)
        chosen.append(Choice(*found))
    give(db, port, chosen + _own_addresses(port, subnets))


def choose(port: Port, subnets: Sequence[Subnet], wishes: Sequence[Wish]) -> list[Choice]:
    """The wishes as choices. Raises InvalidInput, InvalidIpForNetwork, InvalidIpForSubnet."""
    if len(wishes) > MOST: raise errors.InvalidInput(error_message="Exceeded maximum amount of fixed ips per port.")
    chosen = [_chosen(port, subnets, wish) for wish in wishes]
    named = [choice.address for choice in chosen if choice.address]
    if len(named) != len(set(named)): raise errors.InvalidInput(error_message="Duplicate IP address in fixed_ips")
    return chosen + (_own_addresses(port, subnets, [choice.subnet.id for choice in chosen]) if wishes else [])


def _chosen(port: Port, subnets: Sequence[Subnet], wish: Wish) -> Choice:
    subnet_id, text = wish.get("subnet_id"), wish.get("ip_address")
    if not subnet_id and not text: raise errors.InvalidInput(error_message="IP allocation requires subnet_id or ip_address")
    if text:
        try: text = str(ip_address(text))
        except ValueError: raise errors.InvalidInput(error_message=f"'{text[:60]}' is not a valid IP address") from None
    if subnet_id:
        subnet = next((s for s in subnets if s.id == subnet_id), None)
        if subnet is None:
            raise errors.InvalidInput(error_message=f"Failed to create port on network {port.network_id}, because fixed_ips included "
                                                    f"invalid subnet {subnet_id}")
        if text and not addressing.usable(subnet.cidr, text): raise errors.InvalidIpForSubnet(ip_address=text)
    else:
        assert text is not None
        subnet = next((s for s in subnets if addressing.usable(s.cidr, text)), None)
        if subnet is None: raise errors.InvalidIpForNetwork(ip_address=text)
    if is_automatic(subnet) and not is_routers(port.device_owner): return Choice(subnet, addressing.eui64(subnet.cidr, port.mac_address))
    return Choice(subnet, text)


def _own_addresses(port: Port, subnets: Sequence[Subnet], but: Iterable[str] = ()) -> list[Choice]:
    """What a machine on this port gives itself."""
    if port.device_owner.startswith("network:"): return []
    return [Choice(s, addressing.eui64(s.cidr, port.mac_address)) for s in subnets if is_automatic(s) and s.id not in set(but)]


def give(db: Session, port: Port, choices: Sequence[Choice]) -> None:
    """Makes these the port's addresses and lets go of its others. Raises IpAddressAlreadyAllocated, IpAddressGenerationFailure."""
    before = [(ip["subnet_id"], ip["ip_address"]) for ip in port.fixed_ips or []]
    kept = _kept(before, choices)
    release(db, port, [address for pair in before if pair not in kept for address in [pair[1]]])
    final: list[tuple[str, str]] = []
    spare = list(kept)
    for choice in choices:
        pair = next((p for p in spare if p[0] == choice.subnet.id and choice.address in (None, p[1])), None)
        if pair is not None: spare.remove(pair)
        else: pair = (choice.subnet.id, _take(db, port, choice))
        final.append(pair)
    port.fixed_ips = [{"subnet_id": subnet_id, "ip_address": address} for subnet_id, address in final]


def _kept(before: list[tuple[str, str]], choices: Sequence[Choice]) -> list[tuple[str, str]]:
    """Which of the port's addresses the choices leave to it: those named, then one for each nameless choice of a subnet."""
    kept = [pair for pair in before if any((c.subnet.id, c.address) == pair for c in choices)]
    for choice in choices:
        if choice.address is not None: continue
        spare = next((p for p in before if p[0] == choice.subnet.id and p not in kept), None)
        if spare: kept.append(spare)
    return kept


def _take(db: Session, port: Port, choice: Choice) -> str:
    address = choice.address
    if address is not None:
        held = select(Allocation.port_id).where(Allocation.network_id == port.network_id, Allocation.ip_address == address)
        if db.execute(held).first(): raise errors.IpAddressAlreadyAllocated(ip=address, subnet_id=choice.subnet.id)
    else:
        address = _pick(db, choice.subnet)
        if address is None: raise errors.IpAddressGenerationFailure(net_id=port.network_id)
    db.execute(insert(Allocation).values(network_id=port.network_id, ip_address=address, subnet_id=choice.subnet.id, port_id=port.id))
    return address


def _pick(db: Session, subnet: Subnet) -> str | None:
    """A free address of the subnet's pools; remembers where to look next. Two transactions that pick at once: the second waits for the
    pool's row (PostgreSQL) or for the database (SQLite)."""
    def taken(window: list[str]) -> set[str]:
        return set(db.scalars(select(Allocation.ip_address).where(
            Allocation.network_id == subnet.network_id, Allocation.ip_address.in_(window))))

    def every() -> list[str]:
        return list(db.scalars(select(Allocation.ip_address).where(Allocation.subnet_id == subnet.id)))

    pools = select(Pool.position, Pool.first, Pool.last, Pool.next).where(Pool.subnet_id == subnet.id).order_by(Pool.position)
    for position, first, last, start in db.execute(pools.with_for_update()).all():
        found = addressing.free_address((first, last), start, taken, every)
        if found is None: continue
        if found != start:
            db.execute(update(Pool).where(Pool.subnet_id == subnet.id, Pool.position == position).values(next=found))
        return found
    return None


def release(db: Session, port: Port, addresses: Sequence[str]) -> None:
    """Lets go of addresses of a port."""
    if not addresses: return
    db.execute(delete(Allocation).where(Allocation.port_id == port.id, Allocation.ip_address.in_(addresses)))


def release_all(db: Session, port_ids: Sequence[str]) -> None:
    """Lets go of all addresses of these ports."""
    for at in range(0, len(port_ids), 500): db.execute(delete(Allocation).where(Allocation.port_id.in_(port_ids[at:at + 500])))


def set_pools(db: Session, subnet: Subnet, ranges: Sequence[addressing.Range]) -> None:
    """Writes a subnet's pools."""
    db.execute(delete(Pool).where(Pool.subnet_id == subnet.id))
    rows = [{"subnet_id": subnet.id, "position": at, "first": low, "last": high, "next": low} for at, (low, high) in enumerate(ranges)]
    if rows: db.execute(insert(Pool), rows)
    subnet.allocation_pools = [{"start": low, "end": high} for low, high in ranges]


def add_own_addresses(db: Session, subnet: Subnet, ports: Iterable[Any]) -> None:
    """A subnet on which machines make their own addresses came to the network: its ports have one there from now on."""
    for port in ports:
        if port.device_owner.startswith("network:"): continue
        address = _take(db, port, Choice(subnet, addressing.eui64(subnet.cidr, port.mac_address)))
        port.fixed_ips = [*port.fixed_ips, {"subnet_id": subnet.id, "ip_address": address}]
