"""Events: written with the change, sent in order, at least once, and to each listener by itself."""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select
from tests.core.shop import Shop, Thing

from pilvi.core import events
from pilvi.core.bus.memory import MemoryBus
from pilvi.core.db.migrate import migrate
from pilvi.core.db.session import Database
from pilvi.core.errors import Unavailable
from pilvi.core.events import Event, Listener, Outbox, Publisher, Subscription, emit
from pilvi.core.state import Machine, Verb


@pytest.fixture
def outbox(database: Database) -> Outbox:
    """The shop's outbox; a ledger hears everything, a picture only of things, and only for a minute."""
    database.outbox = Outbox("shop", [Listener("ledger", ("*",)), Listener("picture", ("thing.*",), 60.0)])
    migrate(database, "shop_events", [events.outbox_table("shop")])
    return database.outbox  # type: ignore[no-any-return]


@pytest.fixture
def bus() -> Iterator[MemoryBus]:
    bus = MemoryBus()
    yield bus
    bus.close()


def waiting(database: Database, listener: str = "ledger") -> list[Any]:
    """What lies in the outbox for a listener."""
    table = events.outbox_table("shop")
    with database.read() as db: return list(db.execute(select(table).where(table.c.listener == listener).order_by(table.c.seq)))


def test_each_change_is_told_with_who_and_what(database: Database, outbox: Outbox, shop: Callable[[str], Shop]) -> None:
    neutron = shop("neutron")
    thing = neutron.make(size=3, secret="told to nobody")
    neutron.ask("PUT", f"/v2/things/{thing['id']}", {"thing": {"size": 4}})
    neutron.ask("DELETE", f"/v2/things/{thing['id']}")
    told = waiting(database)
    assert [row.type for row in told] == ["thing.create.end", "thing.update.end", "thing.delete.end"]
    assert {row.subject for row in told} == {thing["id"]}
    assert {(row.project_id, row.user_id) for row in told} == {("one", "member-of-one")}
    assert all(row.request_id.startswith("req-") for row in told)
    sizes = [Publisher(database, outbox, MemoryBus())._event(row).payload for row in told]
    assert [payload["size"] for payload in sizes] == [3, 4, 4]
    assert not any("secret" in payload for payload in sizes)


def test_families_name_their_events(database: Database, outbox: Outbox, shop: Callable[[str], Shop]) -> None:
    shop("keystone").make()
    assert [row.type for row in waiting(database)] == ["identity.thing.created"]


def test_what_failed_is_not_told(database: Database, outbox: Outbox, shop: Callable[[str], Shop]) -> None:
    shop("nova").make(code="x")
    assert shop("nova").ask("POST", "/v2/things", {"thing": {"name": "b", "code": "x"}}).status == 409
    assert len(waiting(database)) == 1


def test_only_what_somebody_wants_is_written(database: Database, outbox: Outbox) -> None:
    asked: list[int] = []
    with database.write() as db:
        emit(db, "other.create.end", "x", {"a": 1})
        database.outbox.listeners[0:1] = []
        database.outbox._wanted.clear()
        emit(db, "other.create.end", "x", lambda: {"a": asked.append(1)})
    assert len(waiting(database)) == 1 and not waiting(database, "picture") and not asked


def test_a_life_is_told_verb_by_verb(database: Database, outbox: Outbox, shop: Callable[[str], Shop]) -> None:
    thing = shop("neutron").make()
    life = Machine("thing", {"a", "b"}, [Verb("move", {"a"}, "moving", "b"), Verb("hide", {"b"}, "hiding", "a", event="")])
    with database.write() as db:
        life._tell(db, Thing, thing["id"], life.verbs["move"], "start")
        life._tell(db, Thing, thing["id"], life.verbs["move"], "error")
        life._tell(db, Thing, thing["id"], life.verbs["hide"], "end")
    assert [row.type for row in waiting(database)][1:] == ["thing.move.start", "thing.move.error"]


