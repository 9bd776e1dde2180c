"""Identity does not answer for a while: agents ask again, nothing fails that can wait, and nothing is let in meanwhile."""
from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.crash.inside import Cloud, parked, until

from pilvi.core import trace
from pilvi.core.context import Identity
from pilvi.core.errors import Failure, Unavailable
from pilvi.core.http import auth


@contextmanager
def away() -> Iterator[list[str]]:
    """Within, identity can't be asked about tokens, and what was remembered is forgotten. Yields who asked in vain."""
    genuine, asked = auth.VALIDATORS["identity"], list[str]()

    def refuse(token: str, story: trace.Trace | None) -> Identity:
        asked.append(threading.current_thread().name)
        raise Unavailable(reason="identity is away")

    auth.VALIDATORS["identity"] = refuse
    auth.forget()
    try: yield asked
    finally: auth.VALIDATORS["identity"] = genuine


@pytest.mark.parametrize("step", ["boot.20", "boot.23", "boot.26"])
def test_a_boot_waits_for_identity(inside: Cloud, step: str) -> None:
    with parked(step) as park:
        id = inside.boot(f"waits-{step}")
        park.wait()
        with away() as asked:
            park.go()
            until(lambda: any("compute-errand" in name for name in asked), "the agent asked in vain")
        server = inside.settled(id)
    assert server and server["status"] == "ACTIVE", server
    assert len(inside.left(id)["ports"]) == 1 and len(inside.machines(id)) == 1
    inside.delete(id)
    inside.gone(id)


def test_scheduling_waits_for_identity(inside: Cloud) -> None:
    with parked("boot.10") as park:
        id = inside.boot("scheduled")
        park.wait()
        with away() as asked:
            park.go()
            until(lambda: asked, "the scheduler asked in vain")
    server = inside.settled(id)
    assert server and server["status"] == "ACTIVE" and not inside.tasks(id), server
    inside.delete(id)
    inside.gone(id)


def test_a_delete_waits_for_identity(inside: Cloud) -> None:
    """Its steps in control are tried again until identity answers."""
    id = inside.boot("deleted")
    assert inside.settled(id)
    inside.delete(id)
    with away() as asked: until(lambda: asked or not inside.tasks(id), "the delete asked in vain, or was quicker")
    inside.gone(id)


def test_nobody_is_let_in(inside: Cloud) -> None:
    with away(), pytest.raises(Failure) as refused: inside.ask("demo", "compute", "GET", "/v2.1/servers")
    assert refused.value.status == 503
    assert inside.ask("demo", "compute", "GET", "/v2.1/servers")["servers"] == []
