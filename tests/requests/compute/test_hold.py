"""A held server is left alone by repair, not by its users; only administrators hold."""
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from pilvi.compute import conductor
from pilvi.compute.agent.reconcile import Repair, Wanted, plan
from pilvi.compute.resources.server import Server
from pilvi.compute.resources.task import Action
from pilvi.compute.service import SERVICE
from pilvi.core import clock
from pilvi.core.context import Identity
from pilvi.core.db.migrate import migrate
from pilvi.core.db.session import Database
from pilvi.core.http.app import Application, Request

ROLES = {"admin": ("admin", "member", "reader"), "member": ("member", "reader")}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Application]:
    """Compute with the servers `held` and `free`, both active on one host."""
    database = Database(f"sqlite:///{tmp_path}/compute.sqlite")
    migrate(database, "compute", [r.table.__table__ for r in SERVICE.resources] + [t.__table__ for t in SERVICE.tables])
    made = Application(SERVICE, database=database)
    made.authenticator.ask = lambda token, story: Identity(user_id=token, project_id="p1", roles=ROLES[token],
        expires_at=clock.now() + 600)
    with database.write() as db:
        for id in ("held", "free"):
            db.add(Server(id=id, name=id, project_id="p1", user_id="u", state="active", host="node1", flavor={}, flavor_id="1"))
    yield made
    made.close()
    database.close()


def ask(app: Application, method: str, who: str = "admin", server: str = "held", body: Any = None) -> tuple[int, Any]:
    content = b"" if body is None else json.dumps(body).encode()
    headers = {"x-auth-token": who, "content-type": "application/json"}
    answer = app.handle(Request(method, f"/v2.1/servers/{server}/pilvi-hold", "", headers, content, base="http://cloud/compute"))
    return answer.status, json.loads(answer.payload())


def repairs(app: Application, power: str) -> list[Repair]:
    """What the host would do if both machines were like this."""
    servers = conductor.desired(app, {"hosts": ["node1"]}, None)["servers"]  # type: ignore[arg-type]
    wanted = {id: Wanted(record["state"], record["busy"] is not None) for id, record in servers.items()}
    return plan(wanted, {"held": power, "free": power}, after_shutdown=True)


def state(app: Application, id: str) -> str:
    with app.database.read() as db: return str(db.scalar(select(Server.state).where(Server.id == id)))


def test_only_administrators(app: Application) -> None:
    assert ask(app, "PUT", "member", body={"held": True})[0] == ask(app, "GET", "member")[0] == 403
    assert ask(app, "GET") == (200, {"held": False})
    assert ask(app, "PUT", server="nobody", body={"held": True})[0] == 404
    assert ask(app, "PUT", body={"held": "for a while"})[0] == ask(app, "PUT", body={})[0] == 400


def test_the_host_leaves_it_alone(app: Application) -> None:
    assert {repair.server_id for repair in repairs(app, "stopped")} == {"held", "free"}
    assert ask(app, "PUT", body={"held": True}) == (200, {"held": True})
    assert repairs(app, "stopped") == [Repair("start", "free")], "it is known, so it is no stranger, and not touched"
    assert ask(app, "PUT", body={"held": False}) == (200, {"held": False})
    assert {repair.server_id for repair in repairs(app, "stopped")} == {"held", "free"}


def test_its_record_does_not_follow_the_machine(app: Application) -> None:
    ask(app, "PUT", body={"held": True})
    for id in ("held", "free"): conductor.observed(app, {"server_id": id, "power": "stopped"}, None)  # type: ignore[arg-type]
    assert (state(app, "held"), state(app, "free")) == ("active", "stopped")
    for id in ("held", "free"): conductor.lost(app, {"server_id": id, "reason": "gone"}, None)  # type: ignore[arg-type]
    assert (state(app, "held"), state(app, "free")) == ("active", "error")


def test_it_is_on_the_log(app: Application) -> None:
    for held in (True, True, False): ask(app, "PUT", body={"held": held})
    with app.database.read() as db: assert [row.action for row in db.scalars(select(Action))] == ["hold", "release"]
