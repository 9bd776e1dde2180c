"""Metadata and tags of servers are bounded, however they come."""
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pilvi.compute.resources.quota_set import KINDS
from pilvi.compute.resources.server import Server
from pilvi.compute.service import SERVICE
from pilvi.core import clock
from pilvi.core.context import Identity
from pilvi.core.db.migrate import migrate
from pilvi.core.db.session import Database
from pilvi.core.http.app import Application, Request

MANY = {str(number): "x" for number in range(129)}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Application]:
    """Compute with one server."""
    database = Database(f"sqlite:///{tmp_path}/compute.sqlite")
    migrate(database, "compute", [r.table.__table__ for r in SERVICE.resources] + [t.__table__ for t in SERVICE.tables])
    made = Application(SERVICE, database=database)
    made.state["quota_kinds"] = KINDS
    made.authenticator.ask = lambda token, story: Identity(user_id=token, project_id="p1", roles=("member", "reader"),
                                                           expires_at=clock.now() + 600)
    with database.write() as db:
        db.add(Server(id="web", name="web", project_id="p1", user_id="u", state="active", host="node1", flavor={}, flavor_id="1", meta={}))
    yield made
    made.close()
    database.close()


def ask(app: Application, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    headers = {"x-auth-token": "u", "openstack-api-version": "compute 2.79"}
    reply = app.handle(Request(method, f"/v2.1/servers/web/{path}", "", headers, b"" if body is None else json.dumps(body).encode()))
    return reply.status, json.loads(reply.payload() or b"null")


def test_a_server_has_as_much_metadata_as_the_quota_allows(app: Application) -> None:
    for method in ("POST", "PUT"):
        status, body = ask(app, method, "metadata", {"metadata": MANY})
        assert status == 403 and body["forbidden"]["message"] == "Maximum number of metadata items exceeds 128"
    assert ask(app, "PUT", "metadata", {"metadata": {key: MANY[key] for key in MANY if key != "0"}})[0] == 200
    assert ask(app, "PUT", "metadata/more", {"meta": {"more": "x"}})[0] == 403
    assert ask(app, "PUT", "metadata/1", {"meta": {"1": "y"}})[0] == 200


def test_a_server_has_fifty_tags(app: Application) -> None:
    assert [ask(app, "PUT", f"tags/t{number}")[0] for number in range(51)] == [201] * 50 + [400]
    assert ask(app, "PUT", "tags/t0")[0] == 204
