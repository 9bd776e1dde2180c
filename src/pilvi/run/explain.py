"""Why things are as they are: the trace of a boot, the story of a server, the fate of a packet, and all of it in one file for a report."""
from __future__ import annotations

import io
import json
import re
import tarfile
import time
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from pilvi.core import clock
from pilvi.core.errors import Failure
from pilvi.run.furnish import Cloud

STEPS = {
    "01": "asks for authentication", "02": "checks the credentials, returns a token and the catalogue",
    "03": "sends “boot instance” with the token",
    "04": "asks whether the token is valid", "05": "validates it: identity and roles", "06": "talks to the database",
    "07": "the server's record and its task are written", "08": "rpc.call: is there a host for this?", "09": "takes the request",
    "10": "reads hosts and resources, runs its algorithm", "11": "claims the host, writes it, requeues the task",
    "12": "rpc.cast: create this server",
    "13": "takes the message", "14": "rpc.call: the server's facts (claims the task)", "15": "takes the request", "16": "queries",
    "17": "obtains the facts", "18": "puts them on the queue", "19": "gets the facts", "20": "obtains a token, asks for the image",
    "21": "has the token validated", "22": "the image's facts", "23": "obtains a token, asks for the network",
    "24": "has the token validated",
    "25": "the network's facts", "26": "obtains a token, asks for storage", "27": "has the token validated", "28": "the volumes' facts",
    "29": "creates the machine; ACTIVE is reported"}
SECRETS = re.compile(r"(?i)(pass(word)?|token|secret|user_data|private|grant)")


def find_server(cloud: Cloud, name: str) -> dict[str, Any]:
    """A server by id or name, of any project. Raises LookupError."""
    try: return dict(cloud.ask("compute", "GET", f"/v2.1/servers/{name}")["server"])
    except Failure as failure:
        if failure.status != 404: raise
    found = cloud.ask("compute", "GET", "/v2.1/servers/detail", all_tenants=1, name=f"^{re.escape(name)}$")["servers"]
    if not found: raise LookupError(f"There is no server called {name}.")
    if len(found) > 1: raise LookupError(f"{len(found)} servers are called {name}; use an id: {', '.join(s['id'] for s in found)}")
    return dict(found[0])


def spans_of(cloud: Cloud, server_id: str) -> list[dict[str, Any]]:
    """All spans of a server's boots, in order."""
    return list(cloud.ask("compute", "GET", f"/v2.1/servers/{server_id}/pilvi-trace")["spans"])


def trace_table(spans: list[dict[str, Any]], title: str) -> Table:
    """The last attempt's spans as a table."""
    table = Table(title=title, title_justify="left", header_style="bold", show_lines=False, box=None, pad_edge=False)
    for name, style in (("#", "cyan"), ("who → whom", ""), ("over", "dim"), ("what", ""), ("at", "dim"), ("took", "green")):
        table.add_column(name, style=style)
    last = max((span["attempt"] for span in spans), default=1)
    shown = sorted((s for s in spans if s["attempt"] in (last, 1)), key=lambda s: (s["name"][:7], s["started"]))
    begin = next((s["started"] for s in shown if s["name"] == "boot.03"), shown[0]["started"] if shown else 0)
    for span in shown:
        number = span["name"].removeprefix("boot.")
        facts = ", ".join(f"{k}={v}" for k, v in span["carried"].items() if k not in ("methods",))[:60]
        what = STEPS.get(number, number.partition(".")[2])
        table.add_row(number if number in STEPS else "", f"{span['actor']} → {span['peer']}", span["transport"],
                      Text(what).append(f"  {facts}" if facts else "", style="dim"), f"{(span['started'] - begin) * 1000:8.1f} ms",
                      f"{span['seconds'] * 1000:7.1f} ms")
    return table


