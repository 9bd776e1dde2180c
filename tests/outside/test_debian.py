"""A Debian with its own cloud-init on the cloud: what real images do with our metadata service and our config drive."""
from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.outside import debian_image
from tests.outside.clouds import Cloud, free_port, wait
from tests.outside.test_walk import ssh

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.debian]
BOOT_SECONDS = 900.0
USER_DATA = """#cloud-config
write_files:
- path: /root/written
  content: cloud-config-was-applied
runcmd:
- [sh, -c, "id -un > /root/ran"]
"""


@pytest.fixture(scope="module")
def cloud(cloud_at: Callable[[str], Cloud], tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    if shutil.which("mmdebstrap") is None: pytest.skip("apt-get install mmdebstrap")
    given = os.environ.get("PILVI_DEBIAN_IMAGE")
    made = cloud_at("debian")
    image = Path(given) if given else debian_image.build(made.state.parent / "image" / "debian.qcow2")
    done = made.pilvi("up", "--listen", f"127.0.0.1:{free_port()}", check=False, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    made.demo.run("image", "create", "--disk-format", "qcow2", "--file", str(image), "debian")
    made.admin.run("flavor", "create", "--ram", "512", "--disk", "3", "--vcpus", "2", "debian")
    key = tmp_path_factory.mktemp("keys") / "key"
    key.write_text(made.demo.run("keypair", "create", "debian"))
    key.chmod(0o600)
    made.key = key  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize(("name", "options", "source"), [
    ("by-network", (), "DataSourceOpenStack"), ("by-drive", ("--use-config-drive",), "DataSourceConfigDrive")])
def test_cloud_init(cloud: Cloud, tmp_path: Path, name: str, options: tuple[str, ...], source: str) -> None:
    demo, script = cloud.demo, tmp_path / "user-data"
    script.write_text(USER_DATA)
    demo.run("server", "create", "--flavor", "debian", "--image", "debian", "--network", "private", "--key-name", "debian",
        "--security-group", "ssh-and-ping", "--user-data", str(script), *options, "--wait", name)
    address = demo.json("floating", "ip", "create", "public")["floating_ip_address"]
    demo.run("server", "add", "floating", "ip", name, address)

    def inside(command: str) -> str: return ssh(cloud.key, address, command, BOOT_SECONDS, user="debian")  # type: ignore[attr-defined]

    began = time.monotonic()
    assert inside("hostname").strip() == name, "and the network works, which real images set up only as network_data.json says"
    print(f"{name}: ssh after {time.monotonic() - began:.0f} s")
    wait(lambda: not {"running", "not run"} & {inside("cloud-init status || true").partition(": ")[2].strip()}, "cloud-init ended",
        BOOT_SECONDS)
    result = json.loads(inside("cat /run/cloud-init/result.json"))["v1"]
    assert result["datasource"].startswith(source) and result["errors"] == [], result
    assert inside("sudo cat /root/written /root/ran").split() == ["cloud-config-was-appliedroot"]
    assert int(inside("df --output=size -BM / | tail -1").strip().rstrip("M")) > 2500, "the root grew with the disk"
    server = demo.json("server", "show", name)
    assert inside("cloud-init query instance_id").strip() == server["id"]
    assert inside("cat /sys/class/dmi/id/product_uuid 2>/dev/null || sudo cat /sys/class/dmi/id/product_uuid").strip() == server["id"]
    assert "Cloud-init" in demo.run("console", "log", "show", name)
    demo.run("server", "delete", "--wait", name)
