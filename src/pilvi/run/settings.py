"""What a cloud is: the choices of `pilvi up`, kept in DIR/cloud.json, and the places of everything under DIR.

Owners: the control process's user owns DIR/control (database, keys, images, the network's central databases) and DIR/run/control; root owns
the rest (guests, volumes, this host's switch). Without root everything belongs to whoever ran `up`.
"""
from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec
from msgspec import Struct

UID_BASE = 1_500_000_000
"""Users that no one else has: above all that distributions, LDAP and containers give out. +0 is control, +1… are guests."""


class Settings(Struct, kw_only=True, omit_defaults=True):
    """The choices. `hosts`: how many simulated ones."""
    state: str
    listen: str = "127.0.0.1:5000"
    public_url: str = ""
    """Where the APIs are reached when not at `listen`: a proxy before several control processes; the control's machine for a host that
    joined."""
    simulated: bool = False
    hosts: int = 1
    seed: int = 1
    unprivileged: bool = True
    """Does control run as another user than the one who ran `up`?"""
    tls: bool = False
    """Do the APIs speak TLS? (run/tls.py)"""
    certificate: str = ""
    """A file, with `key`; empty: one by the cloud's own authority."""
    key: str = ""
    authority: str = ""
    """A file with what clients are to believe beside their system's authorities, if the given certificate needs that."""
    database_url: str = ""
    """Empty: SQLite files under DIR."""
    bus_url: str = ""
    """Empty: a unix socket under DIR; else nats://…"""
    region: str = "RegionOne"
    accelerator: str = "auto"
    failures: str = ""
    """Rules of the simulated hypervisor: name pattern:method[:times] …"""
    latencies: dict[str, float] = {}
    """Seconds by method of the simulated hypervisor."""
    network_listen: str = ""
    """ADDRESS:PORT of the network's southbound database for other hosts; empty: this machine only."""
    tunnel_address: str = ""
    """This host's own address for the tunnels to other hosts."""
    external_cidr: str = ""
    host_name: str = ""
    meter_seconds: float = 60.0
    """How often hosts sample what their machines do."""
    agent: bool = True
    """Is this machine a host of its own cloud?"""
    control: bool = True
    """False: a host that joined a cloud elsewhere (run/join.py)."""

    @property
    def directory(self) -> Path:
        return Path(self.state)

    @property
    def url(self) -> str:
        """Where the APIs are."""
        return self.public_url or f"{self._scheme}://{self.listen}"

    @property
    def _scheme(self) -> str:
        return "https" if self.tls else "http"

    @property
    def door_url(self) -> str:
        """Where the service is that wants the root of an address: the object store, on the next port."""
        scheme, _, rest = self.url.partition("://")
        host, colon, port = rest.rpartition(":")
        return f"{scheme}://{host}:{int(port) + 1}" if colon and port.isdecimal() else f"{self.url}/object-store"

    @property
    def reaches_guests(self) -> bool:
        """Is this machine the way out for real guests, so that they can reach its APIs?"""
        return self.agent and self.control and not self.simulated

    @property
    def guest_url(self) -> str:
        """Where guests reach the APIs (in the catalogue stands `url`, which may be this machine's loopback)."""
        port = self.listen.rpartition(":")[2]
        return f"{self._scheme}://{self.external[1]}:{port}" if self.reaches_guests and not self.public_url else self.url

    @property
    def tag(self) -> str:
        """Tells this cloud's names on the machine from another's."""
        return hashlib.sha256(str(self.directory.resolve()).encode()).hexdigest()[:8]

    @property
    def cloud_id(self) -> str:
        return f"pilvi-{self.tag}"

    @property
    def number(self) -> int:
        """The same, as a number below 2^12."""
        return int(self.tag, 16) % 4096

    @property
    def control_uid(self) -> int:
        """The control process's user."""
        return UID_BASE + self.number * 65536 if self.unprivileged else os.getuid()

    @property
    def external(self) -> tuple[str, str]:
        """(cidr, gateway address) of the external network: 10.64.0.0/10 is cut into a /24 for each cloud unless one is given."""
        if self.external_cidr:
            network, _, length = self.external_cidr.partition("/")
            return self.external_cidr, network.rpartition(".")[0] + ".1" if length else network
        return f"10.{224 + self.number // 256}.{self.number % 256}.0/24", f"10.{224 + self.number // 256}.{self.number % 256}.1"

    @property
    def control_directory(self) -> Path:
        return self.directory / "control"

    @property
    def run_directory(self) -> Path:
        return self.directory / "run"

    @property
    def authority_path(self) -> Path:
        """What this cloud's clients are to believe; absent where the system's authorities are enough."""
        return self.directory / "ca.pem"

    @property
    def bus_path(self) -> Path:
        return self.run_directory / "control" / "bus.sock"

    @property
    def passwords_path(self) -> Path:
        return self.control_directory / "keys" / "passwords.json"


def load(directory: Path) -> Settings:
    """The cloud's settings. Raises FileNotFoundError."""
    return msgspec.json.decode((directory / "cloud.json").read_bytes(), type=Settings)


def save(settings: Settings) -> None:
    """Writes cloud.json, whole or not at all; where addresses hold passwords, only the processes may read it."""
    path = settings.directory / "cloud.json"
    beside = path.with_name(".cloud.json")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(settings)))
    secret = any("@" in url for url in (settings.database_url, settings.bus_url))
    if os.getuid() == 0: os.chown(beside, 0, settings.control_uid)
    beside.chmod(0o640 if secret else 0o644)
    beside.rename(path)


def prepare(settings: Settings) -> None:
    """Makes the folders, each with its owner."""
    root = settings.directory
    for path in (root, root / "run", root / "logs", root / "host"):
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
    if not settings.control: return
    for path in (settings.control_directory, root / "run" / "control",
            *(settings.control_directory / name for name in ("db", "keys", "images", "ovn"))):
        path.mkdir(mode=0o700, exist_ok=True)
        if os.getuid() == 0: os.chown(path, settings.control_uid, settings.control_uid)
    (root / "run" / "control").chmod(0o711)
