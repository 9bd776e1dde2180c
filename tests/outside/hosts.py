"""Machines of a test: network namespaces joined by two wires, one for the APIs and the bus, one for the tunnels."""
from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
OPENSTACK = Path(sys.executable).with_name("openstack")
NUMBER = os.getpid() % 250


def command(*words: str | Path, timeout: float = 60) -> str:
    """What it prints; it must end well."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


class Machine:
    """One namespace with addresses of its own. 198.18.0.0/15 is for tests of networks (RFC 2544)."""

    def __init__(self, place: int, state: Path) -> None:
        self.namespace = f"pilvi-test-{NUMBER}-{place}"
        self.address, self.tunnel = f"198.18.{NUMBER}.{place}", f"198.19.{NUMBER}.{place}"
        self.state = state
        command("ip", "netns", "add", self.namespace)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *words: str | Path, timeout: float = 300) -> str:
        """A command on this machine."""
        return command("ip", "netns", "exec", self.namespace, *words, timeout=timeout)

    def start(self, *words: str | Path) -> subprocess.Popen[bytes]:
        """One that goes on."""
        return subprocess.Popen(["ip", "netns", "exec", self.namespace, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def pilvi(self, *words: str, timeout: float = 600) -> str:
        """Pilvi's command line here, from the source that is tested."""
        program = ("env", f"PYTHONPATH={ROOT / 'src'}", sys.executable, "-m", "pilvi.run.cli")
        return self.run(*program, *words, "--state", self.state, timeout=timeout)

    def openstack(self, cloud: str, *words: str, project: str = "") -> str:
        """The openstack client as one of the users in clouds.yaml."""
        scope = ["--os-project-name", project] if project else []
        return self.run("env", f"OS_CLIENT_CONFIG_FILE={self.state}/clouds.yaml", f"OS_CLOUD={cloud}", f"HOME={self.state}", OPENSTACK,
                        "--os-compute-api-version", "2.96", *scope, *words).strip()

    def ssh(self, key: Path, address: str, order: str, seconds: float = 300) -> str:
        """What a command in a guest prints; tried until it lets us in."""
        until = time.monotonic() + seconds
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes", "ConnectTimeout=5")
        words = ["ssh", "-i", str(key), *(word for option in options for word in ("-o", option)), f"root@{address}", order]
        while True:
            done = subprocess.run(["ip", "netns", "exec", self.namespace, *words], capture_output=True, text=True, check=False, timeout=120)
            if done.returncode != 255: break
            assert time.monotonic() < until, f"no ssh to {address}: {done.stderr}"
            time.sleep(2)
        assert done.returncode == 0, f"{order}: {done.returncode} {done.stdout} {done.stderr}"
        return done.stdout

    def links(self) -> set[str]:
        """The network devices there are."""
        return {line.split(":")[1].strip().partition("@")[0] for line in self.run("ip", "-o", "link").splitlines()}

    def remove(self) -> None:
        """Nothing stays of it."""
        subprocess.run(["ip", "netns", "delete", self.namespace], check=False, capture_output=True)


def wire(one: Machine, other: Machine) -> None:
    """Joins two machines: `lan` carries APIs and bus, `tun` the tunnels."""
    for name, address in (("lan", "address"), ("tun", "tunnel")):
        command("ip", "-n", one.namespace, "link", "add", name, "type", "veth", "peer", "name", name, "netns", other.namespace)
        for machine in (one, other):
            machine.run("ip", "address", "add", f"{getattr(machine, address)}/24", "dev", name)
            machine.run("ip", "link", "set", name, "up")
            machine.run("ethtool", "-K", name, "tx", "off")
