"""What happens to a packet, and why: OVN traces it through the flows it made (ovn-trace), the answer is put into one sentence.

Source: ovn-trace(8). Each flow in a trace has the first digits of its uuid; the southbound says from which northbound row it was made
(stage-hint), which leads back to the security group rule.
"""
from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from msgspec import Struct

from pilvi.network.drivers.interface import NetworkFailure, Port, Verdict
from pilvi.network.drivers.ovn.commands import run
from pilvi.network.drivers.ovn.groups import PROTOCOL_NUMBERS, WITH_PORTS
from pilvi.network.drivers.ovn.lookup import METADATA_ADDRESS, METADATA_OWNER, Lookup
from pilvi.network.drivers.ovn.northbound import Northbound

PIPELINES_TRACKED = 8
"""How many times on its way a packet may ask the connection tracker; each time it is a new connection's first packet."""

SECTION = re.compile(r'^\s*(?:ingress|egress)\(dp="([^"]*)"')
FLOW = re.compile(r"^\s*\d+\. (\w+)(?: \([^)]*\))?: (.*), priority \d+, uuid (\w+)$")
OUTPUT = re.compile(r'/\* output to "([^"]*)", type "([^"]*)" \*/')
NEIGHBOUR_UNKNOWN = "/* No MAC binding. */"


class Question(Struct, frozen=True):
    source: Port
    destination: str
    protocol: str
    port: int | None

    @property
    def what(self) -> str:
        return f"{self.protocol}/{self.port}" if self.port is not None else self.protocol


class Step(Struct, frozen=True):
    """One flow that the packet met: in which switch or router, at which stage, and which row of the southbound made it."""
    datapath: str
    stage: str
    match: str
    uuid: str
    actions: list[str]


def explain(question: Question, lookup: Lookup, northbound: Northbound, directory: str) -> Verdict:
    """Trace the packet and say what decided. `directory` is where the databases' sockets are."""
    answer = _microflow(question, lookup)
    if isinstance(answer, Verdict): return answer
    # Flows follow rows a moment later: wait until northd has made those of the last change.
    run(["ovn-nbctl", f"--db=unix:{directory}/nb.sock", "--wait=sb", "--timeout=30", "sync"])
    trace = run(["ovn-trace", f"--db=unix:{directory}/sb.sock", *["--ct=new"] * PIPELINES_TRACKED, answer])
    steps = list(parse(trace))
    if not steps: raise NetworkFailure(f"ovn-trace said nothing about {answer}.")
    arrived = _arrival(trace, lookup)
    rule_id = None
    for step in steps:
        if step.stage in ("ls_in_acl", "ls_out_acl"): rule_id = _rule(step, lookup, northbound, directory) or rule_id
    if arrived is None:
        return Verdict(passes=False, reason=_refusal(question, steps[-1], trace, lookup), trace=trace)
    if arrived in lookup.ports and lookup.ports[arrived].device_owner != METADATA_OWNER and not northbound.up().get(arrived):
        reason = f"It would reach port {arrived}, but no host serves that port now."
        return Verdict(passes=False, reason=reason, rule_id=rule_id, trace=trace)
    target = f"port {arrived}" if arrived in lookup.ports else f"the outside through network {_network_name(steps[-1], lookup)}"
    why = f"security group rule {rule_id} lets {question.what} pass" if rule_id else "no security group stands in its way"
    return Verdict(passes=True, reason=f"It reaches {target}: {why}.", rule_id=rule_id, trace=trace)


def parse(trace: str) -> Iterator[Step]:
    """The flows of a trace, in the order the packet met them."""
    datapath, step = "", None
    for line in trace.splitlines():
        if section := SECTION.match(line): datapath = section[1]
        flow = FLOW.match(line)
        if flow or not line.strip():
            if step: yield step
            step = Step(datapath, flow[1], flow[2], flow[3], []) if flow else None
        elif step:
            step.actions.append(line.strip())
    if step: yield step


def _microflow(question: Question, lookup: Lookup) -> str | Verdict:
    """The packet in ovn-trace's words, or why there can be none."""
    port, protocol = question.source, question.protocol.lower()
    try:
        destination = ipaddress.ip_address(question.destination)
    except ValueError:
        return Verdict(passes=False, reason=f"'{question.destination}' is not an IP address.")
    number = int(protocol) if protocol.isdigit() else PROTOCOL_NUMBERS.get(protocol)
    if number is None: return Verdict(passes=False, reason=f"'{question.protocol}' is not a known protocol.")
    sources = [fixed.ip_address for fixed in port.fixed_ips if (":" in fixed.ip_address) == (destination.version == 6)]
    if not sources: return Verdict(passes=False, reason=f"Port {port.id} has no IPv{destination.version} address to send from.")
    mac = _next_hop_mac(question, destination, lookup)
    if isinstance(mac, Verdict): return mac
    ip = f"ip{destination.version}"
    parts = [f'inport == "{port.id}"', f"eth.src == {port.mac}", f"eth.dst == {mac}", f"{ip}.src == {sources[0]}",
             f"{ip}.dst == {destination}", "ip.ttl == 64"]
    if number in WITH_PORTS:
        parts.append(f"{WITH_PORTS[number]}.dst == {question.port or 0}")
    elif number in (1, 58):
        echo = 8 if destination.version == 4 else 128
        parts.append(f"icmp{destination.version}.type == {echo if question.port is None else question.port}")
    else:
        parts.append(f"ip.proto == {number}")
    return " && ".join(parts)


