"""A simulated cloud that has grown: PostgreSQL and NATS beneath, one control process or two; and what a user sees of it."""
from __future__ import annotations

import json
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.outside.clouds import free_port

from pilvi.core.errors import Failure
from pilvi.core.http import client
from pilvi.run.furnish import Cloud
from pilvi.run.settings import Settings


class Broker:
    """A NATS server. It may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self.file = folder / "nats.conf"
        self.file.write_text(f'listen: "127.0.0.1:{self.port}"\nmax_payload: 8500000\n')
        self.start()

    def start(self) -> None:
        """Returns when it listens."""
        self.process = subprocess.Popen(["nats-server", "-c", self.file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < until, "the broker does not listen"
                time.sleep(0.1)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(30)

    def remove(self) -> None:
        """Ends it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def new_folder() -> Path:
    """A folder for states, short enough for unix sockets and open to all."""
    folder = Path(tempfile.mkdtemp(prefix="pilvi-scale-", dir="/var/tmp"))
    folder.chmod(0o755)
    return folder


def patiently(action: Callable[[], Any], seconds: float = 60) -> Any:
    """The action's result; tried again while something is away."""
    until = time.monotonic() + seconds
    while True:
        try: return action()
        except Failure as failure:
            if failure.status not in (401, 500, 503) or time.monotonic() > until: raise
            time.sleep(0.2)


def until(condition: Callable[[], Any], what: str, seconds: float = 180) -> None:
    """Waits for it, through failures of what has been killed."""
    limit = time.monotonic() + seconds
    while not patiently(condition):
        assert time.monotonic() < limit, f"not so within {seconds:.0f} s: {what}"
        time.sleep(0.3)


class At(Cloud):
    """The cloud through one of its control processes; several may be asked from here, which know services by name only."""

    def __init__(self, settings: Settings, user: str) -> None:
        super().__init__(settings, user, user)
        for service, transport in list(client.TRANSPORTS.items()):
            if "@" not in service: client.connect(f"{service}@{settings.listen}", transport)

    def ask(self, service: str, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """One request to that process. Raises the API's Failure."""
        headers = {"openstack-api-version": "compute 2.96"} if service == "compute" else {}
        return client.send(self.call, f"{service}@{self.settings.listen}", method, path, body=body, query=query, headers=headers).json()


class Customer:
    """A member of a project, at one of the control processes."""

    def __init__(self, settings: Settings, user: str = "demo") -> None:
        self.cloud: Cloud = patiently(lambda: At(settings, user))

    def ask(self, *words: Any, **more: Any) -> Any:
        """One request, patiently: only for those that may be repeated."""
        return patiently(lambda: self.cloud.ask(*words, **more))

    def network(self) -> str:
        """A network with a subnet."""
        net = patiently(lambda: self.cloud.make("network", "/v2.0/networks", "network", "networks", "grown"))
        if not net["subnets"]:
            self.ask("network", "POST", "/v2.0/subnets", {"subnet": {"network_id": net["id"], "cidr": "10.9.0.0/16", "ip_version": 4}})
        return str(net["id"])

    def boot(self, name: str, net: str) -> str:
        """Asks for a server; its id."""
        images = self.ask("image", "GET", "/v2/images")["images"]
        return str(self.cloud.ask("compute", "POST", "/v2.1/servers", {"server": {
            "name": name, "imageRef": images[0]["id"], "flavorRef": "1", "networks": [{"uuid": net}]}})["server"]["id"])

    def servers(self) -> dict[str, dict[str, Any]]:
        """{id: server}"""
        return {server["id"]: server for server in self.ask("compute", "GET", "/v2.1/servers/detail")["servers"]}

    def settled(self, ids: list[str]) -> bool:
        """Are they ACTIVE or in ERROR, with nothing being done to them?"""
        known = self.servers()
        return all(known[id]["status"] in ("ACTIVE", "ERROR") and known[id]["OS-EXT-STS:task_state"] is None for id in ids)

    def statuses(self, ids: list[str]) -> list[str]:
        """What has become of them."""
        known = self.servers()
        return [known[id]["status"] for id in ids]

    def delete(self, ids: list[str]) -> None:
        """Deletes servers and waits until they are gone."""
        for id in ids:
            try: patiently(lambda id=id: self.cloud.ask("compute", "DELETE", f"/v2.1/servers/{id}"))
            except Failure as failure:
                if failure.status != 404: raise
        until(lambda: not set(ids) & set(self.servers()), "all servers are gone")


LISTS = ("/compute/v2.1/servers?limit=1", "/network/v2.0/networks?limit=1", "/image/v2/images?limit=1", "/volumev3/v3/volumes?limit=1",
         "/placement/resource_providers", "/metric/v1/archive_policy", "/alarming/v2/alarms?limit=1", "/identity/v3/auth/projects")
"""Of each service something that a token opens, or that policy refuses it: 401 is only for tokens that are not good."""


def status_of(settings: Settings, token: str, path: str, method: str = "GET", body: Any = None,
              **headers: str) -> tuple[int, dict[str, str]]:
    """What a token meets at one of the control processes: status and headers."""
    sent = {"x-auth-token": token, "content-type": "application/json"} | {name.replace("_", "-"): headers[name] for name in headers}
    message = client.Message(method, path, sent, b"" if body is None else json.dumps(body).encode())
    reply = client.Socket(replace(settings, public_url="").url).send(message)
    return reply.status, reply.headers


def raise_quota(admin: Customer) -> None:
    """Lets the members' project have as many servers as the tests want."""
    project = admin.ask("identity", "GET", "/v3/projects", name="demo")["projects"][0]["id"]
    admin.ask("compute", "PUT", f"/v2.1/os-quota-sets/{project}", {"quota_set": {"instances": 100, "cores": 100, "ram": 100000}})


def left(admin: Customer, ids: list[str]) -> list[Any]:
    """What servers that are gone have left: ports and places on hosts."""
    ports = admin.ask("network", "GET", "/v2.0/ports")["ports"]
    held = [admin.ask("placement", "GET", f"/allocations/{id}")["allocations"] for id in ids]
    return [*(port["id"] for port in ports if port["device_id"] in ids), *(allocation for allocation in held if allocation)]
