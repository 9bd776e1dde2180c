"""The walk of a newcomer with the unmodified openstack client, on real guests: from the first token to an empty machine."""
from __future__ import annotations

import base64
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.outside.clouds import Client, Cloud, wait

pytestmark = [pytest.mark.real, pytest.mark.slow]
USER_DATA = "#!/bin/sh\necho user-data-was-here > /root/proof\necho user-data-was-here > /dev/console\n"


def ssh(key: Path, address: str, command: str, seconds: float = 240, user: str = "root") -> str:
    """What a command in the guest prints; tried until the guest lets us in."""
    until = time.monotonic() + seconds
    while True:
        done = subprocess.run(
            ["ssh", "-i", key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o",
                "BatchMode=yes",
             "-o", "ConnectTimeout=5", f"{user}@{address}", command], capture_output=True, text=True, check=False, timeout=120)
        if done.returncode != 255: break
        assert time.monotonic() < until, f"no ssh to {address}: {done.stderr}"
        time.sleep(2)
    assert done.returncode == 0, f"{command}: {done.returncode} {done.stdout} {done.stderr}"
    return done.stdout


def reachable(address: str, port: int = 22) -> bool:
    return subprocess.run(["nc", "-z", "-w", "3", address, str(port)], check=False).returncode == 0


def _place(pid: str) -> str:
    """The folder that a process is in; none if it has ended and only its parent has still to hear of it."""
    try: return os.readlink(f"/proc/{pid}/cwd")
    except FileNotFoundError: return ""


def machine(state: Path) -> dict[str, list[str]]:
    """What there is on the machine that could be left over."""
    def lines(*command: str) -> list[str]:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()

    ovs = f"unix:{state}/run/ovs/db.sock"
    return {
        "guests": [pid for pid in lines("pgrep", "qemu-system") if _place(pid).startswith(str(state))],
        "taps": sorted(line.split(":")[1].strip() for line in lines("ip", "-o", "link") if ": tap" in line),
        "namespaces": sorted(line.split()[0] for line in lines("ip", "netns")),
        "switch ports": sorted(p for p in lines("ovs-vsctl", f"--db={ovs}", "list-ports", lines("ovs-vsctl", f"--db={ovs}", "list-br")[0])
            if "patch" not in p),
        "machines": sorted(path.name for path in (state / "host" / "machines").glob("*-*-*-*-*")),
        "volumes": sorted(path.name for path in (state / "host" / "volumes").rglob("*.qcow2")),
        "servers": sorted(path.name for path in (state / "host" / "servers").glob("*")),
    }


def northbound(state: Path) -> str:
    """The rows of this cloud in the network's database."""
    return subprocess.run(["ovn-nbctl", f"--db=unix:{state}/run/control/ovn/nb.sock", "show"], capture_output=True, text=True,
        check=True).stdout


def settled(state: Path) -> str:
    """The same once nothing more is being written: a new cloud's own network comes there a moment after it was made."""
    seen = [northbound(state)]
    while len(seen) < 4 or len(set(seen[-4:])) > 1:
        time.sleep(1)
        seen.append(northbound(state))
    return seen[-1]


@pytest.fixture(scope="module")
def cloud(cloud_at: Callable[[str], Cloud]) -> Iterator[Cloud]:
    yield from cloud_at("walk").while_up("--empty", timeout=1500)


