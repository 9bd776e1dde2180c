"""Words that arrive after a server's end: what they made is found and given back; what the user brought is only set free."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update
from tests.crash.inside import Cloud

from pilvi.compute.resources.server import Server
from pilvi.compute.server.orphans import LATE_SECONDS, give_back, plan
from pilvi.core import clock
from pilvi.placement import client as placement

IDS = st.sets(st.sampled_from("abcdef"))


@given(IDS, IDS, IDS)
def test_only_what_deleted_servers_hold(deleted: set[str], ports: set[str], allocated: set[str]) -> None:
    found = plan(deleted, ports, allocated)
    assert {o.server_id for o in found if o.kind == "ports"} == deleted & ports
    assert {o.server_id for o in found if o.kind == "allocation"} == deleted & allocated


@pytest.mark.parametrize("brought", [False, True])
def test_late_port_and_claim(inside: Cloud, brought: bool) -> None:
    port = inside.ask("demo", "network", "POST", "/v2.0/ports", {"port": {"network_id": inside.network}})["port"]["id"]
    id = inside.boot("late", **({"networks": [{"port": port}]} if brought else {}))
    assert inside.settled(id)
    host = inside.host_of(id)
    inside.delete(id)
    inside.gone(id)
    owner = {"device_id": id, "device_owner": "compute:nova"}
    inside.ask("admin", "network", "PUT", f"/v2.0/ports/{port}", {"port": owner})
    call = inside.compute.state["service_call"]()
    placement.claim(call, id, placement.provider_of(call, host.name), {"VCPU": 1}, "p", "u")
    with inside.compute.database.write() as db:
        db.execute(update(Server).where(Server.id == id).values(deleted_at=clock.now() - LATE_SECONDS - 1))
    inside.compute.state.pop("orphans_until", None)
    give_back(inside.compute)
    assert not inside.left(id)
    kept = [p["id"] for p in inside.ask("demo", "network", "GET", "/v2.0/ports", id=port)["ports"]]
    assert kept == ([port] if brought else [])


def test_a_server_that_lives_keeps_what_it_has(inside: Cloud) -> None:
    id = inside.boot("lives")
    assert inside.settled(id)
    before = inside.left(id)
    inside.compute.state.pop("orphans_until", None)
    give_back(inside.compute)
    assert inside.left(id) == before
    inside.delete(id)
    inside.gone(id)
