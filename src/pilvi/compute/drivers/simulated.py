"""The hypervisor driver `simulated`: machines that exist only as records, for development, CI and clouds of ten thousand hosts in one
process.

It keeps the interface's promises (repeatable verbs, machines that survive the agent) and can be told to be slow and to fail. An object per
host costs some hundred bytes; latencies and failures are shared by all of them.
"""
from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from random import Random
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pilvi.compute.drivers.interface import Capabilities, Disk, HypervisorFailure, Machine, Nic, Power, Size
from pilvi.core import disk_image

BIG_HOST = Capabilities(hypervisor_type="simulated", hypervisor_version=1_000_000, vcpus=64, memory_mib=262_144, disk_gib=4_096,
                        accelerator="simulated", traits=["COMPUTE_NODE", "COMPUTE_VOLUME_ATTACH", "COMPUTE_NET_ATTACH_INTERFACE",
                        "HW_ARCH_X86_64"], boots_at_once=64)


class Rule(Struct, frozen=True):
    """`method` fails for servers whose name matches the shell pattern, the first `times` times for each (None: always)."""
    pattern: str
    method: str
    times: int | None = None


def rules(text: str) -> list[Rule]:
    """Rules from a setting: "name pattern:method[:times]", separated by spaces, for example `*unlucky*:create:1 web-?:attach_disk`."""
    found = []
    for word in text.split():
        pattern, _, rest = word.partition(":")
        method, _, times = rest.partition(":")
        if not method or (times and not times.isdigit()): raise ValueError(f"not a failure rule: {word!r} (name pattern:method[:times])")
        found.append(Rule(pattern, method, int(times) if times else None))
    return found


class Failures:
    """The rules and how often each has struck; one value may serve all hosts of a process."""

    def __init__(self, rules: list[Rule]) -> None:
        self._rules = rules
        self._struck: Counter[tuple[int, str]] = Counter()
        self._lock = threading.Lock()

    def strike(self, method: str, machine: Machine) -> None:
        """HypervisorFailure where a rule says so."""
        for number, rule in enumerate(self._rules):
            if rule.method != method or not fnmatchcase(machine.name, rule.pattern): continue
            with self._lock:
                self._struck[number, machine.server_id] += 1
                spent = rule.times is not None and self._struck[number, machine.server_id] > rule.times
            if not spent: raise HypervisorFailure(f"{method} of {machine.name}: told to fail by the rule {rule.pattern}:{rule.method}")


class Record(Struct, frozen=True, kw_only=True):
    """A machine. `since`: when it last started, in seconds of the epoch. `suspended`: it is off, and its memory is kept."""
    machine: Machine
    power: Power
    since: float
    suspended: bool = False
    before: Machine | None = None
    """What it was before a resize that is not confirmed yet."""