def heard_by(bus: MemoryBus, name: str) -> list[str]:
    """Serves a listener; the subjects that it heard, in order."""
    subjects: list[str] = []

    def deliver(args: dict[str, Any], message: Any) -> None:
        subjects.extend(event["subject"] for event in args["events"])

    bus.serve(f"events.{name}", {"deliver": deliver}, threads=1)
    return subjects


def tell(database: Database, *subjects: str, type: str = "thing.create.end") -> None:
    with database.write() as db:
        for subject in subjects: emit(db, type, subject, {"text": "x" * 1000})


def test_sent_in_order_and_removed(database: Database, outbox: Outbox, bus: MemoryBus) -> None:
    names = [f"t{n}" for n in range(events.BATCH_EVENTS + 50)]
    tell(database, *names)
    heard, publisher = heard_by(bus, "ledger"), Publisher(database, outbox, bus)
    while publisher.send_some(outbox.listeners[0]): pass
    assert heard == names and not waiting(database)
    assert len(waiting(database, "picture")) == len(names), "one who is away holds up only itself"


def test_kept_until_it_was_taken(database: Database, outbox: Outbox, bus: MemoryBus) -> None:
    tell(database, "a")
    publisher = Publisher(database, outbox, bus)
    assert not publisher.send_some(outbox.listeners[0]), "nobody listens yet"
    refusals = [1]

    def away_once(args: dict[str, Any], message: Any) -> None:
        if refusals: raise Unavailable(reason=f"not yet {refusals.pop()}")

    bus.serve("events.ledger", {"deliver": away_once})
    with pytest.raises(Exception, match="not yet"): publisher.send_some(outbox.listeners[0])
    assert waiting(database)
    assert publisher.send_some(outbox.listeners[0]) and not waiting(database)


def test_stale_events_are_not_for_those_who_show_the_present(database: Database, outbox: Outbox, bus: MemoryBus,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    tell(database, "old")
    heard, publisher = heard_by(bus, "picture"), Publisher(database, outbox, bus)
    now = events.clock.now()
    monkeypatch.setattr(events.clock, "now", lambda: now + 61)
    publisher.send_some(outbox.listeners[1])
    assert heard == [] and not waiting(database, "picture")


def test_published_soon_after_the_commit(database: Database, outbox: Outbox, bus: MemoryBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "AGAIN_SECONDS", 600.0)
    came = threading.Event()
    bus.serve("events.ledger", {"deliver": lambda args, message: came.set()})
    publisher = Publisher(database, outbox, bus).start()
    try:
        tell(database, "a")
        assert came.wait(30)
    finally:
        publisher.stop()


def test_batches_have_an_end(database: Database, outbox: Outbox) -> None:
    tell(database, *"abc")
    rows = waiting(database)
    assert len(list(events._within(rows, 2 * 1300))) == 2
    assert len(list(events._within(rows, 10))) == 1, "one that is too long goes alone"


def test_one_process_publishes_at_a_time(database: Database) -> None:
    with database.alone("x") as first, database.alone("y") as other:
        assert first and other
        with database.alone("x") as second: assert second == database.sqlite
    with database.alone("x") as again: assert again


def test_a_bad_event_holds_up_nobody(shop: Callable[[str], Shop]) -> None:
    taken: list[str] = []

    def take(application: Any, batch: list[Event]) -> None:
        if any(event.subject == "bad" for event in batch): raise ValueError("cannot read this")
        taken.extend(event.subject for event in batch)

    application = shop("nova").application
    object.__setattr__(application.service, "subscriptions", (Subscription("thing.*", take),))
    facts = {"service": "shop", "type": "thing.create.end", "at": 0.0, "project_id": None, "user_id": None, "request_id": None,
             "payload": {}}
    events.deliver(application, [facts | {"seq": n, "subject": name} for n, name in enumerate(["a", "bad", "b"])])
    assert taken == ["a", "b"]
