"""The host agent: compute, network and volume on one machine, as root; or, simulated, on any number of hosts, as anybody."""
from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path

import structlog

from pilvi.compute.agent.apis import Apis
from pilvi.compute.agent.images import Images
from pilvi.compute.agent.main import ComputeAgent
from pilvi.compute.agent.metadata_server import Servers
from pilvi.compute.agent.node import Node
from pilvi.compute.drivers import DRIVERS
from pilvi.compute.drivers.interface import Hypervisor
from pilvi.compute.drivers.simulated import Failures, rules
from pilvi.core import logs
from pilvi.core.bus import BROKERS
from pilvi.core.bus.interface import Bus
from pilvi.core.bus.unix_socket import UnixSocketClient
from pilvi.core.http import client, trust
from pilvi.core.http.client import Socket
from pilvi.identity.client import Tokens
from pilvi.network.agent.main import NetworkAgent
from pilvi.network.drivers import HOST_BACKENDS
from pilvi.run import crash
from pilvi.run.join import credentials
from pilvi.run.process import End, ready
from pilvi.run.settings import Settings, load
from pilvi.volume.agent.main import VolumeAgent
from pilvi.volume.drivers import DRIVERS as VOLUME_DRIVERS
from pilvi.volume.drivers.interface import VolumeDriver

LOG = structlog.get_logger()
STORY = {"take": "boot.13", "ask": "boot.14", "taken": "boot.15", "query": "boot.16", "found": "boot.17", "answer": "boot.18",
    "got": "boot.19"}
SERVICES = ("identity", "image", "network", "volume")
MOUNTS = {"volume": "block-storage"}


def hosts_of(settings: Settings) -> list[str]:
    """The names of the hosts that this process stands for."""
    if settings.simulated and not settings.host_name: return [f"sim-{number:05}" for number in range(1, settings.hosts + 1)]
    return [settings.host_name or socket.gethostname().partition(".")[0]]


def drivers_of(settings: Settings, hosts: list[str]) -> dict[str, Hypervisor]:
    """A hypervisor for each host."""
    home = settings.directory / "host"
    if settings.simulated:
        failures, folder = Failures(rules(settings.failures)), home / "machines"
        folder.mkdir(exist_ok=True)
        return {host: DRIVERS["simulated"](host, seed=settings.seed + number, latencies=settings.latencies, failures=failures,
                                           state_path=folder / f"{host}.json") for number, host in enumerate(hosts)}
    kernel = settings.directory / "guest" / "vmlinuz"
    uid = settings.control_uid + 1 if os.getuid() == 0 else None
    return {hosts[0]: DRIVERS["qemu"](home / "machines", uid_base=uid, accelerator=settings.accelerator,
                                      kernel_for_probe=kernel if kernel.exists() else None)}


def bus_of(settings: Settings, host: str) -> Bus:
    """The way to control."""
    if settings.bus_url: return BROKERS["nats"]([settings.bus_url], name=f"agent-{host}", tls=trust.context())
    return UnixSocketClient(settings.bus_path, name=f"agent-{host}", allowed_uids={settings.control_uid})


class Agent:
    """The three agents of one process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.hosts = hosts_of(settings)
        trust.believe(settings.authority_path)
        self.bus = bus_of(settings, self.hosts[0])
        for name in SERVICES: client.connect(name, Socket(f"{settings.url}/{MOUNTS.get(name, name)}"))
        tokens = Tokens(*credentials(settings), "service")
        home, drivers = settings.directory / "host", drivers_of(settings, self.hosts)
        cidr, gateway = settings.external if settings.control else (None, None)  # the way out is on the control's machine
        backend = HOST_BACKENDS["simulated" if settings.simulated else "ovn"](  # type: ignore[call-arg]
            settings.run_directory / "ovs", host=self.hosts[0], external_cidr=cidr, external_gateway=gateway, tag=settings.tag,
            tunnel_ip=settings.tunnel_address or None)
        self.network = NetworkAgent(self.bus, self.hosts[0], backend)
        self.metadata = Servers(lambda network_id, address: self.node.metadata().get((network_id, address)))
        self.down_mark = settings.run_directory / "down"
        self.node = Node(drivers, Apis(tokens, 60.0), Images(home / "images"), home, self._boots(drivers), self.open_metadata,
                         self.close_metadata, self.network.backend.metadata_networks, simulated=settings.simulated)
        self.compute = ComputeAgent(self.bus, self.node, run=settings.run_directory, control_uid=settings.control_uid, zone="nova",
                                    story=STORY, after_shutdown=self._was_down(), meter_seconds=settings.meter_seconds)
        store: VolumeDriver = VOLUME_DRIVERS["simulated" if settings.simulated else "file"](home / "volumes")  # type: ignore[assignment]
        self.volume = VolumeAgent(self.bus, dict.fromkeys(self.hosts, store), tokens, locks=settings.run_directory / "locks")

    def _boots(self, drivers: dict[str, Hypervisor]) -> threading.Semaphore:
        return threading.Semaphore(64 if self.settings.simulated else max(1, os.cpu_count() or 1))

    def _was_down(self) -> bool:
        """Was the cloud, or the machine, down since this agent last ran?"""
        boot_id, known = Path("/proc/sys/kernel/random/boot_id").read_text().strip(), self.settings.directory / "host" / "boot_id"
        rebooted = known.exists() and known.read_text() != boot_id
        known.write_text(boot_id)
        return rebooted or self.down_mark.exists()

    def open_metadata(self, network_id: str) -> None:
        """Makes 169.254.169.254 answer on a network here."""
        namespace = self.network.serve_metadata(network_id)
        if namespace: self.metadata.serve(network_id, namespace)

    def close_metadata(self, network_id: str) -> None:
        """Ends that."""
        self.metadata.drop(network_id)
        self.network.backend.drop_metadata(network_id)

    def learn(self) -> None:
        """Waits until control is there and tells what this host needs to know. Whoever ends the process meanwhile leaves nothing behind."""
        self.bus.start()
        self.network.learn()

    def start(self) -> None:
        """Joins the cloud."""
        self.network.start()
        self.volume.start()
        self.compute.start()
        self.down_mark.unlink(missing_ok=True)

    def stop(self) -> None:
        """Lets go of everything; guests run on, unless the cloud is being taken down."""
        down = self.down_mark.exists()
        self.compute.stop(machines=down)
        self.volume.stop()
        self.network.stop(backend=down)
        self.bus.close()


def main(directory: Path) -> None:
    """Runs until SIGTERM."""
    logs.configure(os.environ.get("PILVI_LOG", "info"))
    settings = load(directory)
    crash.arm(settings, "agent")
    agent = Agent(settings)
    agent.learn()
    end = End.expect()  # from here on it begins things, which are to be ended well
    agent.start()
    ready()
    end.wait()
    agent.stop()


if __name__ == "__main__": main(Path(sys.argv[1]))
