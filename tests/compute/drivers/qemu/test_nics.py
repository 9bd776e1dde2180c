"""Network cards: as QEMU sees them, and two real guests that talk over a real Open vSwitch of their own."""
from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.compute.drivers.qemu.guests import Shell, host, in_memory

from pilvi.compute.drivers.interface import HypervisorFailure, Nic
from pilvi.compute.drivers.qemu import nics, process


def nic(vif_type: str = "ovs", number: int = 1, **details: Any) -> Nic:
    details = {"bridge": "br-int", "ovsdb": "unix:/nowhere", "datapath": "netdev", **details}
    return Nic(port_id=str(uuid.uuid4()), mac=f"fa:16:3e:00:00:{number:02x}", mtu=1442,
               binding={"vif_type": vif_type, "vif_details": details})


def test_offloads_are_off_on_the_userspace_datapath_only():
    userspace, kernel = nics.device(nic(), 5), nics.device(nic(datapath="system"), 5)
    assert (userspace["csum"], userspace["gso"], userspace["guest_csum"]) == (False, False, False)
    assert "csum" not in kernel and kernel["netdev"] == "nic5"


def test_a_card_without_a_network_has_no_backend():
    assert "netdev" not in nics.device(nic("none"), 5)
    nics.connect(nic("none"), "s")
    nics.disconnect(nic("none"))
    assert set(nics.counters(nic("none")).values()) == {0}


def test_a_failed_binding_is_refused():
    with pytest.raises(HypervisorFailure, match="binding_failed"): nics.wired(nic("binding_failed"))


def test_the_taps_name_fits_an_interface():
    assert len(nics.tap(nic())) <= 15


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[str]:
    """An Open vSwitch of its own with a bridge br-<random>, nothing of the host's; yields (ovsdb, bridge)."""
    if os.geteuid() or not shutil.which("ovs-vswitchd", path=f"{os.environ['PATH']}:/usr/sbin"): pytest.skip("needs root and Open vSwitch")
    database, here = f"unix:{tmp_path}/db", {**os.environ, "OVS_RUNDIR": str(tmp_path), "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    run = lambda *words: subprocess.run(words, env=here, check=True, capture_output=True)  # noqa: E731
    run("ovsdb-tool", "create", f"{tmp_path}/conf.db", "/usr/share/openvswitch/vswitch.ovsschema")
    daemons = [subprocess.Popen(["ovsdb-server", f"--remote=p{database}", f"--unixctl={tmp_path}/s.ctl", f"{tmp_path}/conf.db"], env=here,
                                stderr=subprocess.DEVNULL)]
    while not (tmp_path / "db").exists(): time.sleep(0.05)
    run("ovs-vsctl", f"--db={database}", "--no-wait", "init")
    daemons.append(subprocess.Popen(["ovs-vswitchd", database, f"--unixctl={tmp_path}/v.ctl"], env=here, stderr=subprocess.DEVNULL))
    run("ovs-vsctl", f"--db={database}", "--timeout=30", "add-br", "pilvi-t", "--", "set", "bridge", "pilvi-t", "datapath_type=netdev")
    yield database
    run("ovs-vsctl", f"--db={database}", "--timeout=30", "del-br", "pilvi-t")
    for daemon in reversed(daemons):
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(30)


def vsctl(database: str, *words: str) -> str:
    return subprocess.run(["ovs-vsctl", f"--db={database}", "--timeout=30", *words], check=True, capture_output=True, text=True).stdout


@pytest.mark.real
def test_guests_talk_over_the_bridge_and_nothing_is_left(switch):
    with host() as (driver, folder):
        cards = [nic(number=number, bridge="pilvi-t", ovsdb=switch) for number in (1, 2)]
        one, two = in_memory(nics=[cards[0]]), in_memory()
        driver.create(one)
        driver.create(two)
        driver.attach_nic(two.server_id, cards[1])  # hot
        assert set(vsctl(switch, "list-ports", "pilvi-t").split()) == {nics.tap(card) for card in cards}
        told = vsctl(switch, "get", "Interface", nics.tap(cards[0]), "external_ids")
        assert cards[0].port_id in told and cards[0].mac in told and one.server_id in told
        shells = [Shell(driver, machine.server_id) for machine in (one, two)]
        for number, shell in enumerate(shells, 1): shell.run(f"ip addr add 192.168.77.{number}/24 dev eth0; ip link set eth0 up")
        assert shells[0].run("cat /sys/class/net/eth0/mtu /sys/class/net/eth0/address").split() == ["1442", cards[0].mac]
        shells[0].until(lambda: " 0% packet loss" in shells[0].run("ping -c 3 192.168.77.2"))
        # a segment of TCP is what offloads spoil
        shells[1].run("nc -l -p 99 > /tmp/got & until grep -q :0063 /proc/net/tcp*; do sleep 1; done")
        shells[0].run("head -c 300000 /dev/zero | nc -w 5 192.168.77.2 99")
        assert shells[1].run("wait; wc -c < /tmp/got").split()[-1] == "300000"
        assert driver.statistics(one.server_id)["nics"][cards[0].port_id]["tx_bytes"] > 300_000
        assert driver.statistics(two.server_id)["nics"][cards[1].port_id]["rx_bytes"] > 300_000
        for shell in shells: shell.close()

        driver.detach_nic(two.server_id, cards[1].port_id)
        driver.stop(one.server_id, 0)
        assert vsctl(switch, "list-ports", "pilvi-t") == ""
        assert not any(Path(f"/sys/class/net/{nics.tap(card)}").exists() for card in cards)
        driver.start(one.server_id)
        assert vsctl(switch, "list-ports", "pilvi-t").split() == [nics.tap(cards[0])]
        os.kill(process.find(folder / "m")[one.server_id], signal.SIGKILL)
        driver.destroy(one.server_id)
        assert vsctl(switch, "list-ports", "pilvi-t") == "" and not Path(f"/sys/class/net/{nics.tap(cards[0])}").exists()
