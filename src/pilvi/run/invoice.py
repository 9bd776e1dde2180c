"""The bill of a project on the screen: a row for each thing, a sum for each kind."""
from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rich.table import Table

from pilvi.run.furnish import Cloud


def project_id(cloud: Cloud, name: str) -> str:
    """The id of a project by name or id. Raises LookupError."""
    found = [one["id"] for one in cloud.ask("identity", "GET", "/v3/projects")["projects"] if name in (one["id"], one["name"])]
    if len(found) != 1: raise LookupError(f"There {'is no project' if not found else 'are several projects'} called {name}.")
    return str(found[0])


def fetch(cloud: Cloud, project: str, month: str, begin: str, end: str, currency: str) -> dict[str, Any]:
    """The bill. Raises LookupError, and the API's Failure."""
    query = {name: value for name, value in (("month", month), ("begin", begin), ("end", end), ("currency", currency)) if value}
    found: dict[str, Any] = cloud.ask("telemetry", "GET", f"/v1/projects/{project_id(cloud, project)}/invoice", **query)["invoice"]
    return found


def table(bill: dict[str, Any], project: str) -> Table:
    """A row for each thing in each state, its units together."""
    until = "" if bill["complete"] else f", until {bill['until'][:19].replace('T', ' ')} UTC"
    title = f"{project}: {bill['begin'][:10]} to {bill['end'][:10]}{until}"
    made = Table("what", "name", "as", "from", "to", "hours", "units", bill["currency"], title=title, box=None, header_style="bold",
                 pad_edge=False)
    for lines in things(bill["lines"]):
        first = lines[0]
        units = " + ".join(f"{line['quantity']:g} {line['unit']}" for line in lines)
        cost = str(sum(Decimal(line["cost"]) for line in lines))
        made.add_row(first["kind"], first["name"] or first["resource_id"], " ".join(first["attributes"].values()), _short(first["begin"]),
                     _short(first["end"]), f"{float(first['seconds']) / 3600:.3f}", units, cost)
    for kind, amount in bill["totals"].items(): made.add_row(kind, "", "", "", "", "", "altogether", amount, style="dim")
    made.add_row("", "", "", "", "", "", "[bold]total", f"[bold]{bill['total']}")
    return made


def things(lines: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The lines that are about the same thing with the same attributes over the same time."""
    apart: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for line in lines:
        key = (line["kind"], line["resource_id"], tuple(sorted(line["attributes"].items())), line["begin"], line["end"], line["seconds"])
        apart.setdefault(key, []).append(line)
    return list(apart.values())


def _short(instant: str) -> str:
    return instant[5:19].replace("T", " ")
