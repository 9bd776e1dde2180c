"""A server's cards: from a template's `networks` to ports, and from one list of them to another while it runs.

Source: Template Guide, "OS::Nova::Server", networks; Compute API, "Port interfaces".

Entries that say more than the compute API can (a subnet, properties of the port) get a port of the resource's own, which it ends with the
server. work.data["nics"] remembers {"asked": entry, "port": id, "own": made here?} for each card.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.core.errors import NotFound
from pilvi.orchestration.types.finders import find
from pilvi.orchestration.types.interface import Property, PropertyInvalid, Work, list_of, map_of, string
from pilvi.orchestration.types.neutron.port import EXTRA
from pilvi.orchestration.types.rest import resolve

NETWORKS: Property = list_of(map_of({
    "network": string("The network.", refers="neutron.network", older=("uuid",)),
    "allocate_network": string("auto: any network there is, none: no network.", update=True, since="9.0.0"),
    "fixed_ip": string("The address."),
    "port": string("The port.", refers="neutron.port"),
    "port_extra_properties": map_of(EXTRA, "More about the port that is made.", update=True, since="6.0.0"),
    "subnet": string("The subnet of the address.", refers="neutron.subnet", since="5.0.0"),
    "floating_ip": string("The id of the floating IP that is to lead here.", since="6.0.0"),
    "tag": string("A word by which the server finds the card.", since="9.0.0"),
}), "The networks it is on, a card for each entry.", update=True, wire="")
Entry = Mapping[str, Any]


def validate(properties: Mapping[str, Any]) -> None:
    """Raises PropertyInvalid for what contradicts itself."""
    entries = properties["networks"] or []
    for index, entry in enumerate(entries):
        if entry is None: continue  # not known yet
        path, said = f"networks[{index}]", {name for name, value in entry.items() if value is not None}
        if entry["allocate_network"]:
            if entry["allocate_network"] not in ("auto", "none"):
                raise PropertyInvalid(path=path, reason=f'"{entry["allocate_network"]}" is not an allowed value ["none", "auto"]')
            if len(said) > 1 or len(entries) > 1:
                raise PropertyInvalid(path=path, reason='Can not specify "allocate_network" with other keys of networks at the same time.')
        if entry["port"] and entry["fixed_ip"]:
            raise PropertyInvalid(path=path, reason="Cannot define the following properties at the same time: fixed_ip, port.")
        if entry["floating_ip"] and entry["network"] and not (said & {"port", "subnet", "port_extra_properties"}):
            raise PropertyInvalid(path=path, reason='"floating_ip" needs a port or a subnet beside the network.')
        if entry["port"] and properties["security_groups"]:
            raise PropertyInvalid(path=path, reason="Cannot define the following properties at the same time: security_groups, "
                                                    "networks/port.")


def wanted(work: Work, entries: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """The entries with names of things as ids and without what was not said."""
    resolved: list[dict[str, Any]] = resolve(work, NETWORKS, entries or [])
    return resolved


def nics(work: Work) -> list[dict[str, Any]] | str:
    """`networks` of the request that makes the server; makes the ports that are needed."""
    entries = wanted(work, work.properties["networks"])
    if not entries: return "auto"
    if "allocate_network" in entries[0]: return str(entries[0]["allocate_network"])
    work.data["nics"], told = [], []
    for index, entry in enumerate(entries):
        nic = card(work, index, entry, own=False)
        work.data["nics"].append(nic)
        form = {"port": nic["port"]} if nic["port"] else {"uuid": entry.get("network"), "fixed_ip": entry.get("fixed_ip")}
        told.append({name: value for name, value in {**form, "tag": entry.get("tag")}.items() if value})
    return told


def card(work: Work, index: int, entry: Entry, *, own: bool) -> dict[str, Any]:
    """What is remembered of a card; its port is there afterwards, unless the compute service is to make it (never when `own`)."""
    port = entry.get("port")
    makes = not port and (own or "subnet" in entry or "port_extra_properties" in entry)
    if makes: port = _own_port(work, index, entry)
    if port and entry.get("floating_ip"): _lead(work, entry, port)
    return {"asked": dict(entry), "port": port, "own": makes}


def _own_port(work: Work, index: int, entry: Entry) -> str:
    """A port of the resource's own; found again by its description, so this may be repeated."""
    mark = f"resource {work.resource_id} card {index} {work.data.get('generation', 0)}"
    found = work.ask("network", "GET", "/v2.0/ports", description=mark)["ports"]
    if found: return str(found[0]["id"])
    subnet = entry.get("subnet")
    network = entry.get("network") or work.ask("network", "GET", f"/v2.0/subnets/{subnet}")["subnet"]["network_id"]
    body: dict[str, Any] = {"name": f"{work.name}-port-{index}", "description": mark, "network_id": network}
    address = {"ip_address": entry.get("fixed_ip"), "subnet_id": subnet}
    if any(address.values()): body["fixed_ips"] = [{name: value for name, value in address.items() if value}]
    if work.properties["security_groups"]:
        body["security_groups"] = [find(work.call, "neutron.security_group", one) for one in work.properties["security_groups"]]
    extra = _extra(entry)
    if extra.pop("no_fixed_ips", False): body["fixed_ips"] = []
    return str(work.ask("network", "POST", "/v2.0/ports", {"port": body | extra})["port"]["id"])


