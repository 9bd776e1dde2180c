"""A real guest image and real guests in QEMU, for the tests marked `real`; everything else here needs neither."""
from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.outside.clouds import free_port

from pilvi.image.guest.build import GuestImage, build
from pilvi.image.guest.programs import run

BOOT_SECONDS = 300
USER_DATA = "#!/bin/sh\necho from the user data as $(id -un)\necho x >> /root/times-run\n"
# answers one request on standard input and output, as QEMU starts it anew for each connection
METADATA_SERVICE = """\
import sys
from pathlib import Path
path = sys.stdin.readline().split()[1]
while sys.stdin.readline().strip(): pass
file = Path(sys.argv[1] + path)
body = file.read_bytes() if file.is_file() else b""
status = b"200 OK" if file.is_file() else b"404 Not Found"
sys.stdout.buffer.write(b"HTTP/1.0 %s\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (status, len(body), body))
"""


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> GuestImage:
    folder = tmp_path_factory.mktemp("guest-image")
    return build(folder, cache_dir=folder / "packages", progress=print)


class Guest:
    """A running virtual machine that can reach nothing but what the test gives it."""

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        self._folder = folder
        self._port = free_port()
        arguments = [argument.replace("SSH_PORT", str(self._port)) for argument in arguments]
        self._console = folder / "console.log"
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-M", "pc", "-cpu", "Nehalem", "-accel", "tcg,tb-size=64", "-m", "128", "-nodefaults",
             "-display", "none", "-vga", "std", "-serial", f"file:{self._console}", "-qmp", f"unix:{folder}/qmp,server=on,wait=off",
             "-device", "virtio-rng-pci", "-device", "virtio-net-pci,netdev=n0,romfile=", *arguments])

    def console(self) -> str:
        return self._console.read_text(errors="replace") if self._console.exists() else ""

    def wait_for(self, condition: Callable[[], bool], seconds: float = BOOT_SECONDS) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not within {seconds} s; console:\n{self.console()}"
            time.sleep(0.25)

    def wait_until_ready(self, times: int = 1) -> None:
        self.wait_for(lambda: self.console().count("pilvi-guest: ready: ") >= times)

    def ssh(self, command: str, user: str = "root", options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        settings = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=20", "LogLevel=ERROR", "BatchMode=yes",
                    "IdentitiesOnly=yes", *options]
        flags = [flag for setting in settings for flag in ("-o", setting)]
        call = ["ssh", "-F", "none", "-i", self._folder / "key", "-p", str(self._port), *flags, f"{user}@127.0.0.1", command]
        return subprocess.run(call, capture_output=True, text=True, check=False, timeout=120)

    def output(self, command: str, user: str = "root") -> str:
        done = self.ssh(command, user)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def qmp(self, command: str, **arguments: Any) -> Any:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._folder / "qmp"))
            stream = connection.makefile("rw")
            stream.readline()
            for request in [{"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}]:
                stream.write(json.dumps(request) + "\n")
                stream.flush()
                answer = json.loads(stream.readline())
                while "event" in answer:
                    answer = json.loads(stream.readline())
                assert "return" in answer, answer
            return answer["return"]

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def make_instance(folder: Path, instance_id: str, user_data: str = USER_DATA) -> None:
    """Lays OpenStack's metadata of an instance, with a new key, into folder/openstack/latest."""
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", 'a "quoted" comment', "-f", folder / "key"])
    latest = folder / "openstack/latest"
    latest.mkdir(parents=True)
    metadata = {"uuid": instance_id, "hostname": "kalle.example.org", "name": "kalle", "meta": {"hostname": "wrong"},
                "public_keys": {"mine": (folder / "key.pub").read_text()}}
    (latest / "meta_data.json").write_text(json.dumps(metadata))
    if user_data:
        (latest / "user_data").write_text(user_data)


def overlay(folder: Path, image: GuestImage) -> list[str]:
    """The arguments for a fresh disk of 4 GiB on top of the image."""
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", image.qcow2, "-F", "qcow2", folder / "disk.qcow2", "4G"])
    return ["-drive", f"file={folder}/disk.qcow2,if=virtio"]


@pytest.fixture(scope="session")
def from_disk(image: GuestImage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """A guest that boots from its disk and finds its metadata on a config drive."""
    folder = tmp_path_factory.mktemp("from-disk")
    make_instance(folder, "11111111-2222-3333-4444-555555555555")
    drive = folder / "config.img"
    run(["mformat", "-i", drive, "-C", "-t", "1", "-h", "64", "-s", "32", "-v", "config-2", "::"])
    run(["mcopy", "-s", "-i", drive, folder / "openstack", "::"])
    guest = Guest(folder, [*overlay(folder, image), "-drive", f"file={drive},if=virtio,format=raw,readonly=on",
                           "-netdev", "user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:SSH_PORT-:22"])
    guest.wait_until_ready()
    yield guest
    guest.stop()


@pytest.fixture(scope="session")
def from_kernel(image: GuestImage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """A guest whose kernel QEMU loads, and that asks the metadata service."""
    folder = tmp_path_factory.mktemp("from-kernel")
    make_instance(folder, "22222222-2222-3333-4444-555555555555", "#cloud-config\nruncmd: [reboot]\n")
    service = folder / "service.py"
    service.write_text(METADATA_SERVICE)
    network = (f"user,id=n0,restrict=on,net=169.254.169.0/24,dhcpstart=169.254.169.20,hostfwd=tcp:127.0.0.1:SSH_PORT-:22,"
               f"guestfwd=tcp:169.254.169.254:80-cmd:{sys.executable} {service} {folder}")
    guest = Guest(folder, [*overlay(folder, image), "-kernel", str(image.kernel), "-initrd", str(image.initrd),
                           "-append", image.kernel_arguments, "-netdev", network])
    guest.wait_until_ready()
    yield guest
    guest.stop()
