"""Bills on the screen: a row for each thing, its units together, and whose bill it is."""
from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from pilvi.run import invoice


def line(unit: str, cost: str, resource: str = "s1", state: str = "active", seconds: str = "5400") -> dict[str, Any]:
    return {"kind": "server", "resource_id": resource, "name": "web", "attributes": {"flavor": "m1", "state": state}, "unit": unit,
            "begin": "2026-11-01T00:00:00.000000Z", "end": "2026-11-01T01:30:00.000000Z", "seconds": seconds, "quantity": 2.0, "cost": cost}


BILL = {"currency": "EUR", "begin": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z", "until": "2026-11-22T21:00:00.5Z",
        "complete": False, "total": "0.0600", "totals": {"server": "0.0600"},
        "lines": [line("vcpu", "0.0200"), line("ram_gib", "0.0100"), line("vcpu", "0.0300", state="stopped")]}


class Answers:
    """A cloud with two projects, one name twice, that remembers what it is asked."""
    asked: tuple[str, dict[str, Any]] = ("", {})

    def ask(self, service: str, method: str, path: str, body: Any = None, **query: Any) -> Any:
        if service == "identity": return {"projects": [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}, {"id": "3", "name": "b"}]}
        self.asked = path, query
        return {"invoice": BILL}


def test_a_thing_is_a_row() -> None:
    assert [[one["unit"] for one in lines] for lines in invoice.things(BILL["lines"])] == [["vcpu", "ram_gib"], ["vcpu"]]
    out = io.StringIO()
    Console(file=out, width=200).print(invoice.table(BILL, "demo"))
    text = out.getvalue()
    for part in ("2 vcpu + 2 ram_gib", "0.0300", "1.500", "until 2026-11-22 21:00:00 UTC", "0.0600"): assert part in text, part


def test_whose_bill() -> None:
    cloud: Any = Answers()
    assert invoice.fetch(cloud, "a", "2026-11", "", "", "") is BILL
    assert cloud.asked == ("/v1/projects/1/invoice", {"month": "2026-11"})
    assert invoice.project_id(cloud, "3") == "3"
    for name in ("b", "nobody"):
        with pytest.raises(LookupError, match=name): invoice.project_id(cloud, name)