def _next_hop_mac(question: Question, destination: ipaddress.IPv4Address | ipaddress.IPv6Address, lookup: Lookup) -> str | Verdict:
    """To which MAC address the guest sends it: to the destination on its own network, to a route's next hop, else to the gateway."""
    port = question.source
    subnet = lookup.subnet_of(port, destination.version)
    if subnet is None: return Verdict(passes=False, reason=f"The subnet of port {port.id} is not known to the network.")
    if str(destination) == METADATA_ADDRESS:
        hop = lookup.metadata_address.get(subnet.id)
        if hop is None: return Verdict(passes=False, reason=f"Subnet {subnet.id} has no metadata port.")
    elif destination in ipaddress.ip_network(subnet.cidr):
        hop = str(destination)
    else:
        routes = [(ipaddress.ip_network(cidr), next_hop) for cidr, next_hop in subnet.host_routes]
        matching = sorted((network.prefixlen, next_hop) for network, next_hop in routes if destination in network)
        hop = matching[-1][1] if matching else subnet.gateway_ip or ""
        if not hop: return Verdict(passes=False, reason=f"Subnet {subnet.id} has no gateway and no route to {destination}.")
    for neighbour in lookup.ports_by_network[port.network_id]:
        if any(fixed.ip_address == hop for fixed in neighbour.fixed_ips): return neighbour.mac
        for address, mac in neighbour.allowed_address_pairs:
            if address.partition("/")[0] == hop: return mac
    network = lookup.networks[port.network_id]
    what = "address" if hop == str(destination) else "next hop's address"
    return Verdict(passes=False, reason=f"No port of network {network.name} ({network.id}) has the {what} {hop}.")


def _arrival(trace: str, lookup: Lookup) -> str | None:
    """The switch port the packet leaves by. A router that asks who has an address floods its question: that is no arrival on the inside."""
    for name, kind in OUTPUT.findall(trace):
        if kind == "localnet" or (kind in ("", "localport") and NEIGHBOUR_UNKNOWN not in trace): return str(name)
    return None


def _rule(step: Step, lookup: Lookup, northbound: Northbound, directory: str) -> str | None:
    """The security group rule that a flow was made from; None for flows of OVN's own and for the last one that drops."""
    hint = run(["ovn-sbctl", f"--db=unix:{directory}/sb.sock", "--timeout=30", "--if-exists", "get", "Logical_Flow", step.uuid,
                "external_ids:stage-hint"]).strip().strip('"')
    key = northbound.key_of("ACL", hint) if hint else None
    return key if any(rule.id == key for rule in lookup.topology.rules) else None


def _refusal(question: Question, last: Step, trace: str, lookup: Lookup) -> str:
    router = _router_name(last.datapath, lookup)
    if NEIGHBOUR_UNKNOWN in trace: return f"The last router on the way finds no port with the address {question.destination}."
    match last.stage:
        case "ls_in_acl":
            source = question.source.id
            return f"No egress rule of the security groups of port {source} lets {question.what} to {question.destination} pass."
        case "ls_out_acl":
            receiver = re.search(r'outport="([^"]*)"\)\n-+\n(?!.*outport=")', trace, re.DOTALL)
            name = receiver[1] if receiver else "the receiver"
            return f"No ingress rule of the security groups of port {name} lets {question.what} from port {question.source.id} pass."
        case "ls_in_check_port_sec" | "ls_in_apply_port_sec":
            return f"Port {question.source.id} is switched off, or may not send from this address (port security)."
        case "ls_out_check_port_sec" | "ls_out_apply_port_sec":
            return "The receiving port is switched off, or may not receive for this address (port security)."
        case "lr_in_ip_routing" | "lr_in_ip_routing_pre":
            return f"Router {router} has no route to {question.destination}."
        case "lr_in_admission" | "lr_in_ip_input":
            return f"Router {router} does not take the packet: it is switched off or has no gateway host."
    return f"It is dropped at {last.stage} of {last.datapath}: {last.match}."


def _router_name(router_id: str, lookup: Lookup) -> str:
    router = lookup.routers.get(router_id)
    return f"{router.name} ({router.id})" if router else router_id


def _network_name(last: Step, lookup: Lookup) -> str:
    network = lookup.networks.get(last.datapath)
    return f"{network.name} ({network.id})" if network else last.datapath
