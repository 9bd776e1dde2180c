"""The search, pure: trees, sharing, groups, and against a slow and obvious one."""
from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pilvi.placement.candidates.request import Group, Request, parse
from pilvi.placement.candidates.search import search
from pilvi.placement.candidates.snapshot import SHARING, Provider, Snapshot, Stock

LATEST = (1, 39)


def provider(id: str, stocks: dict[str, int], parent: str | None = None, root: str | None = None, traits: tuple[str, ...] = (),
             aggregates: tuple[str, ...] = ()) -> Provider:
    return Provider(id, id, 0, parent, root or id, 0.0, frozenset(traits), frozenset(aggregates),
                    {name: Stock(amount, 0, amount, 1, 1000, 1) for name, amount in stocks.items()})


def cloud(*providers: Provider) -> Snapshot:
    snapshot = Snapshot()
    snapshot.replace(providers)
    return snapshot


def found(snapshot: Snapshot, query: str, version: tuple[int, int] = LATEST) -> list[dict[str, dict[str, int]]]:
    pairs = [tuple(part.split("=", 1)) for part in query.split("&")]
    return [dict(one.allocations) for one in search(snapshot, parse(pairs, version))]  # type: ignore[arg-type]


NUMA = (provider("host", {"DISK_GB": 10}), provider("n0", {"VCPU": 4, "MEMORY_MB": 100}, "host", "host", ("CUSTOM_FAST",)),
        provider("n1", {"VCPU": 8, "MEMORY_MB": 100}, "host", "host"))


def test_the_group_without_suffix_takes_from_the_whole_tree() -> None:
    assert found(cloud(*NUMA), "resources=VCPU:6,DISK_GB:1") == [{"n1": {"VCPU": 6}, "host": {"DISK_GB": 1}}]
    assert len(found(cloud(*NUMA), "resources=VCPU:1,MEMORY_MB:1")) == 4


def test_clients_before_nested_trees_get_one_provider_of_each() -> None:
    assert found(cloud(*NUMA), "resources=VCPU:6,DISK_GB:1", (1, 28)) == []
    assert len(found(cloud(*NUMA), "resources=VCPU:1,MEMORY_MB:1", (1, 28))) == 2


def test_a_group_with_suffix_takes_all_from_one_provider() -> None:
    assert found(cloud(*NUMA), "resources1=VCPU:1,MEMORY_MB:1&required1=CUSTOM_FAST") == [{"n0": {"VCPU": 1, "MEMORY_MB": 1}}]


def test_isolated_groups_go_to_different_providers_and_others_may_share_within_capacity() -> None:
    assert len(found(cloud(*NUMA), "resources1=VCPU:3&resources2=VCPU:3&group_policy=isolate")) == 2
    assert len(found(cloud(*NUMA), "resources1=VCPU:3&resources2=VCPU:3&group_policy=none")) == 3


def test_sharing_providers_give_to_trees_of_their_aggregate() -> None:
    disk = provider("disk", {"DISK_GB": 10}, traits=(SHARING,), aggregates=("g",))
    near, far = provider("near", {"VCPU": 2}, aggregates=("g",)), provider("far", {"VCPU": 2})
    assert found(cloud(disk, near, far), "resources=VCPU:1,DISK_GB:1") == [{"near": {"VCPU": 1}, "disk": {"DISK_GB": 1}}]


def test_same_subtree_needs_an_ancestor_among_the_providers() -> None:
    tree = (*NUMA, provider("p0", {"SRIOV_NET_VF": 1}, "n0", "host"), provider("p1", {"SRIOV_NET_VF": 1}, "n1", "host"))
    query = "resources_A=VCPU:1&resources_B=SRIOV_NET_VF:1&group_policy=none&same_subtree=_A,_B"
    assert sorted(sorted(one) for one in found(cloud(*tree), query)) == [["n0", "p0"], ["n1", "p1"]]


def test_a_provider_that_moves_or_goes_leaves_its_old_tree() -> None:
    snapshot = cloud(*NUMA)
    snapshot.replace([provider("n1", {"VCPU": 8})])
    assert found(snapshot, "resources=VCPU:6,DISK_GB:1") == []
    snapshot.retain({"host", "n0"})
    assert set(snapshot.providers) == {"host", "n0"} and set(snapshot.trees) == {"host"}


AMOUNTS = st.dictionaries(st.sampled_from(["A", "B"]), st.integers(1, 4), min_size=1)
TRAITS = st.frozensets(st.sampled_from(["X", "Y", "Z"]), max_size=3)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(AMOUNTS, TRAITS), max_size=6), AMOUNTS, TRAITS, TRAITS, st.integers(0, 9))
def test_one_provider_trees_are_found_as_a_plain_filter_would(
        hosts: list[tuple[dict[str, int], frozenset[str]]], wanted: dict[str, int], required: frozenset[str], forbidden: frozenset[str],
        start: int) -> None:
    snapshot = cloud(*(provider(str(at), stocks, traits=tuple(traits)) for at, (stocks, traits) in enumerate(hosts)))
    request = Request([Group(resources=wanted, required=[frozenset([name]) for name in required], forbidden=forbidden)])
    expected = {str(at) for at, (stocks, traits) in enumerate(hosts)
                if all(stocks.get(name, 0) >= amount for name, amount in wanted.items()) and required <= traits and not forbidden & traits}
    assert {one.allocations[0][0] for one in search(snapshot, request, start)} == expected
