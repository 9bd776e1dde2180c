"""All 29 steps of a real boot, in order, with who talked to whom and over what."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.outside.clouds import Cloud, free_port

from pilvi.run import explain, furnish
from pilvi.run.settings import load

pytestmark = pytest.mark.slow
STEPS = [  # (actor, peer, transports that it may go over)
    ("client", "identity", {"http"}), ("identity", "client", {"http"}), ("client", "compute API", {"http"}),
    ("compute API", "identity", {"http", "in-process"}), ("identity", "compute API", {"http", "in-process"}),
    ("compute API", "database", {"sql"}), ("database", "compute API", {"sql"}), ("compute API", "queue", {"unix_socket"}),
    ("queue", "scheduler", {"unix_socket", "memory"}), ("scheduler", "database, placement API", {"sql, in-process"}),
    ("scheduler", "database", {"sql"}),
    ("scheduler", "queue", {"unix_socket"}), ("queue", "compute agent", {"unix_socket"}), ("compute agent", "queue", {"unix_socket"}),
    ("queue", "conductor", {"unix_socket"}), ("conductor", "database", {"sql"}), ("database", "conductor", {"sql"}),
    ("conductor", "queue", {"unix_socket"}), ("queue", "compute agent", {"unix_socket"}),
    ("compute agent", "identity, image API", {"http"}),
    ("image API", "identity", {"http", "in-process"}), ("image API", "compute agent", {"http"}),
    ("compute agent", "identity, network API", {"http"}),
    ("network API", "identity", {"http", "in-process"}), ("network API", "compute agent", {"http"}),
    ("compute agent", "identity, volume API", {"http"}),
    ("volume API", "identity", {"http", "in-process"}), ("volume API", "compute agent", {"http"}), ("compute agent", None, {"call"})]


@pytest.fixture(scope="module", params=["simulated", pytest.param("qemu", marks=pytest.mark.real)])
def spans(request: pytest.FixtureRequest, cloud_at: Callable[[str], Cloud]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    cloud = cloud_at(f"trace-{request.param}")
    mode = ["--simulated"] if request.param == "simulated" else []
    done = cloud.pilvi("up", *mode, "--listen", f"127.0.0.1:{free_port()}", check=False, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    demo = furnish.Cloud(load(cloud.state), "demo", "demo")
    server = explain.find_server(furnish.Cloud(load(cloud.state), "admin", "admin"), "hello")
    yield request.param, explain.spans_of(demo, server["id"])
    cloud.pilvi("down")


def test_all_29_in_order(spans: tuple[str, list[dict[str, Any]]]) -> None:
    driver, found = spans
    assert {span["attempt"] for span in found} == {1}
    main = [span for span in found if len(span["name"]) == len("boot.01")]
    assert [span["name"] for span in sorted(main, key=lambda s: s["name"])] == [f"boot.{n:02}" for n in range(1, 30)], "each step once"
    begun = [span["name"] for span in sorted(main, key=lambda s: s["started"])]
    assert begun == sorted(begun), "they begin in the order of their numbers"
    for span, (actor, peer, transports) in zip(sorted(main, key=lambda s: s["name"]), STEPS, strict=True):
        assert span["actor"] == actor and span["peer"] == (peer or driver), span
        assert span["transport"] in transports, span
        assert "failed" not in span["carried"], span


def test_steps_carry_facts(spans: tuple[str, list[dict[str, Any]]]) -> None:
    carried = {span["name"]: span["carried"] for span in spans[1]}
    assert carried["boot.05"]["roles"] and carried["boot.11"]["host"] and carried["boot.25"]["addresses"] and carried["boot.29"][
        "memory_mib"] == 128
    assert "gAAAA" not in str(carried), "no token in a trace"
