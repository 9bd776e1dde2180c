"""Arithmetic of addresses and pools: pure, on the values' text form. Families never mix.

Source: Networking API v2.0, "Subnets"; RFC 4291, appendix A (modified EUI-64).
"""
from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network

MAC_PREFIX = "fa:16:3e"
WINDOW = 32
"""How many addresses are looked at before a pool is searched as a whole."""

Range = tuple[str, str]
Net = IPv4Network | IPv6Network


def contains(cidr: str, address: str) -> bool:
    """Is the address part of the network?"""
    net, value = ip_network(cidr), ip_address(address)
    return net.version == value.version and value in net


def usable(cidr: str, address: str) -> bool:
    """Can a machine have this address: it is in the network, and neither the network's own nor the broadcast address."""
    if not contains(cidr, address): return False
    first, last = _bounds(ip_network(cidr))
    return first <= int(ip_address(address)) <= last


def overlap(one: str, other: str) -> bool:
    """Do the networks share an address?"""
    left, right = ip_network(one), ip_network(other)
    return left.version == right.version and left.overlaps(right)


def first_address(cidr: str) -> str:
    """The address that a gateway gets if nobody says another."""
    net = ip_network(cidr)
    return _text(net, int(net.network_address) + (1 if net.num_addresses > 1 else 0))


def default_pools(cidr: str, gateway: str | None) -> list[Range]:
    """All usable addresses but the gateway's, as one or two ranges."""
    net = ip_network(cidr)
    first, last = _bounds(net)
    if gateway is None or not contains(cidr, gateway) or not first <= (at := int(ip_address(gateway))) <= last:
        return [(_text(net, first), _text(net, last))] if first <= last else []
    parts = [(first, at - 1), (at + 1, last)]
    return [(_text(net, low), _text(net, high)) for low, high in parts if low <= high]


def _bounds(net: Net) -> tuple[int, int]:
    low, high = int(net.network_address), int(net.broadcast_address)
    if net.version == 4 and net.prefixlen < 31: return low + 1, high - 1
    if net.version == 6 and net.prefixlen < 127: return low + 1, high
    return low, high


def _text(net: Net, number: int) -> str:
    """By the family of the network: a small IPv6 number must not become an IPv4 address."""
    return str(type(net.network_address)(number))


def eui64(cidr: str, mac: str) -> str:
    """The address that a machine with this MAC gives itself in the network."""
    octets = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes([octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]])
    net = ip_network(cidr)
    return _text(net, int(net.network_address) | int.from_bytes(identifier, "big"))


def random_mac() -> str:
    """A MAC of this cloud's range."""
    return ":".join([MAC_PREFIX, *(f"{octet:02x}" for octet in secrets.token_bytes(3))])


def free_address(pool: Range, start: str, taken: Callable[[list[str]], set[str]], every: Callable[[], Iterable[str]]) -> str | None:
    """A free address of the pool, which is also where to look next time; None if all are taken.

    Looks first at the next few from `start` (`taken` says which of them are), and at the whole pool only when these are all taken (`every`:
    all taken addresses of the subnet)."""
    low, high, begin = (int(ip_address(text)) for text in (*pool, start))
    family = type(ip_address(pool[0]))
    window = [str(family(number)) for number in range(max(begin, low), min(begin + WINDOW, high + 1))]
    busy = taken(window) if window else set()
    near = next((text for text in window if text not in busy), None)
    if near is not None: return near
    used = {int(ip_address(text)) for text in every()}
    free = next((number for number in range(low, high + 1) if number not in used), None)
    return None if free is None else str(family(free))


def within(inner: str, outer: str) -> bool:
    """Is all of one network part of the other?"""
    small, large = ip_network(inner), ip_network(outer)
    return small.version == large.version and small.network_address in large and small.broadcast_address in large


def merged(cidrs: Iterable[str]) -> list[str]:
    """The same addresses in as few networks as possible, in order. All of one family."""
    nets: list[Net] = [ip_network(text) for text in cidrs]
    return [str(net) for net in collapse_addresses(nets)]  # type: ignore[type-var]


def free_block(prefixes: Iterable[str], taken: Iterable[str], length: int) -> str | None:
    """The first network of that prefix length in the prefixes that overlaps none of the taken ones; None if there is none."""
    busy = sorted((int(net.network_address), int(net.broadcast_address)) for net in map(ip_network, taken))
    for prefix in prefixes:
        net = ip_network(prefix)
        size = 1 << (net.max_prefixlen - length)
        at, end = int(net.network_address), int(net.broadcast_address)
        if length < net.prefixlen: continue
        for low, high in busy:
            if high < at: continue
            if low >= at + size: break
            at = -(-(high + 1) // size) * size
        if at + size - 1 <= end: return f"{_text(net, at)}/{length}"
    return None
