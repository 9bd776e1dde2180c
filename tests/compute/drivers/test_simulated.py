"""What the simulated driver has beyond the contract: it can be slow, fail, be many, and is the same every time."""
from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from pilvi.compute.drivers.interface import HypervisorFailure, Machine
from pilvi.compute.drivers.simulated import Failures, Rule, Simulated, rules


def machine(name: str = "web") -> Machine:
    return Machine(server_id=f"id-{name}", name=name, vcpus=2, memory_mib=512, disks=[], nics=[])


def host(text: str = "", latencies: dict[str, float] | None = None, path: Path | None = None, seed: int = 1) -> Simulated:
    return Simulated("h", seed=seed, latencies=latencies or {}, failures=Failures(rules(text)), state_path=path)


def test_rules_are_read_from_a_setting():
    assert rules("*bad*:create web-?:stop:2") == [Rule("*bad*", "create"), Rule("web-?", "stop", 2)]
    for wrong in ("create", "a:create:often", "a::1"):
        with pytest.raises(ValueError, match="not a failure rule"): rules(wrong)


def test_a_rule_strikes_the_named_verb_of_the_named_servers():
    driver = host("*bad*:create")
    driver.create(machine("good"))
    with pytest.raises(HypervisorFailure, match=r"\*bad\*:create"): driver.create(machine("a-bad-one"))
    assert driver.power() == {"id-good": "running", "id-a-bad-one": "stopped"}
    driver.destroy("id-a-bad-one")
    assert driver.power() == {"id-good": "running"}


def test_a_rule_is_spent_after_its_times_for_each_server():
    driver = host("*:create:1")
    for name in ("a", "b"):
        with pytest.raises(HypervisorFailure): driver.create(machine(name))
        driver.create(machine(name))
    assert driver.power() == {"id-a": "running", "id-b": "running"}


def test_verbs_take_their_time(monkeypatch: pytest.MonkeyPatch):
    slept = list[float]()
    monkeypatch.setattr(time, "sleep", slept.append)  # a shared machine's clock would say nothing
    driver = host(latencies={"create": 200.0})
    driver.create(machine())
    assert len(slept) == 1 and 100 <= slept[0] <= 300
    driver.pause("id-web")
    assert len(slept) == 1


def test_the_same_seed_gives_the_same_and_another_another():
    def rate(seed: int) -> float:
        driver = host(seed=seed)
        driver.create(machine())
        driver._records["id-web"] = driver._records["id-web"].__class__(machine=machine(), power="running", since=time.time() - 1e6)
        return round(float(driver.statistics("id-web")["cpu_seconds"]) / 1e6, 4)
    assert rate(1) == rate(1) != rate(2)


def test_machines_survive_with_their_definition(tmp_path: Path):
    driver = host(path=tmp_path / "state.json")
    driver.create(machine())
    driver.happen("id-web", "crashed")
    again = host(path=tmp_path / "state.json")
    assert again.power() == {"id-web": "crashed"}
    assert "web" in again.console_log("id-web", None)


def test_there_is_no_console_and_that_is_said():
    driver = host()
    driver.create(machine())
    with pytest.raises(HypervisorFailure, match="simulated"): driver.console_socket("id-web", "vnc")
    assert "no guest runs here" in driver.console_log("id-web", None)


def test_ten_thousand_hosts_fit_in_a_process():
    failures, latencies = Failures([]), {"create": 0.0}
    tracemalloc.start()
    hosts = [Simulated(f"host-{number}", seed=1, latencies=latencies, failures=failures, state_path=None) for number in range(10_000)]
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used / len(hosts) < 1_000
