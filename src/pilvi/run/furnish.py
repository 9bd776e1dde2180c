"""What a new cloud gets so that it can be used at once: flavors, an external network, an image, and the first server. Through the APIs, as
any client would; everything is looked for before it is made, so it may be repeated.
"""
from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from pilvi.core.context import Call
from pilvi.core.crypto import secret_file
from pilvi.core.errors import Failure
from pilvi.core.http import client, trust
from pilvi.core.http.client import Socket, send
from pilvi.identity.client import log_in
from pilvi.image import client as image
from pilvi.run.settings import Settings

FLAVORS = (("1", "m1.nano", 128, 1, 1), ("2", "m1.micro", 192, 1, 2), ("3", "m1.tiny", 512, 1, 5), ("4", "m1.small", 2048, 1, 20),
           ("5", "m1.medium", 4096, 2, 40), ("6", "m1.large", 8192, 4, 80))
EXTERNAL, IMAGE, HELLO = "public", "pilvi-guest", "hello"
WAIT_SECONDS = 600.0
Say = Callable[[str], None]


class Cloud:
    """The cloud as one user of it."""

    def __init__(self, settings: Settings, user: str, project: str) -> None:
        trust.believe(settings.authority_path)
        for name, kind in (("identity", "identity"), ("image", "image"), ("network", "network"), ("compute", "compute"),
                           ("volume", "block-storage"), ("placement", "placement"), ("telemetry", "rating"),
                           ("objectstore", "object-store")):
            client.connect(name, Socket(f"{settings.url}/{kind}"))
        self.settings = settings
        word = json.loads(settings.passwords_path.read_text())[user]
        self.call = Call(token=log_in(user, word, project)[0])

    def ask(self, service: str, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """One request. Raises the API's Failure."""
        headers = {"openstack-api-version": "compute 2.96"} if service == "compute" else {}
        return send(self.call, service, method, path, body=body, query=query, headers=headers).json()

    def find(self, service: str, path: str, plural: str, name: str) -> Any:
        """The first thing of that name; None if there is none."""
        return next((thing for thing in self.ask(service, "GET", path, name=name)[plural] if thing["name"] == name), None)

    def make(self, service: str, path: str, singular: str, plural: str, name: str, **values: Any) -> Any:
        """The thing of that name; made if it is not there."""
        found = self.find(service, path, plural, name)
        return found or self.ask(service, "POST", path, {singular: {"name": name, **values}})[singular]


def furnish(settings: Settings, guest: Path | None, say: Say) -> None:
    """Flavors, the external network and an image, as administrator. `guest`: the bootable image's file, None in a simulated cloud."""
    admin = Cloud(settings, "admin", "admin")
    known = {flavor["id"] for flavor in admin.ask("compute", "GET", "/v2.1/flavors")["flavors"]}
    for id, name, ram, vcpus, disk in FLAVORS:
        if id not in known:
            admin.ask("compute", "POST", "/v2.1/flavors", {"flavor": {"id": id, "name": name, "ram": ram, "vcpus": vcpus, "disk": disk}})
    cidr, gateway = settings.external
    net = admin.make("network", "/v2.0/networks", "network", "networks", EXTERNAL, **{
        "router:external": True, "provider:network_type": "flat", "provider:physical_network": "external"})
    admin.make("network", "/v2.0/subnets", "subnet", "subnets", EXTERNAL, network_id=net["id"], cidr=cidr, ip_version=4, gateway_ip=gateway,
               enable_dhcp=False)
    _image(admin, guest, say)


def _image(admin: Cloud, guest: Path | None, say: Say) -> None:
    found = next((one for one in image.list_images(admin.call, name=IMAGE) if one["status"] == "active"), None)
    if found: return
    say("uploading the guest image")
    path = guest or admin.settings.control_directory / "simulated.raw"
    if guest is None: path.write_bytes(b"A simulated machine runs no image; these bytes are only kept.".ljust(65536, b"\0"))
    made = image.create(admin.call, {"name": IMAGE, "disk_format": "qcow2" if guest else "raw", "container_format": "bare",
        "visibility": "public",
                                     "min_ram": 96, "os_distro": "pilvi"})
    image.upload(admin.call, made["id"], path)


def hello(settings: Settings, say: Say) -> dict[str, Any]:
    """The first server, as the member `demo`: a network of its own, ssh and ping let in, a floating IP, a key. Returns what to tell the
    user."""
    demo = Cloud(settings, "demo", "demo")
    key_path = settings.directory / "hello.key"
    public = _key(key_path)
    if not any(pair["keypair"]["name"] == HELLO for pair in demo.ask("compute", "GET", "/v2.1/os-keypairs")["keypairs"]):
        demo.ask("compute", "POST", "/v2.1/os-keypairs", {"keypair": {"name": HELLO, "type": "ssh", "public_key": public}})
    net = demo.make("network", "/v2.0/networks", "network", "networks", "private")
    subnet = demo.make("network", "/v2.0/subnets", "subnet", "subnets", "private", network_id=net["id"], cidr="192.168.77.0/24",
        ip_version=4)
    group = demo.make("network", "/v2.0/security-groups", "security_group", "security_groups", "ssh-and-ping")
    for protocol, port in (("tcp", 22), ("icmp", None)): _rule(demo, group["id"], protocol, port)
    public_net = demo.find("network", "/v2.0/networks", "networks", EXTERNAL)
    router = demo.make("network", "/v2.0/routers", "router", "routers", "router", external_gateway_info={"network_id": public_net["id"]})
    try: demo.ask("network", "PUT", f"/v2.0/routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
    except Failure as failure:
        if failure.status not in (400, 409): raise
    server = demo.find("compute", "/v2.1/servers", "servers", HELLO) or _boot(demo, net, group)
    say("waiting until it is ACTIVE")
    active = wait_active(demo, server["id"])
    port = demo.ask("network", "GET", "/v2.0/ports", device_id=server["id"])["ports"][0]
    address = _floating(demo, port["id"], public_net["id"])
    if not settings.simulated:
        say(f"waiting until it answers at {address}")
        wait_answer(address)
    return {"server": active, "address": address, "key": str(key_path)}


def _boot(demo: Cloud, net: dict[str, Any], group: dict[str, Any]) -> Any:
    found = next(one for one in image.list_images(demo.call, name=IMAGE) if one["status"] == "active")
    return demo.ask("compute", "POST", "/v2.1/servers", {"server": {
        "name": HELLO, "imageRef": found["id"], "flavorRef": "1", "networks": [{"uuid": net["id"]}], "key_name": HELLO,
        "security_groups": [{"name": group["name"]}]}})["server"]


def _key(path: Path) -> str:
    """The public half of the key in the file; made if it is not there. ssh wants OpenSSH's own format, 0600."""
    def make() -> str:
        return ed25519.Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()).decode()

    secret_file(path, make)
    private = serialization.load_ssh_private_key(path.read_bytes(), None)
    return private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode() + " hello"


def _rule(demo: Cloud, group_id: str, protocol: str, port: int | None) -> None:
    rule = {"security_group_id": group_id, "direction": "ingress", "protocol": protocol, "port_range_min": port, "port_range_max": port}
    try:
        demo.ask("network", "POST", "/v2.0/security-group-rules", {"security_group_rule": {k: v for k, v in rule.items() if v is not None}})
    except Failure as failure:
        if failure.status != 409: raise


def _floating(demo: Cloud, port_id: str, network_id: str) -> str:
    found = demo.ask("network", "GET", "/v2.0/floatingips", port_id=port_id)["floatingips"]
    made = found[0] if found else demo.ask("network", "POST", "/v2.0/floatingips", {"floatingip": {
        "floating_network_id": network_id, "port_id": port_id}})["floatingip"]
    return str(made["floating_ip_address"])


class ServerFailed(Exception):
    """The server did not become ACTIVE; the text says why."""


def wait_active(cloud: Cloud, id: str) -> dict[str, Any]:
    """The server, once it is ACTIVE. Raises ServerFailed."""
    until, pause = time.monotonic() + WAIT_SECONDS, 0.02
    while time.monotonic() < until:
        server = cloud.ask("compute", "GET", f"/v2.1/servers/{id}")["server"]
        if server["status"] == "ACTIVE": return dict(server)
        if server["status"] == "ERROR": raise ServerFailed(server.get("fault", {}).get("message", "no reason was given"))
        time.sleep(pause)
        pause = min(0.5, pause * 1.5)
    raise ServerFailed(f"it was not ACTIVE within {WAIT_SECONDS:.0f} seconds")


def wait_answer(address: str, port: int = 22) -> None:
    """Until somebody speaks at the address. Raises ServerFailed."""
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        try:
            with socket.create_connection((address, port), timeout=3) as link:
                link.settimeout(5)
                if link.recv(16): return
        except OSError: pass
        time.sleep(0.5)
    raise ServerFailed(f"{address}:{port} did not answer within {WAIT_SECONDS:.0f} seconds")
