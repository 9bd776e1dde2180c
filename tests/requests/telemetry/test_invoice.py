"""Bills over HTTP: who sees which, periods, prices in force, comma-separated text, and the census."""
from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import update
from tests.requests.telemetry.alarm_cloud import World, world_in
from tests.requests.telemetry.callers import OTHER_PROJECT, PROJECT

from pilvi.core import clock
from pilvi.core.events import Event
from pilvi.core.http import client
from pilvi.core.http.client import Message, Reply
from pilvi.telemetry.config import Config, ListedPrice
from pilvi.telemetry.rating import worker
from pilvi.telemetry.resources import price

NOVEMBER = clock.parse("2025-11-01T00:00:00Z")
DAY = 86400.0
MONTH = "month=2025-11"
PRICES = [ListedPrice("server", "vcpu", "0.01"), ListedPrice("server", "vcpu", "0", {"state": "stopped"}),
          ListedPrice("volume", "gib", "0.001")]
FLAVOR = {"name": "m1.small", "vcpus": 2, "ram": 2048, "disk": 20, "ephemeral": 0}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_in(tmp_path, Config(prices=PRICES)) as made: yield made


def server(seq: int, type: str, at: float, state: str, project: str = PROJECT, id: str = "s1", **more: Any) -> Event:
    told = {"project_id": project, "name": "web", "state": state, "flavor": FLAVOR, "launched_at": NOVEMBER - DAY, "deleted_at": None}
    told |= more
    return Event("compute", seq, f"compute.instance.{type}", at, id, project, "u1", None, told)


def volume(seq: int, type: str, at: float, size: int = 10, project: str = PROJECT, **more: Any) -> Event:
    return Event("volume", seq, f"volume.{type}", at, "v1", project, "u1", None,
                 {"project_id": project, "name": "data", "state": "available", "size": size, "created_at": NOVEMBER + DAY} | more)


LIFE = [server(1, "create.end", NOVEMBER - DAY + 5, "active"), server(2, "power_off.end", NOVEMBER + 10 * DAY, "stopped"),
        server(3, "power_on.end", NOVEMBER + 12 * DAY, "active"), server(4, "delete.end", NOVEMBER + 20 * DAY, "deleted",
                                                                         deleted_at=NOVEMBER + 20 * DAY)]


def invoice(world: World, query: str = MONTH, *, who: str = "member", project: str = PROJECT) -> dict[str, Any]:
    code, body = world.ask("GET", f"/v1/projects/{project}/invoice?{query}", who=who)
    assert code == 200, body
    return dict(body["invoice"])


def test_a_month_is_billed_by_state_to_the_second(world: World) -> None:
    worker.on_events(world.app, LIFE)
    worker.on_events(world.app, [volume(1, "create.end", NOVEMBER + DAY + 3), volume(2, "extend.end", NOVEMBER + 2 * DAY, 20)])
    found = invoice(world)
    vcpus = {line["attributes"]["state"]: line for line in found["lines"] if line["unit"] == "vcpu"}
    active = vcpus["active"]
    assert (active["seconds"], active["unit_hours"], active["cost"]) == (str(18 * 86400), str(2 * 18 * 24), "8.6400")
    assert (vcpus["stopped"]["seconds"], vcpus["stopped"]["price"], vcpus["stopped"]["cost"]) == (str(2 * 86400), "0", "0.0000")
    assert {line["unit"] for line in found["lines"]} == {"vcpu", "gib"}, "units without a price are not told of beside others"
    gib = [(line["quantity"], line["unit_hours"]) for line in found["lines"] if line["kind"] == "volume"]
    assert gib == [(10.0, "240"), (20.0, str(20 * 28 * 24))]
    assert found["totals"] == {"server": "8.6400", "volume": "13.6800"} and found["total"] == "22.3200"
    assert (found["currency"], found["complete"], found["begin"]) == ("EUR", True, "2025-11-01T00:00:00.000000Z")


def test_repeated_and_disordered_events_change_nothing(world: World) -> None:
    for events in ([LIFE[3]], LIFE[1:3], LIFE, LIFE[::-1]): worker.on_events(world.app, events)
    shuffled = invoice(world)
    assert shuffled["total"] == "8.6400"
    with_more = [*LIFE, server(5, "reboot.start", NOVEMBER + 3 * DAY, "active"), server(6, "reboot.end", NOVEMBER + 3 * DAY, "active")]
    worker.on_events(world.app, with_more)
    assert invoice(world) == shuffled