class Simulated:
    """One host. `latencies`: {method: seconds}, each stretched by 0.5 to 1.5 as `seed`, host and server decide; `state_path` keeps the
    machines.
    """

    __slots__ = ("_changed", "_failures", "_host", "_latencies", "_lock", "_offers", "_records", "_seed", "_state_path")

    def __init__(self, host: str, *, seed: int, latencies: Mapping[str, float], failures: Failures, state_path: Path | None,
                 offers: Capabilities = BIG_HOST) -> None:
        self._host, self._seed, self._latencies, self._failures, self._state_path = host, seed, latencies, failures, state_path
        self._offers = offers
        self._lock = threading.Lock()
        self._changed: Callable[[str, str], None] | None = None
        self._records: dict[str, Record] = {}
        if state_path is not None and state_path.exists():
            self._records = msgspec.json.decode(state_path.read_bytes(), type=dict[str, Record])

    def capabilities(self) -> Capabilities:
        return self._offers

    def create(self, machine: Machine) -> None:
        record = self._records.get(machine.server_id)
        if record is not None and record.power in ("running", "paused"): return
        self._keep(machine.server_id, Record(machine=machine, power="stopped", since=0.0))
        with self._verb("create", machine.server_id) as record: self._run(record)

    def destroy(self, server_id: str) -> None:
        if server_id not in self._records: return
        with self._verb("destroy", server_id): self._keep(server_id, None)

    def power(self) -> dict[str, Power]:
        with self._lock: return {server_id: record.power for server_id, record in self._records.items()}

    def start(self, server_id: str) -> None:
        with self._verb("start", server_id) as record:
            if record.power == "paused": self._keep(server_id, replace(record, power="running"))
            elif record.power != "running": self._run(record)

    def stop(self, server_id: str, grace_seconds: float) -> None:
        with self._verb("stop", server_id) as record: self._keep(server_id, replace(record, power="stopped"))

    def reboot(self, server_id: str, *, hard: bool, grace_seconds: float) -> None:
        with self._verb("reboot", server_id) as record: self._run(record)

    def pause(self, server_id: str) -> None:
        with self._verb("pause", server_id) as record: self._keep(server_id, replace(_running(record), power="paused"))

    def unpause(self, server_id: str) -> None:
        with self._verb("unpause", server_id) as record: self._keep(server_id, replace(_running(record), power="running"))

    def suspend(self, server_id: str) -> None:
        with self._verb("suspend", server_id) as record:
            if not record.suspended: self._keep(server_id, replace(_running(record), power="stopped", suspended=True))

    def resume(self, server_id: str) -> None:
        with self._verb("resume", server_id) as record:
            if record.suspended: self._keep(server_id, replace(record, power="running", suspended=False))
            elif record.power != "running": self._run(record)

    def definition(self, server_id: str) -> Machine:
        return self._record(server_id).machine

    def rebuild(self, machine: Machine) -> None:
        with self._verb("rebuild", machine.server_id): self._keep(machine.server_id, Record(machine=machine, power="stopped", since=0.0))

    def copy_disk(self, server_id: str, disk_id: str, path: Path) -> None:
        """An empty disk of the same size: what the guest would have written nobody knows."""
        with self._verb("copy_disk", server_id) as record:
            disk = next((disk for disk in record.machine.disks if disk.id == disk_id), None)
            if disk is None: raise HypervisorFailure(f"machine {server_id} has no disk {disk_id}")
            path.write_bytes(disk_image.empty_qcow2(max(disk.size_gib, 1)))

    def attach_disk(self, server_id: str, disk: Disk) -> None:
        with self._verb("attach_disk", server_id) as record:
            self._redefine(record, disks=[*(other for other in record.machine.disks if other.id != disk.id), disk])

    def detach_disk(self, server_id: str, disk_id: str) -> None:
        with self._verb("detach_disk", server_id) as record:
            self._redefine(record, disks=[other for other in record.machine.disks if other.id != disk_id])

    def attach_nic(self, server_id: str, nic: Nic) -> None:
        with self._verb("attach_nic", server_id) as record:
            self._redefine(record, nics=[*(other for other in record.machine.nics if other.port_id != nic.port_id), nic])

    def detach_nic(self, server_id: str, port_id: str) -> None:
        with self._verb("detach_nic", server_id) as record:
            self._redefine(record, nics=[other for other in record.machine.nics if other.port_id != port_id])

    def resize_disk(self, server_id: str, disk_id: str, size_gib: int) -> None:
        with self._verb("resize_disk", server_id) as record:
            if disk_id not in {disk.id for disk in record.machine.disks}:
                raise HypervisorFailure(f"machine {server_id} has no disk {disk_id}")

    def resize(self, server_id: str, size: Size) -> None:
        with self._verb("resize", server_id) as record:
            if record.power != "stopped": raise HypervisorFailure(f"machine {server_id} runs: it can't be resized")
            self._keep(server_id, replace(record, machine=size.of(record.machine), before=record.before or record.machine))

    def settle(self, server_id: str, *, keep: bool) -> None:
        with self._verb("settle", server_id) as record:
            if record.before is None: return
            sizes = {disk.id: disk.size_gib for disk in record.before.disks}
            back = Size(vcpus=record.before.vcpus, memory_mib=record.before.memory_mib, disk_gib=0, extra_specs=record.before.extra_specs)
            disks = [replace(disk, size_gib=sizes.get(disk.id, disk.size_gib)) for disk in record.machine.disks]
            machine = record.machine if keep else replace(back.of(record.machine), disks=disks)
            self._keep(server_id, replace(record, machine=machine, before=None))

    def console_log(self, server_id: str, lines: int | None) -> str:
        machine = self._record(server_id).machine
        said = [f"simulated machine {machine.name} ({server_id}) on host {self._host}: no guest runs here",
                f"{machine.vcpus} vcpus, {machine.memory_mib} MiB of memory", *(f"disk {disk.device}: {disk.id}" for disk in machine.disks),
                *(f"card {nic.mac}: port {nic.port_id}" for nic in machine.nics)]
        return "".join(f"{line}\n" for line in (said if lines is None else said[max(0, len(said) - lines):]))

    def console_socket(self, server_id: str, kind: Literal["vnc", "serial"]) -> str:
        raise HypervisorFailure(f"machine {self._record(server_id).machine.name} is simulated: it has no {kind} console")

    def statistics(self, server_id: str) -> dict[str, Any]:
        """Counters that grow steadily while the machine runs, each at a rate of its own."""
        return self._counters(_running(self._record(server_id)))

    def all_statistics(self) -> dict[str, dict[str, Any]]:
        with self._lock: records = list(self._records.values())
        return {record.machine.server_id: self._counters(record) for record in records if record.power == "running"}

    def _counters(self, record: Record) -> dict[str, Any]:
        machine = record.machine
        seconds = time.time() - record.since if record.power == "running" else 0.0
        rate = self._random(machine.server_id, "statistics").uniform
        used = int(machine.memory_mib * rate(0.2, 0.9))

        def grown(words: tuple[str, ...], most: float) -> dict[str, int]:
            return {word: int(seconds * rate(most / 1000, most)) for word in words}

        return {
            "cpu_seconds": seconds * rate(0.05, 0.9) * machine.vcpus, "memory_mib": machine.memory_mib, "resident_mib": used,
            "used_mib": used, "available_mib": machine.memory_mib - used,
            "disks": {disk.id: {"device": disk.device} | grown(("read_bytes", "write_bytes"), 1e6)
                      | grown(("read_requests", "write_requests"), 100) | grown(("read_nanoseconds", "write_nanoseconds"), 1e8)
                      | {"capacity_bytes": disk.size_gib << 30, "allocated_bytes": int((disk.size_gib << 30) * rate(0.1, 0.9))}
                      for disk in machine.disks},
            "nics": {nic.port_id: grown(("rx_bytes", "tx_bytes"), 1e5) | grown(("rx_packets", "tx_packets"), 100)
                     | dict.fromkeys(("rx_errors", "rx_dropped", "tx_errors", "tx_dropped"), 0) for nic in machine.nics},
        }

    def watch(self, changed: Callable[[str, str], None]) -> None:
        self._changed = changed

    def close(self) -> None:
        self._changed = None

    def happen(self, server_id: str, power: Power) -> None:
        """What a guest does by itself: power off ("stopped"), crash, go on."""
        self._keep(server_id, replace(self._record(server_id), power=power))
        if self._changed is not None: self._changed(server_id, power)

    @contextmanager
    def _verb(self, method: str, server_id: str) -> Iterator[Record]:
        """Take as long, and fail, as told; then give the record."""
        machine = self._record(server_id).machine
        seconds = self._latencies.get(method, 0.0)
        if seconds: time.sleep(seconds * self._random(server_id, method).uniform(0.5, 1.5))
        self._failures.strike(method, machine)
        yield self._record(server_id)

    def _random(self, server_id: str, method: str) -> Random:
        return Random(f"{self._seed} {self._host} {server_id} {method}")

    def _record(self, server_id: str) -> Record:
        record = self._records.get(server_id)
        if record is None: raise HypervisorFailure(f"no machine {server_id} on this host")
        return record

    def _run(self, record: Record) -> None:
        self._keep(record.machine.server_id, replace(record, power="running", since=time.time(), suspended=False))

    def _redefine(self, record: Record, **changed: Any) -> None:
        self._keep(record.machine.server_id, replace(record, machine=replace(record.machine, **changed)))

    def _keep(self, server_id: str, record: Record | None) -> None:
        """Remember it (None: forget it), on disk too, written whole or not at all."""
        with self._lock:
            if record is None: self._records.pop(server_id, None)
            else: self._records[server_id] = record
            if self._state_path is None: return
            new = self._state_path.with_suffix(".new")
            new.write_bytes(msgspec.json.encode(self._records))
            os.replace(new, self._state_path)


def _running(record: Record) -> Record:
    if record.power not in ("running", "paused"): raise HypervisorFailure(f"machine {record.machine.server_id} does not run")
    return record
