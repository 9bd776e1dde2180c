"""The simulated network tells of a port that is bound again, though no topology showed it unbound."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pilvi.core import clock
from pilvi.network.drivers.interface import Port, Topology
from pilvi.network.drivers.simulated import ASKED_SECONDS, Simulated

UNBOUND = Port(id="a", name="a", network_id="n", mac="fa:16:3e:00:00:01", fixed_ips=[], device_owner="compute:nova", device_id="s")
Told = list[tuple[str, bool]]


@pytest.fixture
def told() -> Told: return []


@pytest.fixture
def backend(tmp_path: Path, told: Told) -> Simulated:
    backend = Simulated(tmp_path, cloud_id="cloud")
    backend.start(status_changed=lambda port_id, up: told.append((port_id, up)))
    return backend


def on(host: str, **more: Any) -> Topology:
    return Topology(ports=[replace(UNBOUND, host=host, **more)])


def test_bound_again_to_the_same_host_between_two_turns_is_told(backend: Simulated, told: Told) -> None:
    backend.binding("one", "a")
    backend.apply(on("one"))
    backend.apply(on("one"))
    assert told == [("a", True)]
    backend.binding("one", "a")
    assert backend.apply(on("one")) == [] and told == [("a", True)] * 2
    backend.apply(on("one"))
    assert len(told) == 2


def test_it_is_told_when_the_topology_has_the_host_that_was_asked_for(backend: Simulated, told: Told) -> None:
    backend.apply(on("one"))
    backend.binding("two", "a")
    backend.apply(on("one", name="b"))  # the binding is not committed yet
    assert told == [("a", True)]
    backend.apply(on("two"))
    assert told == [("a", True)] * 2


def test_a_port_that_is_switched_off_is_not_told_to_be_up(backend: Simulated, told: Told) -> None:
    backend.apply(on("one", admin_up=False))
    backend.binding("one", "a")
    backend.apply(on("one", admin_up=False))
    assert told == []


def test_a_binding_that_was_never_committed_is_forgotten(backend: Simulated, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    backend.binding("one", "a")
    later = clock.monotonic() + ASKED_SECONDS + 1
    monkeypatch.setattr(clock, "monotonic", lambda: later)  # instead of waiting a minute
    backend.apply(on(""))
    backend.apply(on("one"))
    assert told == [("a", True)]
    backend.apply(on("one", name="b"))
    assert len(told) == 1 and not backend._asked