def test_who_sees_which_bill(world: World) -> None:
    worker.on_events(world.app, LIFE)
    path = f"/v1/projects/{PROJECT}"
    for what in ("invoice", "usage"):
        assert [world.ask("GET", f"{path}/{what}?{MONTH}", who=who)[0] for who in ("member", "reader", "admin", "other", "")] == [
            200, 200, 200, 404, 401]
    assert world.ask("GET", f"/v1/invoices?{MONTH}")[0] == 403
    assert invoice(world, who="other", project=OTHER_PROJECT)["total"] == "0.0000"
    sums = world.ask("GET", f"/v1/invoices?{MONTH}", who="admin")[1]
    assert [(one["project_id"], one["total"]) for one in sums["invoices"]] == [(PROJECT, "8.6400")] and sums["total"] == "8.6400"


def test_usage_is_told_as_intervals(world: World) -> None:
    worker.on_events(world.app, LIFE[:2])
    found = world.ask("GET", f"/v1/projects/{PROJECT}/usage?begin=2025-11-09T00:00:00Z&end=2025-11-12T00:00:00Z")[1]["usage"]
    assert [(one["begin"][:10], one["end"][:10], one["attributes"]["state"], one["open"]) for one in found] == [
        ("2025-11-09", "2025-11-11", "active", False), ("2025-11-11", "2025-11-12", "stopped", True)]
    assert found[0]["quantities"] == {"instance": 1, "vcpu": 2, "ram_gib": 2, "disk_gib": 20}


def test_a_month_that_is_not_over_is_billed_until_now(world: World) -> None:
    now = clock.now()
    worker.on_events(world.app, [server(1, "create.end", now - 7200, "active", launched_at=now - 7200)])
    found = invoice(world, f"begin={clock.iso(now - 3600)}&end={clock.iso(now + 3600)}")
    line = next(line for line in found["lines"] if line["unit"] == "vcpu")
    assert not found["complete"] and 3595 < float(line["seconds"]) < 3660 and found["until"] < found["end"]
    assert not invoice(world, "")["complete"]


def test_a_volume_that_changed_hands_is_on_both_bills(world: World) -> None:
    worker.on_events(world.app, [volume(1, "create.end", NOVEMBER + DAY), volume(2, "transfer.accept.end", NOVEMBER + 11 * DAY,
                                                                                project=OTHER_PROJECT)])
    assert invoice(world)["total"] == "2.4000" and invoice(world, who="other", project=OTHER_PROJECT)["total"] == "4.5600"


def test_months_add_up(world: World) -> None:
    worker.on_events(world.app, LIFE)
    parts = [Decimal(invoice(world, month)["total"]) for month in ("month=2025-10", MONTH, "month=2025-12")]
    assert sum(parts) == Decimal(invoice(world, "begin=2025-10-01T00:00:00Z&end=2026-01-01T00:00:00Z")["total"]) == Decimal("9.12")


@pytest.mark.parametrize("query", ["month=2025-13", "month=x", "month=2025-11&begin=2025-11-01T00:00:00Z", "begin=x",
                                   "end=2001-01-01T00:00:00Z",
                                   "begin=2025-11-02T00:00:00Z&end=2025-11-01T00:00:00Z", "begin=2020-01-01T00:00:00Z", "currency=euro",
                                   "format=xml", "month=0000-01", "month=9999-12"])
def test_periods_and_forms_that_make_no_sense(world: World, query: str) -> None:
    assert world.ask("GET", f"/v1/projects/{PROJECT}/invoice?{query}")[0] == 400


def test_comma_separated_text(world: World) -> None:
    worker.on_events(world.app, [server(1, "create.end", NOVEMBER, "active", name="=1+1")])
    answer = world.answer("GET", f"/v1/projects/{PROJECT}/invoice?{MONTH}&format=csv")
    rows = list(csv.DictReader(io.StringIO(answer.payload().decode())))
    assert answer.media_type.startswith("text/csv") and "attachment" in answer.headers["content-disposition"]
    assert {(row["name"], row["attributes"], row["currency"]) for row in rows} == {("'=1+1", "flavor=m1.small state=active", "EUR")}
    assert {row["unit"]: row["cost"] for row in rows}["vcpu"] == "14.4000"