def _extra(entry: Entry) -> dict[str, Any]:
    """The port's further properties as the API takes them."""
    extra = dict(entry.get("port_extra_properties") or {})
    return extra | (extra.pop("value_specs", None) or {})


def _lead(work: Work, entry: Entry, port: str) -> None:
    body = {"port_id": port} | ({"fixed_ip_address": entry["fixed_ip"]} if entry.get("fixed_ip") else {})
    work.ask("network", "PUT", f"/v2.0/floatingips/{entry['floating_ip']}", {"floatingip": body})


def take_from_predecessor(work: Work) -> bool:
    """Ports that the server has which this one replaces: lets go of them there. True when they are free."""
    free = True
    for entry in wanted(work, work.properties["networks"]):
        if not entry.get("port"): continue
        holder = work.ask("network", "GET", f"/v2.0/ports/{entry['port']}")["port"]["device_id"]
        old = work.engine.sibling(work, holder) if holder and work.engine else None
        if old is None or (old.stack_id, old.name) != (work.stack_id, work.name) or old.resource_id == work.resource_id: continue
        free, taken = False, work.data.setdefault("taken", {})
        if taken.get(entry["port"]) == holder: continue  # asked for already: a second detaching might free it from its next server
        taken[entry["port"]] = holder
        try: work.ask("compute", "DELETE", f"/v2.1/servers/{holder}/os-interface/{entry['port']}")
        except NotFound: pass
    return free


def give_back(work: Work) -> None:
    """The server this one was to replace is still there: an update has been rolled back. Its ports go back to it."""
    for port, holder in work.data.pop("taken", {}).items():
        if work.engine is None or work.engine.sibling(work, holder) is None or work.gone("compute", f"/v2.1/servers/{holder}"): continue
        work.ask("compute", "POST", f"/v2.1/servers/{holder}/os-interface", {"interfaceAttachment": {"port_id": port}})


def remember(work: Work) -> None:
    """Once the server runs: which port is which card's, for those that the compute service made."""
    cards = work.data.get("nics", [])
    if all(nic["port"] for nic in cards): return
    left = [one for one in interfaces(work) if one["port_id"] not in {nic["port"] for nic in cards}]
    for nic in cards:
        if nic["port"]: continue
        match = next((one for one in left if _fits(nic["asked"], one)), None)
        if match is None: continue
        nic["port"] = match["port_id"]
        left.remove(match)


def _fits(entry: Entry, interface: Mapping[str, Any]) -> bool:
    address = entry.get("fixed_ip")
    return interface["net_id"] == entry.get("network") and (not address or address in {ip["ip_address"] for ip in interface["fixed_ips"]})


def interfaces(work: Work) -> list[dict[str, Any]]:
    """The server's cards as the compute service knows them."""
    found: list[dict[str, Any]] = work.ask("compute", "GET", f"/v2.1/servers/{work.physical_id}/os-interface")["interfaceAttachments"]
    return found


def plan_change(work: Work, entries: list[dict[str, Any]] | None) -> None:
    """Notes what must be detached and attached for these entries: cards whose entry stays the same are left alone."""
    before, after = work.data.get("nics", []), wanted(work, entries)
    kept, new = [], list(after)
    for nic in before:
        if nic["asked"] in new:
            new.remove(nic["asked"])
            kept.append(nic)
    work.data["generation"] = work.data.get("generation", 0) + 1
    work.data |= {"nics": kept, "leaving": [nic for nic in before if nic not in kept] or _chosen(work, before), "joining": new}


def _chosen(work: Work, before: list[Any]) -> list[dict[str, Any]]:
    """The cards of a server that was made without a list: those the compute service chose."""
    if before: return []
    return [{"asked": {}, "port": one["port_id"], "own": False} for one in interfaces(work)]


def changed(work: Work) -> bool:
    """One step of the noted change; True when all is done. May be repeated at any point."""
    present = {one["port_id"] for one in interfaces(work)}
    path = f"/v2.1/servers/{work.physical_id}/os-interface"
    for nic in list(work.data.get("leaving", [])):
        if nic["port"] in present:
            if not nic.get("told"):
                work.ask("compute", "DELETE", f"{path}/{nic['port']}")
                nic["told"] = True
            return False
        if nic["own"]: end_port(work, nic["port"])
        work.data["leaving"].remove(nic)
    while work.data.get("joining"):
        nic = card(work, len(work.data["nics"]), work.data["joining"][0], own=True)
        if nic["port"] not in present:
            if work.data.get("attaching") != nic["port"]:
                work.ask("compute", "POST", path, {"interfaceAttachment": {"port_id": nic["port"]}})
                work.data["attaching"] = nic["port"]
            return False
        work.data["nics"].append(nic)
        work.data["joining"].pop(0)
    return True


def end_port(work: Work, id: str) -> None:
    try: work.ask("network", "DELETE", f"/v2.0/ports/{id}")
    except NotFound: pass


def end_own_ports(work: Work) -> None:
    """The ports that were made for the server; also those whose making was not saved."""
    for nic in [*work.data.get("nics", []), *work.data.get("leaving", [])]:
        if nic["own"] and nic["port"]: end_port(work, nic["port"])
    if not work.again: return
    for index in range(len(work.properties["networks"] or [])):
        mark = f"resource {work.resource_id} card {index} {work.data.get('generation', 0)}"
        for port in work.ask("network", "GET", "/v2.0/ports", description=mark)["ports"]: end_port(work, port["id"])
