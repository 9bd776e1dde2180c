"""A real guest: from POST to ACTIVE and to ssh, and the share of it that is QEMU's own: the same image started by hand.

    sudo PYTHONPATH=src python -m benchmarks.boot_real STATE [ROUNDS]     STATE: the folder of a real cloud that is up, `hello` included
"""
from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pilvi.compute.agent import config_drive
from pilvi.run import explain, furnish
from pilvi.run.settings import load

READY = b"pilvi-guest: ready"


def by_hand(image: Path) -> float:
    """Seconds until the image's guest is ready to log in, started by plain QEMU as the cloud starts it, without a network to wait for."""
    with tempfile.TemporaryDirectory() as scratch:
        overlay, console = Path(scratch, "overlay.qcow2"), Path(scratch, "console")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", overlay, "1G"], check=True)
        drive = Path(scratch, "drive.iso")  # else the guest would look for metadata for some seconds
        config_drive.write(drive, config_drive.files({"uuid": "1", "name": "hand", "hostname": "hand", "project_id": "1"}))
        begun = time.monotonic()
        guest = subprocess.Popen([
            "qemu-system-x86_64", "-M", "pc", "-cpu", "Nehalem", "-accel", "tcg,tb-size=64", "-nodefaults", "-display", "none", "-m", "128",
            "-serial", f"file:{console}", "-drive", f"file={overlay},format=qcow2,if=virtio", "-device", "virtio-rng-pci",
            "-drive", f"file={drive},format=raw,if=virtio,readonly=on"])
        try:
            while not (console.exists() and (b"login:" in console.read_bytes() or READY in console.read_bytes())): time.sleep(0.05)
            return time.monotonic() - begun
        finally:
            guest.kill()
            guest.wait()


def on_the_cloud(demo: furnish.Cloud, name: str) -> tuple[float, float]:
    """(seconds to ACTIVE, seconds until ssh answers) of a server like `hello`."""
    net = demo.find("network", "/v2.0/networks", "networks", "private")
    public = demo.find("network", "/v2.0/networks", "networks", furnish.EXTERNAL)
    image = next(one for one in demo.ask("image", "GET", "/v2/images", name=furnish.IMAGE)["images"])
    begun = time.monotonic()
    server: dict[str, Any] = demo.ask("compute", "POST", "/v2.1/servers", {"server": {
        "name": name, "imageRef": image["id"], "flavorRef": "1", "networks": [{"uuid": net["id"]}], "key_name": furnish.HELLO,
        "security_groups": [{"name": "ssh-and-ping"}]}})["server"]
    try:
        furnish.wait_active(demo, server["id"])
        active = time.monotonic() - begun
        port = demo.ask("network", "GET", "/v2.0/ports", device_id=server["id"])["ports"][0]
        wish = {"floating_network_id": public["id"], "port_id": port["id"]}
        floating = demo.ask("network", "POST", "/v2.0/floatingips", {"floatingip": wish})
        furnish.wait_answer(floating["floatingip"]["floating_ip_address"])
        answers = time.monotonic() - begun
        demo.ask("network", "DELETE", f"/v2.0/floatingips/{floating['floatingip']['id']}")
    finally:
        demo.ask("compute", "DELETE", f"/v2.1/servers/{server['id']}")
    return active, answers


def main() -> None:
    """Alternates the two and prints medians and their ratio."""
    settings = load(Path(sys.argv[1]))
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    demo = furnish.Cloud(settings, "demo", "demo")
    explain.find_server(demo, furnish.HELLO)
    hand, active, ssh = [], [], []
    for number in range(rounds):
        hand.append(by_hand(settings.directory / "guest" / "pilvi-guest.qcow2"))
        first, second = on_the_cloud(demo, f"bench-{number}")
        active.append(first)
        ssh.append(second)
    middle = {"QEMU by hand, to login": hand, "POST to ACTIVE": active, "POST to ssh": ssh}
    for name, values in middle.items(): print(f"{name:24} {statistics.median(values):6.2f} s   {[round(v, 2) for v in values]}")
    print(f"{'ssh ÷ by hand':24} {statistics.median(ssh) / statistics.median(hand):6.2f}")


if __name__ == "__main__": main()
