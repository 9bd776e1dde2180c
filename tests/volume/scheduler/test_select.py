from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pilvi.volume.scheduler.select import OVERSUBSCRIPTION, Host, choose, fits


def host(name: str = "a", **more: Any) -> Host:
    usual = {"name": name, "backend": "file", "total_mib": 102_400, "free_mib": 50_000, "reserve_mib": 2_048, "promised_gib": 0}
    return Host(**usual | more)


def test_the_roomiest_host_wins_and_ties_are_stable() -> None:
    assert choose([host("a", free_mib=5_000), host("b", free_mib=9_000), host("c")], 1) == ("c", "")
    assert choose([host("b"), host("a"), host("c", promised_gib=3)], 1) == ("a", "")
    assert choose([host("b", promised_gib=1), host("a", promised_gib=3)], 1) == ("b", "")


def test_why_not() -> None:
    assert fits(host(silent=True), 1) == "its agent is silent"
    assert fits(host(disabled=True), 1) == "it is disabled"
    assert fits(host(free_mib=2_047), 1) == "only 2047 MiB are free, 2048 MiB are kept"
    assert fits(host(promised_gib=1_995), 5) is None and fits(host(promised_gib=1_996), 5) == "1996 GiB are promised already on 100 GiB"
    assert choose([], 1) == (None, "No host with a volume agent has reported.")
    assert choose([host("a", silent=True), host("b", disabled=True)], 1) == (None, "a: its agent is silent; b: it is disabled")


def test_a_source_binds_to_its_host() -> None:
    hosts = [host("a"), host("b", free_mib=3_000)]
    assert choose(hosts, 1, "b") == ("b", "") and choose(hosts, 1, "z") == (None, "host z is unknown")
    assert choose([host("a"), host("b", free_mib=1_000)], 1, "b")[0] is None


@given(st.lists(st.builds(host, name=st.sampled_from("abcdef"), free_mib=st.integers(0, 200_000), promised_gib=st.integers(0, 4_000),
                          silent=st.booleans(), disabled=st.booleans()), unique_by=lambda one: one.name), st.integers(1, 5_000))
def test_the_chosen_host_fits_and_none_only_if_none_fits(hosts: list[Host], size: int) -> None:
    name, reason = choose(hosts, size)
    fitting = [one for one in hosts if fits(one, size) is None]
    if name is None: assert not fitting and reason
    else:
        chosen = next(one for one in fitting if one.name == name)
        assert chosen.free_mib == max(one.free_mib for one in fitting)
        assert (chosen.promised_gib + size) * 1024 <= chosen.total_mib * OVERSUBSCRIPTION
