"""The compute agent: says that its hosts are well, works on their tasks, keeps machines as their records say, answers for their
consoles."""
from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from pilvi.compute.agent import boot, inventory, meter, parts, rebuild, resize, snapshot
from pilvi.compute.agent.console import Consoles
from pilvi.compute.agent.node import Node
from pilvi.compute.agent.reconcile import Wanted, plan
from pilvi.compute.drivers.interface import HypervisorFailure
from pilvi.core.bus.interface import Bus, Message
from pilvi.core.errand import Errand, Runner
from pilvi.core.errors import Conflict, Failure
from pilvi.core.reconcile import Repeat, repaired

LOG = structlog.get_logger()
ALIVE_SECONDS, AGAIN_SECONDS = 10.0, 1.0
RECONCILE_SECONDS = 30.0
METER_SECONDS = 60.0
HOSTS_AT_ONCE = 1000
CALL_SECONDS = 30.0
ACTS: dict[str, Callable[[Node, Errand], dict[str, Any] | None]] = {
    "fetch_image": boot.fetch_image, "bind_ports": boot.bind_ports, "connect_volumes": boot.connect_volumes,
    "create_machine": boot.create_machine, "destroy_machine": boot.destroy_machine, "plug_volume": parts.plug_volume,
    "unplug_volume": parts.unplug_volume, "plug_interface": parts.plug_interface, "unplug_interface": parts.unplug_interface,
    "stop": parts.stop, "start": parts.start, "reboot": parts.reboot, "hard_reboot": parts.hard_reboot, "pause": parts.pause,
    "unpause": parts.unpause, "suspend": parts.suspend, "resume": parts.resume, "copy_disk": snapshot.copy_disk,
    "upload_copy": snapshot.upload_copy, "drop_copy": snapshot.drop_copy, "fetch_new_image": rebuild.fetch_new_image,
    "rebuild_machine": rebuild.rebuild_machine, "resize_machine": resize.resize_machine, "keep_resized": resize.keep_resized,
    "take_resize_back": resize.take_resize_back}
FLOWS = ("boot", "delete", "stop", "start", "reboot", "hard_reboot", "pause", "unpause", "attach_volume", "detach_volume",
         "attach_interface", "detach_interface", "suspend", "resume", "createImage", "rebuild", "rebuild_stopped", "resize",
         "confirm_resize", "revert_resize")


class MachineFailed(Conflict):
    """{reason}"""


