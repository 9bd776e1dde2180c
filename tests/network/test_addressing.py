"""Arithmetic of addresses."""
from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pilvi.network import addressing


def block(number: int, prefix: int) -> str:
    return str(ip_network((number, prefix), strict=False))


NETS = some.builds(block, some.integers(0, 2**32 - 1), some.integers(8, 32)) | \
    some.builds(block, some.integers(2**32, 2**128 - 1), some.integers(48, 128))


@pytest.mark.parametrize("cidr, first", [("10.0.0.0/24", "10.0.0.1"), ("2001:db8::/64", "2001:db8::1"), ("10.0.0.4/32", "10.0.0.4")])
def test_the_first_address_is_the_gateways(cidr: str, first: str) -> None:
    assert addressing.first_address(cidr) == first


@pytest.mark.parametrize("cidr, gateway, pools", [
    ("10.0.0.0/29", "10.0.0.1", [("10.0.0.2", "10.0.0.6")]), ("10.0.0.0/29", "10.0.0.6", [("10.0.0.1", "10.0.0.5")]),
    ("10.0.0.0/29", "10.0.0.3", [("10.0.0.1", "10.0.0.2"), ("10.0.0.4", "10.0.0.6")]), ("10.0.0.0/29", None, [("10.0.0.1", "10.0.0.6")]),
    ("10.0.0.0/29", "192.0.2.1", [("10.0.0.1", "10.0.0.6")]), ("10.0.0.0/31", "10.0.0.0", [("10.0.0.1", "10.0.0.1")]),
    ("10.0.0.7/32", "10.0.0.7", []), ("2001:db8::/126", "2001:db8::1", [("2001:db8::2", "2001:db8::3")]),
])
def test_pools_are_all_but_the_gateway(cidr: str, gateway: str | None, pools: list[addressing.Range]) -> None:
    assert addressing.default_pools(cidr, gateway) == pools


@given(NETS, some.data())
def test_pools_hold_exactly_what_is_usable(cidr: str, data: some.DataObject) -> None:
    net = ip_network(cidr)
    gateway = addressing.first_address(cidr)
    pools = addressing.default_pools(cidr, gateway)
    number = data.draw(some.integers(int(net.network_address), int(net.broadcast_address)))
    address = str(type(net.network_address)(number))
    pooled = any(int(ip_address(low)) <= number <= int(ip_address(high)) for low, high in pools)
    assert pooled == (addressing.usable(cidr, address) and address != gateway)


def test_families_do_not_mix() -> None:
    assert not addressing.overlap("10.0.0.0/8", "::/8") and not addressing.contains("::/96", "10.0.0.1")
    assert addressing.default_pools("::/120", "::1")[0][0] == "::2"


def test_eui64_turns_the_second_bit() -> None:
    assert addressing.eui64("2001:db8::/64", "fa:16:3e:12:34:56") == "2001:db8::f816:3eff:fe12:3456"


@given(some.sets(some.integers(0, 63)), some.integers(0, 63))
def test_a_free_address_is_found_whenever_there_is_one(used: set[int], start: int) -> None:
    taken = {f"10.0.0.{number}" for number in used}
    found = addressing.free_address(("10.0.0.0", "10.0.0.63"), f"10.0.0.{start}", lambda window: taken & set(window), lambda: taken)
    if len(used) == 64: assert found is None
    else: assert found is not None and found not in taken and 0 <= int(found.rpartition(".")[2]) <= 63


def test_the_whole_pool_is_looked_at_only_when_the_next_addresses_are_taken() -> None:
    def never() -> list[str]:
        raise AssertionError("searched the whole pool")

    assert addressing.free_address(("10.0.0.2", "10.0.0.200"), "10.0.0.50", lambda window: {"10.0.0.50"}, never) == "10.0.0.51"


def test_macs_are_unicast_and_of_one_range() -> None:
    assert all(addressing.random_mac().startswith("fa:16:3e:") for _ in range(10))


@given(some.lists(some.integers(0, 255), unique=True), some.integers(24, 30))
def test_a_free_block_overlaps_nothing_and_is_missed_only_when_all_are_taken(used: list[int], length: int) -> None:
    taken = [f"10.0.0.{number}/32" for number in used]
    found = addressing.free_block(["10.0.0.0/24"], taken, length)
    blocks = [f"10.0.0.{at}/{length}" for at in range(0, 256, 2 ** (32 - length))]
    free = [block for block in blocks if not any(addressing.overlap(block, one) for one in taken)]
    assert found == (free[0] if free else None)