def story(cloud: Cloud, name: str) -> Group:
    """What happened to a server and, if it failed, why."""
    server = find_server(cloud, name)
    lines: list[Any] = [Text(f"{server['name']} ({server['id']}) is {server['status']}"
                             + (f" on host {server.get('OS-EXT-SRV-ATTR:host')}" if server.get("OS-EXT-SRV-ATTR:host") else ""),
                             style="bold")]
    if server.get("OS-EXT-STS:task_state"): lines.append(Text(f"It is being worked on: {server['OS-EXT-STS:task_state']}"))
    if fault := server.get("fault"):
        lines.append(Text(f"It failed at {fault['created']}:", style="red"))
        lines += [Text(f"  {part.strip()}") for part in (fault.get("details") or fault["message"]).split(";")]
    if cloud.ask("compute", "GET", f"/v2.1/servers/{server['id']}/pilvi-hold")["held"]:
        lines.append(Text("It is held: nothing about it is repaired until `pilvi hold --release`.", style="yellow"))
    table = Table("when", "action", "result", box=None, header_style="bold", pad_edge=False)
    for action in cloud.ask("compute", "GET", f"/v2.1/servers/{server['id']}/os-instance-actions")["instanceActions"][::-1]:
        table.add_row(action["start_time"], action["action"], action["message"] or "done or under way")
    return Group(*lines, table)


def why(cloud: Cloud, source: str, target: str, port: int | None, protocol: str) -> dict[str, Any]:
    """Would a packet from server A reach B (a server or an address)? The rule or route that decides."""
    server = find_server(cloud, source)
    ports = cloud.ask("network", "GET", "/v2.0/ports", device_id=server["id"])["ports"]
    if not ports: raise LookupError(f"{source} has no network card.")
    address = target
    if not re.fullmatch(r"[0-9a-fA-F.:]+", target) or target.isalnum():
        addresses = [a["addr"] for found in find_server(cloud, target)["addresses"].values() for a in found]
        if not addresses: raise LookupError(f"{target} has no address.")
        address = addresses[0]
    query: dict[str, Any] = {"to": address, "protocol": protocol} | ({"port": port} if port is not None else {})
    return dict(cloud.ask("network", "GET", f"/v2.0/ports/{ports[0]['id']}/explain", **query)["explanation"])


def report(cloud: Cloud, name: str, path: Path) -> Path:
    """Packs trace, record, actions, console and the processes' logs about a server; secrets are removed."""
    server = find_server(cloud, name)
    id = server["id"]
    files = {"server.json": server, "trace.json": spans_of(cloud, id),
             "actions.json": cloud.ask("compute", "GET", f"/v2.1/servers/{id}/os-instance-actions"),
             "ports.json": cloud.ask("network", "GET", "/v2.0/ports", device_id=id)}
    texts = {name: json.dumps(clean(value), indent=1) for name, value in files.items()}
    try: texts["console.log"] = cloud.ask("compute", "POST", f"/v2.1/servers/{id}/action", {"os-getConsoleOutput": {}})["output"]
    except Failure as failure: texts["console.log"] = f"(not to be had: {failure.message})"
    for log in sorted((cloud.settings.directory / "logs").glob("*.log")):
        texts[f"logs/{log.name}"] = "".join(line for line in log.read_text(errors="replace").splitlines(True)[-20000:] if id in line)
    machine = cloud.settings.directory / "host" / "machines" / id
    for extra in ("qmp.log", "qemu.log"):
        if (machine / extra).is_file(): texts[extra] = (machine / extra).read_text(errors="replace")
    target = path / f"pilvi-report-{server['name']}-{clock.iso(time.time())[:19].replace(':', '')}.tar.gz"
    with tarfile.open(target, "w:gz") as tar:
        for inner, text in texts.items():
            data = text.encode()
            entry = tarfile.TarInfo(f"{target.name.removesuffix('.tar.gz')}/{inner}")
            entry.size, entry.mtime = len(data), int(time.time())
            tar.addfile(entry, io.BytesIO(data))
    return target


def clean(value: Any) -> Any:
    """The value without what could be a secret."""
    if isinstance(value, dict):
        return {k: "(removed)" if SECRETS.search(str(k)) and isinstance(v, str) else clean(v) for k, v in value.items()}
    if isinstance(value, list): return [clean(entry) for entry in value]
    return value