class ComputeAgent:
    """Runs until `stop`. `story`: the names of the boot's steps that the runner itself takes."""

    def __init__(self, bus: Bus, node: Node, *, run: Path, control_uid: int, zone: str, story: dict[str, str],
            after_shutdown: bool, meter_seconds: float = METER_SECONDS) -> None:
        self.bus, self.node, self.zone = bus, node, zone
        self.after_shutdown = after_shutdown
        hosts = list(node.drivers)
        acts = {name: _translated(partial(act, node)) for name, act in ACTS.items()}
        self.runner = Runner(bus, "compute", hosts, {flow: acts for flow in FLOWS}, run / "locks", threads=16, stories={"boot": story})
        self.consoles = Consoles(run / "console.sock", control_uid, self._redeem, self._driver_of)
        self.reported: set[str] = set()
        self.alive = Repeat("alive", ALIVE_SECONDS, self.say_alive)
        self.loops = [self.alive, Repeat("reconcile", RECONCILE_SECONDS, self.reconcile),
            Repeat("meter", meter_seconds, self.measure)]
        self.stopping = False

    def start(self) -> None:
        """Serves the hosts from now on."""
        self.bus.serve(f"compute.agent.{next(iter(self.node.drivers))}", {"console_log": self._console_log,
            "statistics": self._statistics}, threads=2)
        for driver in self.node.drivers.values(): driver.watch(self._observed)
        if not self.node.simulated: self.consoles.start()
        self.say_alive()
        self.runner.start()
        for loop in self.loops: loop.start()

    def stop(self, *, machines: bool) -> None:
        """Ends; with `machines` the guests are asked to power off first, and will run again after the next start."""
        self.stopping = True
        for loop in self.loops: loop.stop()
        self.runner.stop()
        if machines: self._shut_down()
        for driver in self.node.drivers.values(): driver.close()

    def _shut_down(self) -> None:
        def off(driver: Any, id: str) -> None:
            try: driver.stop(id, self.node.grace_seconds)
            except HypervisorFailure as failure: LOG.warning("guest did not power off", server=id, reason=str(failure))

        with ThreadPoolExecutor(16) as pool:
            for driver in self.node.drivers.values():
                for id, power in driver.power().items():
                    if power in ("running", "paused"): pool.submit(off, driver, id)

    def say_alive(self) -> None:
        """Tells the conductor that the hosts are well, and once what they offer; thousands of hosts in several messages. Soon again if that
        failed: hosts that are silent get no servers."""
        self.alive.seconds = ALIVE_SECONDS
        fresh = [name for name in self.node.drivers if name not in self.reported]
        for first in range(0, len(fresh), HOSTS_AT_ONCE):
            hosts = {name: inventory.report(self.node.drivers[name].capabilities()) for name in fresh[first:first + HOSTS_AT_ONCE]}
            if self._alive(hosts): self.reported |= set(hosts)
        if not fresh: self._alive(dict.fromkeys(self.node.drivers))

    def _alive(self, hosts: dict[str, Any]) -> bool:
        try:
            self.bus.call("compute.conductor", "alive", {"hosts": hosts, "worker": self.runner.worker, "zone": self.zone},
                deadline_seconds=CALL_SECONDS)
        except Failure as failure: LOG.info("control is away", reason=failure.message)
        else: return True
        self.alive.seconds = AGAIN_SECONDS
        return False

    def measure(self) -> None:
        """Samples what the machines did, for telemetry."""
        if not self.stopping: meter.send(self.bus, self.node.drivers, simulated=self.node.simulated)

    def reconcile(self) -> None:
        """Compares machines with records and repairs. Never touches a server that something is being done to."""
        actual = {id: power for driver in self.node.drivers.values() for id, power in driver.power().items()}
        try:
            answer = self.bus.call("compute.conductor", "desired", {"hosts": list(self.node.drivers), "also": list(actual)},
                deadline_seconds=CALL_SECONDS)
        except Failure: return
        if self.stopping: return
        known = answer["servers"]
        wanted = {id: Wanted(record["state"], record["busy"] is not None) for id, record in known.items()}
        repairs = plan(wanted, actual, after_shutdown=self.after_shutdown)
        with ThreadPoolExecutor(4) as pool:
            for repair in repairs: pool.submit(self._guarded, repair.act, repair.server_id, known.get(repair.server_id, {}).get("host", ""))
        self.after_shutdown = False
        self.node.tidy_metadata()

    def _guarded(self, act: str, id: str, host: str) -> None:
        try:
            with self.runner.lock(id): self._repair(act, id, host)
        except (Failure, HypervisorFailure) as failure: LOG.warning("repair failed", act=act, server=id, reason=str(failure))
        except Exception: LOG.exception("repair failed", act=act, server=id)

    def _repair(self, act: str, id: str, host: str) -> None:
        driver = self.node.drivers.get(host) or self._driver_of(id)
        if act == "stranger":
            LOG.warning("unmanaged machine", server=id)
            return
        repaired("compute agent", act, server=id)
        if act.startswith("observed:"): self._tell("observed", {"server_id": id, "power": act.partition(":")[2]})
        elif act == "lost": self._tell("lost", {"server_id": id, "reason": f"Its machine is not on host {host} any more."})
        elif driver is None: return
        elif act == "destroy":
            driver.destroy(id)
            self.node.forget(id)
        elif act == "stop": driver.stop(id, self.node.grace_seconds)
        elif act == "start":
            try:
                with self.node.boots: driver.start(id)
            except HypervisorFailure as failure:
                self._tell("lost", {"server_id": id, "reason": f"It could not be started again: {failure}"})

    def _tell(self, what: str, args: dict[str, Any]) -> None:
        self.bus.call("compute.conductor", what, args, deadline_seconds=CALL_SECONDS)

    def _observed(self, server_id: str, what: str) -> None:
        """A machine changed by itself; the conductor leaves servers alone that something is being done to."""
        if self.stopping or what not in ("stopped", "crashed", "running", "paused"): return
        threading.Thread(target=self._tell_observed, args=(server_id, what), daemon=True).start()

    def _tell_observed(self, server_id: str, what: str) -> None:
        try: self._tell("observed", {"server_id": server_id, "power": what})
        except Failure as failure: LOG.info("control is away", reason=failure.message)

    def _console_log(self, args: dict[str, Any], message: Message) -> dict[str, Any]:
        driver = self._driver_of(args["server_id"])
        if driver is None: raise MachineFailed(reason="there is no such machine on this host")
        try: return {"text": driver.console_log(args["server_id"], args.get("lines"))}
        except HypervisorFailure as failure: raise MachineFailed(reason=str(failure)) from None

    def _statistics(self, args: dict[str, Any], message: Message) -> dict[str, Any]:
        driver = self._driver_of(args["server_id"])
        if driver is None: raise MachineFailed(reason="there is no such machine on this host")
        try: return {**driver.statistics(args["server_id"]), "hypervisor": type(driver).__name__.lower()}
        except HypervisorFailure as failure: raise MachineFailed(reason=str(failure)) from None

    def _redeem(self, ticket: str) -> dict[str, Any]:
        return self.bus.call("compute.conductor", "console", {"ticket": ticket}, deadline_seconds=CALL_SECONDS)

    def _driver_of(self, server_id: str) -> Any:
        return next((driver for driver in self.node.drivers.values() if server_id in driver.power()), None)


def _translated(act: Callable[[Errand], dict[str, Any] | None]) -> Callable[[Errand], dict[str, Any] | None]:
    """The hypervisor's failures as failures of the task, with their text."""
    def run(errand: Errand) -> dict[str, Any] | None:
        try: return act(errand)
        except HypervisorFailure as failure: raise MachineFailed(reason=str(failure)) from failure

    return run
