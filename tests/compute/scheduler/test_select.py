"""The best of the hosts that pass; never more than fits; and when nothing is found, why."""
from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pilvi.compute.scheduler.select import explain, passing, select
from pilvi.compute.scheduler.types import Host, Request


def host(name: str = "one", **facts: Any) -> Host:
    return Host(**{"name": name, "vcpus": 8, "memory_mib": 8192, "disk_gib": 100} | facts)


def names(request: Request, hosts: list[Host], count: int = 1, seed: int = 1) -> list[str]:
    return [each.name for each in select(request, hosts, count, Random(seed))]


SMALL = Request(vcpus=1, memory_mib=512, disk_gib=1)


def test_the_host_with_most_room_is_taken() -> None:
    assert names(SMALL, [host("busy", memory_used_mib=4096), host("free"), host("full", memory_used_mib=8000)]) == ["free"]


def test_a_host_on_which_builds_failed_comes_last() -> None:
    assert names(SMALL, [host("broken", failed_builds=1), host("busy", memory_used_mib=7000, vcpus_used=7, io_ops=5)]) == ["busy"]


def test_between_equals_chance_decides() -> None:
    hosts = [host(name) for name in "abc"]
    assert {names(SMALL, hosts, seed=seed)[0] for seed in range(30)} == set("abc")
    assert names(SMALL, hosts, seed=7) == names(SMALL, hosts, seed=7)


def test_several_servers_are_spread() -> None:
    assert Counter(names(SMALL, [host(name) for name in "abcd"], 8)) == Counter({name: 2 for name in "abcd"})


def test_several_servers_fill_what_there_is_and_no_more() -> None:
    hosts = [host("a", vcpus=2), host("b", vcpus=1)]
    assert sorted(names(SMALL, hosts, 10)) == ["a", "a", "b"]
    assert hosts == [host("a", vcpus=2), host("b", vcpus=1)], "hosts are values"


def test_an_affinity_group_stays_together_even_if_it_begins_now() -> None:
    group = Request(vcpus=1, group_id="g", group_policy="affinity")
    assert len(set(names(group, [host(name) for name in "abc"], 3))) == 1
    assert names(group, [host("a", vcpus=2), host("b", vcpus=2)], 3) in (["a", "a"], ["b", "b"])


def test_an_anti_affinity_group_goes_apart() -> None:
    group = Request(vcpus=1, group_id="g", group_policy="anti-affinity")
    assert sorted(names(group, [host(name) for name in "abc"], 5)) == ["a", "b", "c"]


def test_soft_policies_are_wishes() -> None:
    hosts = [host("a", vcpus=2), host("b", vcpus=8, memory_used_mib=100)]
    together = Request(vcpus=1, memory_mib=1, group_id="g", group_policy="soft-affinity")
    assert Counter(names(together, [host("a", vcpus=2), host("b", vcpus=2)], 3)).most_common(1)[0][1] == 2
    assert names(together, [host("a", groups={"g": 1}, memory_used_mib=4096), host("b")]) == ["a"]
    apart = Request(vcpus=1, memory_mib=1, group_id="g", group_policy="soft-anti-affinity")
    assert sorted(names(apart, hosts, 2)) == ["a", "b"] and len(names(apart, hosts, 5)) == 5


def test_a_forced_host_is_not_asked() -> None:
    hosts = [host("a", enabled=False), host("b")]
    assert names(Request(host="a", forced=True), hosts) == ["a"]
    assert names(Request(host="a"), hosts) == [] and names(Request(host="c", forced=True), hosts) == []


def test_nothing_asked_and_nowhere_to_go() -> None:
    assert names(SMALL, []) == names(SMALL, [host()], 0) == []


def test_an_explanation_names_host_filter_and_reason() -> None:
    request = Request(vcpus=4, memory_mib=512, availability_zone="az2")
    refusals = explain(request, [host("a", vcpus=2, vcpus_used=1), host("b", up=False)])
    assert [(each.host, each.filter, each.reason) for each in refusals] == [
        ("a", "availability_zone", "It must be in the availability zone 'az2' and is in 'nova'."),
        ("a", "capacity", "It must have room for 4 VCPUs (in use: 1 of 2), 512 MiB of memory (0 of 8192) and 0 GiB of disk (0 of 100)."),
        ("b", "compute", "Its compute service must be enabled (it is: True) and up (it is: False)."),
        ("b", "availability_zone", "It must be in the availability zone 'az2' and is in 'nova'.")]


HOSTS = st.lists(st.builds(
    Host, name=st.uuids().map(str), vcpus=st.integers(0, 6), vcpus_used=st.integers(0, 3), memory_mib=st.integers(0, 9),
    disk_gib=st.just(50), enabled=st.booleans(), availability_zone=st.sampled_from(["nova", "az2"]),
    failed_builds=st.integers(0, 1), io_ops=st.integers(0, 3),
    groups=st.sampled_from([{}, {"g": 1}])), max_size=8)
REQUESTS = st.builds(
    Request, vcpus=st.integers(1, 3), memory_mib=st.integers(0, 3), availability_zone=st.sampled_from([None, "nova"]),
    group_id=st.just("g"), group_policy=st.sampled_from(["", "affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"]))


@settings(max_examples=300, deadline=None)
@given(hosts=HOSTS, request_=REQUESTS, count=st.integers(1, 12), seed=st.integers(0, 3))
def test_what_is_chosen_fits_and_as_much_as_fits_is_chosen(hosts: list[Host], request_: Request, count: int, seed: int) -> None:
    chosen = select(request_, hosts, count, Random(seed))
    by_name = {each.name: each for each in hosts}
    for name, times in Counter(each.name for each in chosen).items():
        before = by_name[name]
        assert before.enabled and before.vcpus_used + times * request_.vcpus <= before.vcpus
        assert times * request_.memory_mib <= before.memory_mib
        if request_.group_policy == "anti-affinity": assert before.groups.get("g", 0) + times == 1
    if request_.group_policy == "affinity": assert len({each.name for each in chosen}) <= 1
    refused = {each.host for each in explain(request_, hosts)}
    assert {each.name for each in hosts} - refused == {each.name for each in passing(request_, hosts)}
    if not chosen: assert len(refused) == len(hosts)
    if len(chosen) < count and not request_.group_policy:
        room = [each for each in hosts if each.name not in refused]
        assert len(chosen) == sum(min((each.vcpus - each.vcpus_used) // request_.vcpus,
                                      each.memory_mib // request_.memory_mib if request_.memory_mib else 99) for each in room)
