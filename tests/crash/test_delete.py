"""A delete at each step of a boot: it wins, whatever is going on, and nothing is left of the server."""
from __future__ import annotations

import threading

import pytest
from tests.crash.inside import Cloud, parked, until

STEPS = [f"boot.{number:02}" for number in range(8, 30)]
LOOK_SECONDS = 0.4


@pytest.mark.parametrize("step", STEPS)
def test_delete_during_a_boot(inside: Cloud, step: str) -> None:
    with parked(step) as park:
        id = inside.boot(f"deleted-at-{step}")
        park.wait()
        deleting = threading.Thread(target=inside.delete, args=(id,))
        deleting.start()
        deleting.join(LOOK_SECONDS)  # at steps inside a transaction the delete waits for it
        park.go()
        deleting.join(60)
        inside.gone(id)
    assert len(inside.machines(id)) <= 1


def test_delete_twice(inside: Cloud) -> None:
    with parked("boot.20") as park:
        id = inside.boot("twice")
        park.wait()
        inside.delete(id)
        inside.delete(id)
    inside.gone(id)


def test_delete_of_a_server_that_runs(inside: Cloud) -> None:
    id = inside.boot("runs")
    server = inside.settled(id)
    assert server and server["status"] == "ACTIVE" and len(inside.machines(id)) == 1
    inside.delete(id)
    inside.gone(id)


def test_a_port_that_was_plugged_later_stays_its_users(inside: Cloud) -> None:
    port = inside.ask("demo", "network", "POST", "/v2.0/ports", {"port": {"network_id": inside.network}})["port"]["id"]
    id = inside.boot("plugged")
    assert inside.settled(id)
    inside.ask("demo", "compute", "POST", f"/v2.1/servers/{id}/os-interface", {"interfaceAttachment": {"port_id": port}})
    until(lambda: not inside.tasks(id), "the card is plugged")
    inside.delete(id)
    inside.gone(id)
    assert [p["id"] for p in inside.ask("demo", "network", "GET", "/v2.0/ports", id=port)["ports"]] == [port]
    inside.ask("demo", "network", "DELETE", f"/v2.0/ports/{port}")