# -- prices


def test_prices_take_effect_now_and_later_but_never_before(world: World) -> None:
    now = clock.now()
    worker.on_events(world.app, [server(1, "create.end", now - 3600, "active", launched_at=now - 3600)])
    row = {"kind": "server", "unit": "vcpu", "amount": "1", "attributes": {"flavor": "m1.small"}}
    assert world.ask("POST", "/v1/prices", row)[0] == 403
    code, made = world.ask("POST", "/v1/prices", row, who="admin")
    assert code == 201 and made["currency"] == "EUR" and made["valid_until"] is None
    bill = invoice(world, f"begin={clock.iso(now - 3600)}")
    costs = {line["price"]: float(line["seconds"]) for line in bill["lines"] if line["unit"] == "vcpu"}
    assert 3590 < costs["0.01"] < 3610 and costs.get("1", 0) < 60
    for bad in ({"valid_from": clock.iso(now - 7200)}, {"valid_from": clock.iso(now + 100), "valid_until": clock.iso(now + 50)},
                {"unit": "gib"},
                {"kind": "router"}, {"amount": "-1"}, {"amount": 1}, {"amount": "1e3"}, {"currency": "euro"}, {"attributes": {"a": 1}},
                {"amount": None}, {"surprise": 1}):
        assert world.ask("POST", "/v1/prices", row | bad, who="admin")[0] == 400, bad


def test_prices_end_but_do_not_vanish(world: World) -> None:
    row = {"kind": "volume", "unit": "gib", "amount": "5"}
    id = world.ask("POST", "/v1/prices", row, who="admin")[1]["id"]
    later = world.ask("POST", "/v1/prices", row | {"valid_from": clock.iso(clock.now() + 3600)}, who="admin")[1]["id"]
    until = clock.iso(clock.now() + 7200)
    assert world.ask("PATCH", f"/v1/prices/{id}", {"valid_until": until, "description": "x"}, who="admin")[1]["description"] == "x"
    for bad in ({"amount": "6"}, {"valid_until": clock.iso(clock.now() - 3600)}, {"kind": "server"}):
        assert world.ask("PATCH", f"/v1/prices/{id}", bad, who="admin")[0] == 400, bad
    assert world.ask("PATCH", f"/v1/prices/{id}", {"description": "y"})[0] == 403
    for one in (id, later): assert world.ask("DELETE", f"/v1/prices/{one}", who="admin")[0] == 204
    assert world.ask("GET", f"/v1/prices/{later}")[0] == 404
    assert world.ask("GET", f"/v1/prices/{id}")[1]["valid_until"] <= clock.iso(clock.now() + 1)
    assert world.ask("PATCH", f"/v1/prices/{id}", {"valid_until": until}, who="admin")[0] == 409
    assert len(world.ask("GET", "/v1/prices", who="reader")[1]["prices"]) == len(PRICES) + 1


def test_the_configured_list_is_taken_once(world: World) -> None:
    price.furnish(world.database, Config())
    assert len(world.ask("GET", "/v1/prices")[1]["prices"]) == len(PRICES)


def test_another_currency(world: World) -> None:
    worker.on_events(world.app, LIFE)
    found = invoice(world, MONTH + "&currency=CNY")
    assert found["total"] == "0.0000" and {(line["price"], line["cost"]) for line in found["lines"]} == {(None, "0.0000")}


# -- the census


class Others:
    """The services below, as far as the census asks: lists by path."""
    name = "in-process"

    def __init__(self) -> None:
        self.lists: dict[str, Any] = {}
        self.away = False

    def send(self, message: Message) -> Reply:
        if self.away: return Reply(503, {}, b"{}")
        path, _, query = message.path.partition("?")
        name = path.rpartition("/")[2]
        plural = {"detail": path.split("/")[-2], "floatingips": "floatingips", "images": "images", "types": "volume_types",
                  "usage": "accounts"}[name]
        found = self.lists.get("gone" if "changes-since" in query else plural, [])
        return Reply(200, {}, msgspec.json.encode({plural: found}))


