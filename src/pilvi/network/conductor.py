"""The network agents' door: how to join, and where a network's metadata address is."""
from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import select

from pilvi.core.bus.interface import Message
from pilvi.core.http.app import Application
from pilvi.network.drivers import interface
from pilvi.network.port.service_port import METADATA
from pilvi.network.resources.tables import Port, Subnet


def facts(application: Application, args: dict[str, Any], message: Message) -> dict[str, Any]:
    """{host} → what the host's half of the backend must know"""
    backend: interface.Backend = application.state["network_backend"]
    return backend.facts()


def metadata_port(application: Application, args: dict[str, Any], message: Message) -> dict[str, Any]:
    """{network_id} → {port, subnets} as the drivers know them; port None: the network has no DHCP, so no metadata address"""
    with application.database.read() as db:
        port = db.scalars(select(Port).where(Port.network_id == args["network_id"], Port.device_owner == METADATA)).first()
        if port is None: return {"port": None}
        ids = [fixed["subnet_id"] for fixed in port.fixed_ips]
        subnets = list(db.scalars(select(Subnet).where(Subnet.id.in_(ids))))
    shown = interface.Port(
        id=port.id, name=port.name, network_id=port.network_id, mac=port.mac_address, device_owner=port.device_owner,
        device_id=port.device_id, fixed_ips=[interface.FixedIp(fixed["subnet_id"], fixed["ip_address"]) for fixed in port.fixed_ips])
    return {"port": msgspec.to_builtins(shown), "subnets": [msgspec.to_builtins(interface.Subnet(
        id=s.id, network_id=s.network_id, cidr=s.cidr, gateway_ip=s.gateway_ip, dhcp=s.enable_dhcp)) for s in subnets]}


def joined(application: Application, args: dict[str, Any], message: Message) -> None:
    """{host}: its half of the backend has started"""
    application.state["network_reconciler"].host_joined(args["host"])


HANDLERS = {"facts": facts, "joined": joined, "metadata_port": metadata_port}