def test_walk(cloud: Cloud, tmp_path: Path) -> None:
    admin, demo = cloud.admin, cloud.demo
    rows_before = settled(cloud.state)
    before = machine(cloud.state)

    assert demo.json("token", "issue")["project_id"]
    assert {"compute", "network", "image", "identity", "placement", "block-storage"} <= {s["Type"] for s in demo.json("catalog", "list")}

    guest = cloud.state / "guest" / "pilvi-guest.qcow2"
    image = demo.json("image", "create", "--disk-format", "qcow2", "--file", str(guest), "mine")
    demo.run("image", "save", "--file", str(tmp_path / "back.qcow2"), image["id"])
    assert (tmp_path / "back.qcow2").read_bytes() == guest.read_bytes()

    admin.run("flavor", "create", "--ram", "128", "--disk", "1", "--vcpus", "1", "walk")
    demo.run("network", "create", "net")
    demo.run("subnet", "create", "--network", "net", "--subnet-range", "10.11.12.0/24", "subnet")
    demo.run("router", "create", "r")
    demo.run("router", "add", "subnet", "r", "subnet")
    demo.run("router", "set", "--external-gateway", "public", "r")
    demo.run("security", "group", "create", "web")
    rule = demo.json("security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "22", "web")
    demo.run("security", "group", "rule", "create", "--protocol", "icmp", "web")
    key = tmp_path / "key"
    key.write_text(demo.run("keypair", "create", "k"))
    key.chmod(0o600)
    demo.run("volume", "create", "--size", "1", "blank")
    demo.run("volume", "create", "--size", "1", "--image", image["id"], "from-image")
    wait(lambda: all(v["Status"] == "available" for v in demo.json("volume", "list")), "volumes available")

    script = tmp_path / "user-data"
    script.write_text(USER_DATA)
    boot = ("server", "create", "--flavor", "walk", "--image", image["id"], "--network", "net", "--key-name", "k", "--security-group",
        "web")
    first = demo.json(*boot, "--user-data", str(script), "--wait", "first")
    assert first["status"] == "ACTIVE"
    second = demo.json(*boot, "--wait", "second")
    assert {s["Name"]: s["Status"] for s in demo.json("server", "list")} == {"first": "ACTIVE", "second": "ACTIVE"}

    address = _floating(demo, "first")
    assert ssh(key, address, "hostname").strip() == "first"
    wait(lambda: "user-data-was-here" in ssh(key, address, "cat /root/proof 2>/dev/null || true"), "user data was run")
    said = ("pilvi-guest: ready", "user-data-was-here")
    wait(lambda: all(words in demo.run("console", "log", "show", "first") for words in said), "the console says so, too")
    url = demo.json("console", "url", "show", "first")["url"]
    assert "console/" in url
    gateway = ssh(key, address, "ip route").partition("default via ")[2].split()[0]
    assert gateway == "10.11.12.1"
    outside = address.rpartition(".")[0] + ".1"
    ssh(key, address, f"ping -c 3 -W 5 {outside}")
    assert ssh(key, address, "curl -s http://169.254.169.254/openstack/latest/meta_data.json").count(first["id"]) >= 1
    assert ssh(key, address, "sudo -n id -u", user="pilvi").strip() == "0"

    demo.run("security", "group", "rule", "delete", rule["id"])
    wait(lambda: not reachable(address), "port 22 closed")
    demo.run("security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "22", "web")
    wait(lambda: reachable(address), "port 22 open again")

    _volumes(demo, key, address)
    _power(demo, key, address)
    _kept(demo, key, address)
    _resize(demo, key, address)
    assert second["id"]

    for name in ("first", "second"): demo.run("server", "delete", "--wait", name)
    for one in demo.json("floating", "ip", "list"): demo.run("floating", "ip", "delete", one["ID"])
    for volume in ("blank", "from-image"): demo.run("volume", "delete", volume)
    wait(lambda: demo.json("volume", "list") == [], "volumes gone")
    demo.run("router", "unset", "--external-gateway", "r")
    demo.run("router", "remove", "subnet", "r", "subnet")
    demo.run("router", "delete", "r")
    demo.run("network", "delete", "net")
    demo.run("security", "group", "delete", "web")
    demo.run("keypair", "delete", "k")
    demo.run("image", "delete", image["id"])
    admin.run("flavor", "delete", "walk")
    wait(lambda: machine(cloud.state) == before, lambda: f"the machine is as before: {machine(cloud.state)} instead of {before}")
    wait(lambda: _same(northbound(cloud.state), rows_before),
         lambda: f"the network's rows are as before: {northbound(cloud.state)} instead of {rows_before}")
    assert not admin.json("port", "list", "--device-owner", "compute:nova")


def _same(now: str, before: str) -> bool:
    return sorted(line.strip() for line in now.splitlines()) == sorted(line.strip() for line in before.splitlines())


def _floating(demo: Client, server: str) -> str:
    address = demo.json("floating", "ip", "create", "public")["floating_ip_address"]
    demo.run("server", "add", "floating", "ip", server, address)
    return str(address)


def _volumes(demo: Client, key: Path, address: str) -> None:
    """Data written by one server is there in the next."""
    demo.run("server", "add", "volume", "first", "blank")
    wait(lambda: demo.json("volume", "show", "blank")["status"] == "in-use", "the volume is in use")
    wait(lambda: "vdb" in ssh(key, address, "lsblk"), "the guest sees the disk")
    proof = base64.b64encode(b"kept").decode()
    ssh(key, address, f"mkfs.ext4 -q /dev/vdb && mount /dev/vdb /mnt && echo {proof} > /mnt/proof && sync && umount /mnt")
    demo.run("server", "remove", "volume", "first", "blank")
    wait(lambda: demo.json("volume", "show", "blank")["status"] == "available", "the volume is free")
    assert "vdb" not in ssh(key, address, "lsblk")
    demo.run("server", "add", "volume", "second", "blank")
    wait(lambda: demo.json("volume", "show", "blank")["status"] == "in-use", "the volume is in use again")
    other = _floating(demo, "second")
    wait(lambda: "vdb" in ssh(key, other, "lsblk"), "the other guest sees the disk")
    assert ssh(key, other, "mount /dev/vdb /mnt && cat /mnt/proof && umount /mnt").strip() == proof
    demo.run("server", "remove", "volume", "second", "blank")
    wait(lambda: demo.json("volume", "show", "blank")["status"] == "available", "the volume is free again")


def _power(demo: Client, key: Path, address: str) -> None:
    demo.run("server", "stop", "first")
    wait(lambda: demo.json("server", "show", "first")["status"] == "SHUTOFF", "the server is off")
    demo.run("server", "start", "first")
    wait(lambda: demo.json("server", "show", "first")["status"] == "ACTIVE", "the server is on")
    assert ssh(key, address, "cat /root/proof").strip() == "user-data-was-here"
    demo.run("server", "reboot", "--hard", "--wait", "first")
    assert ssh(key, address, "hostname").strip() == "first"


def _kept(demo: Client, key: Path, address: str) -> None:
    """What was written on one server is there in another that is rebuilt of its image; a suspended one goes on where it was."""
    ssh(key, address, "echo kept > /root/kept && sync")
    kept = demo.json("server", "image", "create", "--name", "kept", "--wait", "first")
    assert demo.json("image", "show", kept["id"])["status"] == "active"
    demo.run("server", "rebuild", "--image", kept["id"], "--wait", "second")
    running = ssh(key, address, "cat /proc/sys/kernel/random/boot_id")
    demo.run("server", "suspend", "first")
    wait(lambda: demo.json("server", "show", "first")["status"] == "SUSPENDED", "the server is suspended")
    assert not reachable(address)
    demo.run("server", "resume", "first")
    wait(lambda: demo.json("server", "show", "first")["status"] == "ACTIVE", "the server is resumed")
    assert ssh(key, address, "cat /proc/sys/kernel/random/boot_id") == running
    other = next(one["Floating IP Address"] for one in demo.json("floating", "ip", "list") if one["Floating IP Address"] != address)
    assert ssh(key, other, "cat /root/kept; hostname").split() == ["kept", "second"]
    demo.run("image", "delete", kept["id"])


def _resize(demo: Client, key: Path, address: str) -> None:
    """What a guest wrote after a resize that is taken back is gone; one that is confirmed stays."""
    size = "head -1 /proc/meminfo | tr -dc 0-9; echo; cat /sys/block/vda/size; ls /root"

    def told() -> tuple[bool, int, bool]:
        """(more memory, GiB of disk, the file is there)"""
        memory, sectors, *files = ssh(key, address, size).split()
        return int(memory) > 140_000, int(sectors) >> 21, "later" in files

    def is_now(status: str) -> None:
        wait(lambda: demo.json("server", "show", "first")["status"] == status, lambda: f"{status}: {demo.json('server', 'show', 'first')}")

    assert told() == (False, 1, False)
    demo.run("server", "resize", "--flavor", "m1.micro", "first")
    is_now("VERIFY_RESIZE")
    assert told() == (True, 2, False)
    ssh(key, address, "touch /root/later; sync")
    demo.run("server", "resize", "revert", "first")
    is_now("ACTIVE")
    assert told() == (False, 1, False)
    demo.run("server", "stop", "first")
    is_now("SHUTOFF")
    demo.run("server", "resize", "--flavor", "m1.micro", "--wait", "first")
    demo.run("server", "resize", "confirm", "first")
    is_now("SHUTOFF")
    demo.run("server", "start", "first")
    is_now("ACTIVE")
    assert told() == (True, 2, False)
