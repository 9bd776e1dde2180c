"""How another machine becomes a host of a cloud: `pilvi host add` writes a join file there, `pilvi agent --join FILE` takes it here.

Each host signs in as a user of its own, so that one can be put out without the others. The file is a secret: whoever has it can pose as the
host. What the network needs (keys of the southbound database too) the agent learns over the bus.
"""
from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from pilvi.core.bus.interface import NAME
from pilvi.core.crypto import new_password
from pilvi.run.settings import Settings

if TYPE_CHECKING:  # an agent needs nothing of what it loads
    from pilvi.run.furnish import Cloud

ROLE = PROJECT = "service"


class Join(Struct, kw_only=True):
    """All that a machine must be told."""
    host: str
    """The name it joins by."""
    user: str
    password: str
    url: str
    """Where the APIs are."""
    bus_url: str
    region: str
    simulated: bool = False
    authority: str = ""
    """What the APIs' certificates are signed by, in PEM; empty: the system knows it, or there is no TLS."""


class NotReady(Exception):
    """Why hosts cannot join this cloud, and what to do."""


def user_of(host: str) -> str:
    """The user that a host signs in as."""
    return f"pilvi-host-{host}"


def add(cloud: Cloud, host: str) -> Join:
    """Makes the host's user, or gives it a new password (an earlier join file is worthless then). Raises NotReady."""
    settings = cloud.settings
    problem = _problem(settings, host)
    if problem: raise NotReady(problem)
    join = Join(host=host, user=user_of(host), password=new_password(), url=settings.url, bus_url=settings.bus_url, region=settings.region,
                simulated=settings.simulated,
                authority=settings.authority_path.read_text() if settings.authority_path.exists() else "")
    project = cloud.find("identity", "/v3/projects", "projects", PROJECT)["id"]
    role = cloud.find("identity", "/v3/roles", "roles", ROLE)["id"]
    found = cloud.find("identity", "/v3/users", "users", join.user)
    if found: cloud.ask("identity", "PATCH", f"/v3/users/{found['id']}", {"user": {"password": join.password}})
    else:
        found = cloud.ask("identity", "POST", "/v3/users", {"user": {
            "name": join.user, "domain_id": "default", "default_project_id": project, "password": join.password,
            "description": f"The agent of host {host}"}})["user"]
    cloud.ask("identity", "PUT", f"/v3/projects/{project}/users/{found['id']}/roles/{role}")
    return join


def remove(cloud: Cloud, host: str) -> bool:
    """Puts the host out: its user and its tokens end. False: it never had one."""
    found = cloud.find("identity", "/v3/users", "users", user_of(host))
    if found: cloud.ask("identity", "DELETE", f"/v3/users/{found['id']}")
    return found is not None


def _problem(settings: Settings, host: str) -> str | None:
    if not NAME.fullmatch(host): return f"{host!r} is no name for a host: letters, digits, - and _, words joined by dots."
    if not settings.control: return "This machine is a host itself; add hosts where the control process runs."
    lacks = [] if settings.bus_url else ["--bus-url nats://ADDRESS:4222 (a NATS server that all machines reach)"]
    if not settings.simulated:
        lacks += [] if settings.network_listen else ["--network-listen ADDRESS:6642"]
        lacks += [] if settings.tunnel_address else ["--tunnel-address ADDRESS"]
    if (urlsplit(settings.url).hostname or "").startswith("127.") and not settings.simulated:
        lacks.append("--listen ADDRESS:5000 (now it listens to this machine only)")
    return "Other machines cannot reach this cloud yet. `pilvi down`, then `pilvi up` with " + ", ".join(lacks) if lacks else None


def write(join: Join, path: Path) -> None:
    """The join file, for its owner's eyes only."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file: file.write(text(join))


def text(join: Join) -> bytes:
    """What is in the file."""
    return msgspec.json.format(msgspec.json.encode(join)) + b"\n"


def read(path: Path) -> Join:
    """The join file. Raises FileNotFoundError, msgspec.DecodeError, msgspec.ValidationError."""
    return msgspec.json.decode(path.read_bytes(), type=Join)


def accept(join: Join, directory: Path, tunnel_address: str = "") -> Settings:
    """This machine's settings as that host; keeps the file beside them. `tunnel_address`: this machine's, if not the one towards the
    APIs."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    write(join, directory / "join.json")
    made = Settings(state=str(directory), control=False, simulated=join.simulated, public_url=join.url, bus_url=join.bus_url,
                    region=join.region, host_name=join.host, tunnel_address=tunnel_address or address_towards(join.url))
    if join.authority: made.authority_path.write_text(join.authority)
    else: made.authority_path.unlink(missing_ok=True)
    return made


def address_towards(url: str) -> str:
    """This machine's address on the way there; nothing is sent."""
    place = urlsplit(url)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((place.hostname, place.port or 80))
        return str(probe.getsockname()[0])


def credentials(settings: Settings) -> tuple[str, str]:
    """(user, password) of the agent on this machine."""
    if settings.control: return "pilvi-host", json.loads(settings.passwords_path.read_text())["pilvi-host"]
    join = read(settings.directory / "join.json")
    return join.user, join.password
