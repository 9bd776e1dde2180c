"""The real northbound database (no root needed): others' rows stay, drift is repaired, and comparing is cheap."""
from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from pilvi.network.drivers.interface import FixedIp, Network, NetworkFailure, Port, SecurityGroup, SecurityGroupRule, Subnet, Topology
from pilvi.network.drivers.ovn.control import Ovn

pytestmark = pytest.mark.real

QUICK_SECONDS = 1.0
"""Ten times what it takes, for busy machines; without the copy in memory it would take many."""


@pytest.fixture
def ovn(tmp_path: Path) -> Iterator[Ovn]:
    ovn = Ovn(tmp_path / "ovn", cloud_id="cloud")
    ovn.start(status_changed=lambda port_id, up: None)
    yield ovn
    ovn.stop()


def topology(count: int) -> Topology:
    ports = [Port(id=f"p{number}", name="", network_id="n", mac=f"fa:16:3e:00:{number // 256:02x}:{number % 256:02x}",
                  device_owner="compute:nova", device_id=f"d{number}", security_group_ids=["g"],
                  fixed_ips=[FixedIp("s", f"10.0.{number // 250}.{number % 250 + 2}")])
             for number in range(count)]
    return Topology(
        networks=[Network(id="n", name="n", mtu=1442)], ports=ports, security_groups=[SecurityGroup(id="g", name="g")],
        subnets=[Subnet(id="s", network_id="n", cidr="10.0.0.0/16", gateway_ip="10.0.0.1", dhcp=True)],
        rules=[SecurityGroupRule(
            id="rule", security_group_id="g", direction="ingress", ethertype="IPv4", protocol="tcp", port_min=22, port_max=22)])


def nbctl(ovn: Ovn, *arguments: str) -> str:
    return subprocess.run(["ovn-nbctl", f"--db=unix:{ovn.directory}/nb.sock", "--timeout=30", *arguments], check=True, capture_output=True,
                          text=True).stdout.strip()


def settle(ovn: Ovn, topology: Topology) -> list[str]:
    """What apply does, once it has seen the change that a test made from the outside."""
    limit = time.monotonic() + 30
    while not (lines := ovn.apply(topology)) and time.monotonic() < limit: time.sleep(0.05)
    return lines


def test_rows_of_others_stay(ovn: Ovn) -> None:
    ovn.apply(topology(2))
    nbctl(ovn, "ls-add", "theirs", "--", "lsp-add", "theirs", "their-port")
    nbctl(ovn, "lsp-add", "n", "guest-of-ours", "--", "acl-add", "pg_g", "to-lport", "7", "ip4", "drop")
    for wanted in (topology(2), topology(3), topology(1)):
        ovn.apply(wanted)
        assert nbctl(ovn, "lsp-list", "theirs").endswith("(their-port)")
        assert "guest-of-ours" in nbctl(ovn, "lsp-list", "n")
        assert "to-lport     7 (ip4) drop" in nbctl(ovn, "acl-list", "pg_g")
    ovn.apply(Topology())
    assert nbctl(ovn, "ls-list").endswith("(theirs)")
    assert nbctl(ovn, "--bare", "--columns=name", "list", "Port_Group") == "pg_drop"


def test_what_a_stranger_changed_is_put_back(ovn: Ovn) -> None:
    ovn.apply(topology(2))
    nbctl(ovn, "lsp-set-addresses", "p0", "unknown", "--", "lsp-del", "p1", "--", "set", "Port_Group", "pg_g", "acls=[]")
    assert sorted(settle(ovn, topology(2))) == [
        "change addresses of Logical_Switch_Port p0", "create ACL rule", "create Logical_Switch_Port p1",
        "link acls of Port_Group g: +1 -0", "link dhcpv4_options of Logical_Switch_Port p1: +1 -0",
        "link ports of Logical_Switch n: +1 -0", "link ports of Port_Group drop: +1 -0", "link ports of Port_Group g: +1 -0"]
    assert ovn.apply(topology(2)) == []


def test_the_northbound_is_rebuilt_from_nothing(ovn: Ovn) -> None:
    lines = ovn.apply(topology(5))
    ovn.stop()
    (ovn.directory / "nb.db").unlink()
    ovn.start(status_changed=lambda port_id, up: None)
    assert ovn.apply(topology(5)) == lines


def test_a_change_that_is_refused_says_so_and_leaves_everything(ovn: Ovn) -> None:
    ovn.apply(topology(1))
    nbctl(ovn, "ls-add", "theirs", "--", "lsp-add", "theirs", "p1")
    with pytest.raises(NetworkFailure, match="refused"): ovn.apply(topology(3))
    assert "p2" not in nbctl(ovn, "lsp-list", "n")


def test_comparing_a_thousand_ports_is_cheap(ovn: Ovn) -> None:
    thousand = topology(1000)
    assert len(ovn.apply(thousand)) > 2000
    unchanged, changed = [], []
    for host in "abcde":  # the best of five: others use the machine too
        moved = replace(thousand, ports=[replace(thousand.ports[0], host=host), *thousand.ports[1:]])
        for wanted, seconds in ((["change options of Logical_Switch_Port p0"], changed), ([], unchanged)):
            started = time.monotonic()
            assert ovn.apply(moved) == wanted
            seconds.append(time.monotonic() - started)
    assert min(unchanged) < QUICK_SECONDS and min(changed) < QUICK_SECONDS
