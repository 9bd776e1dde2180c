"""The guest image, booted in QEMU: what a user of the cloud and an acceptance test find inside.

The tests share two guests; the later ones plug, restart and switch off, so the order in this file matters.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.real
TOOLS = ["ip", "ping", "nc", "df", "lsblk", "mount", "sync", "curl", "wget", "mkfs.ext4", "httpd", "sudo", "resize2fs"]


def test_console_says_when_it_is_ready_and_how_to_log_in(from_disk: Any) -> None:
    from_disk.wait_for(lambda: "kalle login:" in from_disk.console())
    lines = from_disk.console().replace("\r", "").splitlines()
    assert "pilvi-guest: config drive /dev/vdb1, instance 11111111-2222-3333-4444-555555555555" in lines
    assert "pilvi-guest: ready: kalle 10.0.2.15" in lines
    assert any("log in over ssh with your key" in line for line in lines)
    assert lines.index("from the user data as root") < lines.index("pilvi-guest: ready: kalle 10.0.2.15")


def test_both_users_log_in_with_the_key_and_nobody_with_a_password(from_disk: Any) -> None:
    assert from_disk.output("id -un; hostname") == "root\nkalle\n"
    assert from_disk.output("id -un; sudo id -un; sudo -i id -un", "pilvi") == "pilvi\nroot\nroot\n"
    without_key = from_disk.ssh("true", options=("PubkeyAuthentication=no", "NumberOfPasswordPrompts=1", "BatchMode=no"))
    assert without_key.returncode == 255
    assert "Permission denied (publickey)" in without_key.stderr


def test_sudo_has_nothing_to_complain_about(from_disk: Any) -> None:
    assert from_disk.ssh("sudo true", "pilvi").stderr == ""


@pytest.mark.parametrize("tool", TOOLS)
def test_tool_is_there(from_disk: Any, tool: str) -> None:
    from_disk.output(f"command -v {tool}", "pilvi")
    assert from_disk.ssh(f"{tool} --help", "pilvi").returncode < 126


def test_tools_work(from_disk: Any) -> None:
    assert "1 packets transmitted, 1 received" in from_disk.output("ping -c 1 -w 10 -M do -s 1000 10.0.2.2", "pilvi")
    from_disk.output("sudo httpd -p 8080 -h /etc", "pilvi")
    url = "http://127.0.0.1:8080/hostname"
    assert from_disk.output(f"curl -s {url}; wget -q -O - {url}", "pilvi") == "kalle\nkalle\n"
    assert from_disk.output("echo | nc -w 5 127.0.0.1 22 | head -n 1", "pilvi").startswith("SSH-2.0-dropbear")
    assert "eth0" in from_disk.output("ip -4 addr show", "pilvi")


def test_root_file_system_has_grown_with_the_disk(from_disk: Any) -> None:
    kib = int(from_disk.output("df -k / | awk 'NR == 2 {print $2}'"))
    assert kib > 3.8 * 2**20


def test_disk_plugged_in_later(from_disk: Any, tmp_path: Path) -> None:
    volume = tmp_path / "volume.raw"
    with volume.open("wb") as stream:
        stream.truncate(64 * 2**20)
    from_disk.qmp("blockdev-add", driver="raw", **{"node-name": "volume", "file": {"driver": "file", "filename": str(volume)}})
    from_disk.qmp("device_add", driver="virtio-blk-pci", drive="volume", id="vdx")
    from_disk.wait_for(lambda: "vdc" in from_disk.output("lsblk"))
    from_disk.output("sudo mkfs.ext4 -q /dev/vdc && sudo mount /dev/vdc /mnt", "pilvi")
    from_disk.output("echo kept | sudo tee /mnt/file && sudo umount /mnt", "pilvi")
    from_disk.qmp("device_del", id="vdx")
    from_disk.wait_for(lambda: "vdc" not in from_disk.output("lsblk"))
    assert b"kept\n" in volume.read_bytes()


def test_network_card_plugged_in_later(from_disk: Any) -> None:
    from_disk.qmp("netdev_add", type="user", id="n1", net="10.9.0.0/24", dhcpstart="10.9.0.20", restrict=True)
    from_disk.qmp("device_add", driver="virtio-net-pci", netdev="n1", id="nic1")
    from_disk.wait_for(lambda: "10.9.0.20/24" in from_disk.output("ip -4 addr"))
    # QEMU offers no routes to a guest it shuts in, so the leases that do are told to the script itself
    script = "/usr/lib/pilvi-guest/lease bound"
    from_disk.output(f"interface=eth1 ip=10.9.0.20 mask=24 mtu=1400 router=10.9.0.2 dns=10.9.0.3 {script}")
    from_disk.output(f"interface=eth0 ip=10.0.2.15 mask=24 router=10.0.2.9 staticroutes='1.2.3.4/32 10.0.2.3 0.0.0.0/0 10.0.2.2' {script}")
    routes = [" ".join(line.split()) for line in from_disk.output("ip route").splitlines()]
    assert "1.2.3.4 via 10.0.2.3 dev eth0 metric 2" in routes
    assert [route for route in routes if route.startswith("default")] == [
        "default via 10.0.2.2 dev eth0 metric 2", "default via 10.9.0.2 dev eth1 metric 3"]
    assert "mtu 1400" in from_disk.output("ip link show eth1")
    from_disk.qmp("device_del", id="nic1")
    from_disk.wait_for(lambda: "eth1" not in from_disk.output("ip addr"))
    from_disk.wait_for(lambda: "10.9.0" not in from_disk.output("cat /etc/resolv.conf; ps | grep [u]dhcpc.*eth1 || true"))


def test_metadata_service_and_direct_kernel(from_kernel: Any) -> None:
    console = from_kernel.console()
    assert "pilvi-guest: metadata service, instance 22222222-2222-3333-4444-555555555555" in console
    assert "SYSLINUX" not in console
    assert "user data is not a script, and nothing else is supported" in console
    assert from_kernel.output("cat /var/lib/pilvi-guest/user_data").startswith("#cloud-config\n")
    assert from_kernel.output("hostname", "pilvi") == "kalle\n"


def test_restart_keeps_keys_and_does_not_run_user_data_again(from_disk: Any) -> None:
    fingerprint = from_disk.output("dropbearkey -y -f /etc/dropbear/dropbear_ed25519_host_key")
    from_disk.ssh("reboot")
    from_disk.wait_until_ready(times=2)
    assert from_disk.output("cat /root/times-run") == "x\n"
    assert from_disk.output("dropbearkey -y -f /etc/dropbear/dropbear_ed25519_host_key") == fingerprint


def test_power_button_switches_it_off(from_disk: Any) -> None:
    from_disk.qmp("system_powerdown")
    from_disk.wait_for(lambda: from_disk.process.poll() is not None)
    assert from_disk.process.returncode == 0