def shown_server(id: str, launched: float, ended: float | None = None, state: str = "active") -> dict[str, Any]:
    return {"id": id, "tenant_id": PROJECT, "name": "web", "OS-SRV-USG:launched_at": clock.iso(launched, zone=""),
            "updated": clock.iso(launched),
            "OS-SRV-USG:terminated_at": clock.iso(ended, zone="") if ended else None, "OS-EXT-STS:vm_state": state,
            "flavor": {"original_name": "m1.small", "vcpus": 2, "ram": 2048, "disk": 20, "ephemeral": 0}}


def census(world: World) -> None:
    with world.database.write() as db: db.execute(update(worker.Census).values(due_at=0.0))
    worker.count(world.app)


@pytest.fixture
def others(world: World) -> Others:
    made = Others()
    for name in ("compute", "volume", "image", "network", "objectstore"): client.connect(name, made)
    return made


def test_a_census_finds_what_no_event_told(world: World, others: Others) -> None:
    others.lists = {
        "servers": [shown_server("s1", NOVEMBER), shown_server("s2", NOVEMBER + DAY, state="stopped")],
        "gone": [shown_server("s3", NOVEMBER, NOVEMBER + 5 * DAY, "deleted")],
        "volumes": [{"id": "v1", "status": "available", "os-vol-tenant-attr:tenant_id": PROJECT, "size": 10, "name": None,
                     "volume_type": "fast", "created_at": "2025-11-11T00:00:00.000000", "updated_at": None}],
        "volume_types": [{"id": "t1", "name": "fast"}],
        "images": [
            {"id": "i1", "status": "active", "owner": PROJECT, "size": 1 << 31, "name": "debian", "created_at": "2025-11-21T00:00:00Z",
             "updated_at": "2025-11-21T00:00:00Z"},
            {"id": "i2", "status": "queued", "owner": PROJECT, "size": None, "created_at": "2025-11-01T00:00:00Z", "name": ""}],
        "floatingips": [{"id": "f1", "project_id": PROJECT, "created_at": "2025-11-26T00:00:00Z", "floating_ip_address": "172.24.4.9"}]}
    census(world)
    found = world.ask("GET", f"/v1/projects/{PROJECT}/usage?{MONTH}")[1]["usage"]
    assert [(one["kind"], one["resource_id"], one["begin"][8:10], one["end"][8:10]) for one in found] == [
        ("floating_ip", "f1", "26", "01"), ("image", "i1", "21", "01"), ("server", "s1", "01", "01"), ("server", "s2", "02", "01"),
        ("server", "s3", "01", "06"), ("volume", "v1", "11", "01")]
    assert next(one for one in found if one["kind"] == "volume")["attributes"] == {"type": "t1"}
    before = world.ask("GET", f"/v1/projects/{PROJECT}/usage?{MONTH}")
    census(world)
    assert world.ask("GET", f"/v1/projects/{PROJECT}/usage?{MONTH}") == before


def test_events_that_come_after_a_census_stand_above_it(world: World, others: Others) -> None:
    others.lists = {"servers": [shown_server("s1", NOVEMBER - DAY, state="active")]}
    census(world)
    worker.on_events(world.app, LIFE)
    others.lists = {}
    census(world)
    assert invoice(world)["total"] == "8.6400"


def test_a_service_that_is_away_is_counted_later(world: World, others: Others) -> None:
    worker.on_events(world.app, LIFE[:1])
    others.away = True
    census(world)
    worker.measure_objects(world.app)
    others.away = False
    others.lists = {"servers": [shown_server("s1", NOVEMBER - DAY)]}
    census(world)
    assert len(world.ask("GET", f"/v1/projects/{PROJECT}/usage?{MONTH}")[1]["usage"]) == 1


def test_a_census_is_taken_once_a_day_by_one_process(world: World, others: Others) -> None:
    worker.count(world.app)
    assert all(worker._take(world.app, kind) is None for kind in worker.LOOKS)


def test_objects_are_measured_now_and_then(world: World, others: Others) -> None:
    others.lists = {"accounts": [{"account": f"AUTH_{PROJECT}", "project_id": PROJECT, "bytes": 3 << 29}]}
    for _ in range(2): worker.measure_objects(world.app)
    found = world.ask("GET", f"/v1/projects/{PROJECT}/usage")[1]["usage"]
    assert [(one["kind"], one["quantities"], one["open"]) for one in found] == [("object_storage", {"gib": 1.5}, True)]
