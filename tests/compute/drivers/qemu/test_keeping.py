"""What is kept of a real guest: its disk in an image, its memory while it is suspended; and what is thrown away when it is rebuilt."""
from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.compute.drivers.qemu.guests import Shell, from_image, host, in_memory, start

from pilvi.compute.drivers.interface import HypervisorFailure
from pilvi.compute.drivers.qemu import snapshot
from pilvi.compute.drivers.qemu.driver import Qemu

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture
def made() -> Iterator[tuple[Qemu, Path]]:
    with host() as found: yield found


def test_an_image_of_a_guest_that_runs_is_what_it_is_rebuilt_of(made):
    """The guest writes on meanwhile; what an agent left behind that was killed in the middle is taken away."""
    driver, folder = made
    machine = from_image()
    driver.create(machine)
    shell = Shell(driver, machine.server_id)
    shell.run("echo before > /root/proof; sync")
    shell.run("(while :; do dd if=/dev/urandom of=/root/noise bs=64k count=16; sync; done) 2> /dev/null & true")
    broken_off(driver, machine.server_id, folder / "broken-off.qcow2")
    running, stopped = folder / "running.qcow2", folder / "stopped.qcow2"
    driver.copy_disk(machine.server_id, "root", running)
    assert driver.power() == {machine.server_id: "running"}
    nodes = driver._known(machine.server_id).monitor().execute("query-named-block-nodes", {"flat": True})
    assert not {node["node-name"] for node in nodes} & {"copy", "copy-file"}
    shell.run("echo after > /root/proof; sync")
    driver.stop(machine.server_id, 0)
    driver.copy_disk(machine.server_id, "root", stopped)
    own = driver._known(machine.server_id).home.own_disk(13)
    subprocess.run(["qemu-img", "compare", "-q", "-f", "qcow2", "-F", "qcow2", stopped, own], check=True)
    for copy in (running, stopped): whole(copy)

    driver.rebuild(replace(driver.definition(machine.server_id), disks=[replace(machine.disks[0], image_path=str(running))]))
    assert driver.power() == {machine.server_id: "stopped"}
    driver.start(machine.server_id)
    assert Shell(driver, machine.server_id).run("cat /root/proof").strip() == "before"


def whole(path: Path) -> None:
    """It is in order, and needs no other file."""
    subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", path], check=True)
    assert "backing file" not in subprocess.run(["qemu-img", "info", path], capture_output=True, text=True, check=True).stdout


def broken_off(driver: Qemu, server_id: str, path: Path) -> None:
    """As an agent leaves it that is killed in the middle of a copy."""
    monitor = driver._known(server_id).monitor()
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1G"], check=True)
    with path.open("r+b") as file: monitor.execute_with_descriptor("add-fd", {"fdset-id": snapshot._SET}, file.fileno())
    monitor.execute("blockdev-add", {"driver": "file", "node-name": "copy-file", "filename": f"/dev/fdset/{snapshot._SET}"})
    monitor.execute("blockdev-add", {"driver": "qcow2", "node-name": "copy", "file": "copy-file", "backing": None})
    monitor.execute("blockdev-backup", {"job-id": "copy", "device": "disk13", "target": "copy", "sync": "full", "auto-dismiss": False,
                                        "speed": 65536})


def test_a_suspended_guest_goes_on_where_it_was(made):
    """Also when the agent was killed while QEMU wrote the memory, and another one resumes it."""
    driver, folder = made
    machine = in_memory()
    driver.create(machine)
    Shell(driver, machine.server_id).run("(n=0; while :; do n=$((n + 1)); echo $n > /run/count; sleep 1; done) & true")
    guest = driver._known(machine.server_id)
    guest.monitor().execute("stop")
    with guest.home.memory_beside.open("wb") as file: guest.monitor().execute_with_descriptor("getfd", {"fdname": "memory"}, file.fileno())
    guest.monitor().execute("migrate", {"uri": "fd:memory"})
    for _ in range(2): driver.suspend(machine.server_id)
    assert driver.power() == {machine.server_id: "stopped"} and guest.pid() is None
    driver.close()
    driver = start(folder)
    try:
        assert driver.power() == {machine.server_id: "stopped"}
        for _ in range(2): driver.resume(machine.server_id)
        assert driver.power() == {machine.server_id: "running"}
        shell = Shell(driver, machine.server_id)
        before = int(shell.run("cat /run/count"))
        until = time.monotonic() + 60
        while int(shell.run("cat /run/count")) <= before: assert time.monotonic() < until
        assert not (folder / "m" / machine.server_id / "memory").exists()
        driver.suspend(machine.server_id)
        driver.start(machine.server_id)
        assert not (folder / "m" / machine.server_id / "memory").exists(), "after a start its disks have changed"
    finally: driver.close()


def test_a_guest_whose_memory_cannot_be_kept_runs_on(made, monkeypatch):
    driver, _ = made
    machine = in_memory()
    driver.create(machine)
    monkeypatch.setattr("pilvi.compute.drivers.qemu.suspension._KEEP_FREE_BYTES", 1 << 60)
    with pytest.raises(HypervisorFailure, match="no room"): driver.suspend(machine.server_id)
    assert driver.power() == {machine.server_id: "running"}
