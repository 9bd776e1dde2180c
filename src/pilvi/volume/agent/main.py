"""The volume agent: works on its hosts' tasks with their drivers, and tells the conductor what room they have.

It has no database. Acts are repeatable; all acts on one volume run one after the other, on the host, under the volume's lock.
"""
from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import structlog

from pilvi.core import clock
from pilvi.core.bus.interface import Bus
from pilvi.core.context import Call
from pilvi.core.errand import Errand, Runner
from pilvi.core.errors import Failure, Unauthenticated, Unavailable
from pilvi.core.reconcile import Repeat
from pilvi.volume import errors
from pilvi.volume.agent import image
from pilvi.volume.drivers.interface import StoreFailure, VolumeAbsent, VolumeDriver

LOG = structlog.get_logger()
REPORT_SECONDS = 15.0
CALL_SECONDS = 30.0
PATIENCE_SECONDS = 120.0
"""How long an image service that is away (or restarts in the middle of an image) is asked again."""
PAUSE_SECONDS = 1.0
FORMS = {"raw": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx"}
"""Formats of images that volumes may become, in QEMU's words."""


class TokenSource(Protocol):
    """The agent's own token (pilvi.identity.client.Tokens)."""

    def current(self) -> tuple[str, bool]: ...

    def forget(self) -> None: ...


class VolumeAgent:
    """Serves hosts, each with its store, until `stop`. There is one; many when they are simulated, and then they may share a store."""

    def __init__(self, bus: Bus, drivers: Mapping[str, VolumeDriver], tokens: TokenSource, *, locks: Path) -> None:
        self.bus, self.drivers, self.tokens = bus, drivers, tokens
        self.patience_seconds = PATIENCE_SECONDS
        acts = {name: _translated(partial(act, self)) for name, act in ACTS.items()}
        self.runner = Runner(bus, "volume", list(drivers), {flow: acts for flow in FLOWS}, locks)
        self.loop = Repeat("volume capacity", REPORT_SECONDS, self.report)

    def start(self) -> None:
        """Removes what interrupted work has left, reports, and works from now on."""
        for driver in self._stores(): driver.clean()
        self.runner.start()
        self.loop.start()

    def stop(self) -> None:
        """Ends after the acts that run now."""
        self.loop.stop()
        self.runner.stop()

    def _stores(self) -> list[VolumeDriver]:
        return list({id(driver): driver for driver in self.drivers.values()}.values())

    def report(self) -> None:
        """Tells the conductor what the hosts have left; soon again if that failed: a host that is silent gets no volumes."""
        self.loop.seconds = REPORT_SECONDS
        for driver in self._stores():
            left, hosts = driver.statistics(), [host for host, own in self.drivers.items() if own is driver]
            args = {"hosts": hosts, "backend": driver.name, "total_mib": left.total_mib, "free_mib": left.free_mib,
                    "reserve_mib": left.reserve_mib}
            try: self.bus.call("volume.conductor", "capacity", args, deadline_seconds=CALL_SECONDS)
            except Failure as failure:
                LOG.info("control is away", reason=failure.message)
                self.loop.seconds = PAUSE_SECONDS

    def patient(self, errand: Errand, ask: Callable[[Call], None]) -> None:
        """Asks an API on behalf of an errand, again while it is away, with a new token when one is refused."""
        until = clock.monotonic() + self.patience_seconds
        while True:
            try:
                ask(Call(token=self.tokens.current()[0], grant_text=errand.grant))
                return
            except (Unauthenticated, Unavailable) as failure:
                if isinstance(failure, Unauthenticated): self.tokens.forget()
                if clock.monotonic() > until: raise
            time.sleep(PAUSE_SECONDS)
            errand.still_mine()


def make_volume(agent: VolumeAgent, errand: Errand) -> dict[str, Any]:
    """The volume, empty or with the bytes of its source → how it is opened."""
    driver, facts, id = agent.drivers[errand.host], errand.facts, errand.subject_id
    if facts.get("source_id"):
        with agent.runner.lock(facts["source_id"]): driver.clone(id, facts["size"], facts["source_id"], facts.get("snapshot_id"))
    elif facts.get("image_id") and driver.holds_bytes: _make_from_image(agent, errand)
    else: driver.create(id, facts["size"])
    return {"connection": driver.connection(id)}


def _make_from_image(agent: VolumeAgent, errand: Errand) -> None:
    driver = agent.drivers[errand.host]
    if errand.subject_id in driver.volumes(): return
    left, size = driver.statistics(), errand.facts["size"]
    free_mib = max(0, left.free_mib - left.reserve_mib)

    def make(call: Call) -> None:
        with image.fetched(call, errand.facts["image_id"], size, driver.workspace(), free_mib) as (path, form):
            driver.create_from_file(errand.subject_id, size, path, form)

    agent.patient(errand, make)


def remove_volume(agent: VolumeAgent, errand: Errand) -> None:
    """The volume is gone from the host."""
    agent.drivers[errand.host].delete(errand.subject_id)


def grow_volume(agent: VolumeAgent, errand: Errand) -> None:
    """The volume has its new size."""
    agent.drivers[errand.host].extend(errand.subject_id, errand.facts["size"])


def revert_volume(agent: VolumeAgent, errand: Errand) -> None:
    """The volume has its snapshot's content."""
    agent.drivers[errand.host].revert(errand.subject_id, errand.facts["snapshot_id"])


def upload_volume(agent: VolumeAgent, errand: Errand) -> None:
    """The image has the volume's bytes."""
    driver, image_id = agent.drivers[errand.host], errand.facts["image_id"]
    path = driver.workspace() / f"{image_id}-{errand.attempt}"
    try:
        driver.export(errand.subject_id, path, FORMS[errand.facts["disk_format"]])
        agent.patient(errand, lambda call: image.give(call, image_id, path))
    finally:
        path.unlink(missing_ok=True)


def make_snapshot(agent: VolumeAgent, errand: Errand) -> None:
    """The snapshot is kept."""
    with agent.runner.lock(errand.facts["volume_id"]):
        agent.drivers[errand.host].snapshot(errand.facts["volume_id"], errand.subject_id)


def remove_snapshot(agent: VolumeAgent, errand: Errand) -> None:
    """The snapshot is gone."""
    with agent.runner.lock(errand.facts["volume_id"]):
        agent.drivers[errand.host].delete_snapshot(errand.facts["volume_id"], errand.subject_id)


ACTS: dict[str, Callable[[VolumeAgent, Errand], dict[str, Any] | None]] = {
    "make_volume": make_volume, "remove_volume": remove_volume, "grow_volume": grow_volume,
    "revert_volume": revert_volume, "upload_volume": upload_volume, "make_snapshot": make_snapshot, "remove_snapshot": remove_snapshot}
FLOWS = ("create", "delete", "extend", "revert", "upload", "create_snapshot", "delete_snapshot")


def _translated(act: Callable[[Errand], dict[str, Any] | None]) -> Callable[[Errand], dict[str, Any] | None]:
    """The store's failures as failures of the task, with their text."""
    def run(errand: Errand) -> dict[str, Any] | None:
        try: return act(errand)
        except (StoreFailure, VolumeAbsent) as failure: raise errors.StoreRefused(reason=str(failure)) from failure

    return run
