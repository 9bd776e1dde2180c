"""What a template may ask about a server."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.core.errors import Failure
from pilvi.orchestration.types.interface import Work

CONSOLES = {"novnc": "vnc", "serial": "serial"}
"""{kind: protocol}"""


def addresses(work: Work) -> dict[str, list[dict[str, Any]]]:
    """{network's name and id: its addresses, each with port, subnets and network}. Floating ones come before what they lead to."""
    found: dict[str, list[dict[str, Any]]] = {}
    for port in work.ask("network", "GET", "/v2.0/ports", device_id=work.physical_id)["ports"]:
        network = work.ask("network", "GET", f"/v2.0/networks/{port['network_id']}")["network"]
        subnets = [work.ask("network", "GET", f"/v2.0/subnets/{ip['subnet_id']}")["subnet"] for ip in port["fixed_ips"]]
        outer = work.ask("network", "GET", "/v2.0/floatingips", port_id=port["id"])["floatingips"]
        listed = found.setdefault(network["name"], [])
        for ip in port["fixed_ips"]:
            told = {"version": 6 if ":" in ip["ip_address"] else 4, "OS-EXT-IPS-MAC:mac_addr": port["mac_address"]}
            listed += [{**told, "addr": one["floating_ip_address"], "OS-EXT-IPS:type": "floating", "port": None}
                       for one in outer if one["fixed_ip_address"] == ip["ip_address"]]
            listed.append({**told, "addr": ip["ip_address"], "OS-EXT-IPS:type": "fixed", "port": port["id"], "subnets": subnets,
                           "network": network})
        found[port["network_id"]] = listed
    return found


def networks(work: Work, server: Mapping[str, Any]) -> dict[str, list[str]]:
    """{network's name and id: [address]}"""
    found = {name: [one["addr"] for one in listed] for name, listed in server["addresses"].items()}
    ids = {port["network_id"] for port in work.ask("network", "GET", "/v2.0/ports", device_id=work.physical_id)["ports"]}
    for id in ids:
        name = work.ask("network", "GET", f"/v2.0/networks/{id}")["network"]["name"]
        if name in found: found[id] = found[name]
    return found


def first_address(server: Mapping[str, Any]) -> str:
    """An address, "" if it has none."""
    return next((str(one["addr"]) for listed in server["addresses"].values() for one in listed), "")


def console_urls(work: Work) -> dict[str, str]:
    """{kind: URL}, or why there is none."""
    found = {}
    for kind, protocol in CONSOLES.items():
        body = {"remote_console": {"protocol": protocol, "type": kind}}
        try: found[kind] = work.ask("compute", "POST", f"/v2.1/servers/{work.physical_id}/remote-consoles", body)["remote_console"]["url"]
        except Failure as failure: found[kind] = f"There is no {kind} console: {failure.message}"
    return found
