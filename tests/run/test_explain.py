"""Traces, stories and reports, as people read them."""
from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.outside.clouds import wait
from tests.run.conftest import Here

from pilvi.run import explain
from pilvi.run.bootstrap import passwords
from pilvi.run.settings import load


class Answers:
    """A cloud that knows these servers."""

    def __init__(self, *names: str) -> None:
        self.servers = [{"id": f"id-{number}", "name": name} for number, name in enumerate(names)]

    def ask(self, service: str, method: str, path: str, body: Any = None, **query: Any) -> Any:
        found = [server for server in self.servers if path.endswith(server["id"])]
        if found: return {"server": found[0]}
        if not path.endswith("/detail"): raise NotThere()
        return {"servers": [server for server in self.servers if query["name"] == f"^{server['name']}$"]}


class NotThere(explain.Failure):
    """no"""
    status = 404


def test_a_server_is_found_by_name_or_id() -> None:
    cloud: Any = Answers("a", "b", "b")
    assert explain.find_server(cloud, "a")["id"] == "id-0"
    assert explain.find_server(cloud, "id-2")["name"] == "b"
    with pytest.raises(LookupError, match="2 servers are called b; use an id: id-1, id-2"): explain.find_server(cloud, "b")
    with pytest.raises(LookupError, match="no server called c"): explain.find_server(cloud, "c")


def span(name: str, started: float, attempt: int = 1) -> dict[str, Any]:
    return {"name": name, "actor": "a", "peer": "b", "transport": "http", "started": started, "seconds": 0.0125, "attempt": attempt,
            "carried": {"host": f"host-of-{attempt}"}}


def text_of(thing: Any) -> str:
    out = Console(file=io.StringIO(), width=200)
    out.print(thing)
    return str(out.file.getvalue())  # type: ignore[attr-defined]


def test_table_counts_from_the_request_and_shows_the_last_attempt() -> None:
    spans = [span("boot.03", 10.0), span("boot.29", 11.0, 2), span("boot.29", 12.0, 3)]
    lines = text_of(explain.trace_table(spans, "title")).splitlines()
    assert "0.0 ms" in lines[2] and "12.5 ms" in lines[2]
    assert len(lines) == 4 and "host-of-3" in lines[3] and "2000.0 ms" in lines[3]
    assert "title" in text_of(explain.trace_table([], "title"))


def test_clean() -> None:
    shown = explain.clean({"adminPass": "x", "OS-EXT-SRV-ATTR:user_data": "x", "a": [{"token": "x", "fine": "y"}], "passwords": 3})
    assert shown == {"adminPass": "(removed)", "OS-EXT-SRV-ATTR:user_data": "(removed)", "a": [{"token": "(removed)", "fine": "y"}],
                     "passwords": 3}


@pytest.mark.slow
def test_story(furnished: Here) -> None:
    text = furnished.run("explain", "server", "hello")
    assert "hello" in text and "is ACTIVE on host sim-00001" in text and "create" in text
    assert "no server called nobody" in furnished.run("explain", "server", "nobody", status=1)


@pytest.mark.slow
def test_policy(furnished: Here) -> None:
    allowed = furnished.run("explain", "policy", "os_compute_api:pilvi-hold", "--as", "admin")
    refused = furnished.run("explain", "policy", "os_compute_api:pilvi-hold")
    assert "as admin with the roles" in allowed and "as demo with the roles" in refused and allowed != refused
    assert "No service knows" in furnished.run("explain", "policy", "no:such", status=1)


@pytest.mark.slow
def test_why(furnished: Here) -> None:
    furnished.run("why", "hello", "192.168.77.1", status=0)
    assert "no server called nobody" in furnished.run("why", "nobody", "192.168.77.1", status=1)


@pytest.mark.slow
def test_report_holds_no_secret(furnished: Here) -> None:
    secret = "c2VjcmV0LW9mLXRoZS11c2Vy"
    furnished.boot("secretive", user_data=secret, adminPass="PassOfTheGuest", metadata={"db_password": "PassOfTheBase"})
    wait(lambda: furnished.servers()["secretive"] == "ACTIVE", "its story is whole")
    path = Path(furnished.run("report", "secretive").strip())
    with tarfile.open(path) as tar:
        texts = {member.name.partition("/")[2]: tar.extractfile(member).read().decode() for member in tar}  # type: ignore[union-attr]
    assert {"server.json", "trace.json", "actions.json", "ports.json", "console.log", "logs/control.log"} <= set(texts)
    assert "boot.29" in texts["trace.json"] and '"name": "secretive"' in texts["server.json"]
    words = [*passwords(load(furnished.state)).values(), secret, "PassOfTheGuest", "PassOfTheBase", "gAAAA"]
    for name, text in texts.items():
        assert not [word for word in words if word in text], name
