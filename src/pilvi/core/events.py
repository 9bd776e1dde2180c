"""Events: what a service tells those above it, and the only way in which anything travels upwards.

A change and the word of it are written in one transaction: `emit` adds a row to the service's outbox for each service that wants to
hear it. A publisher sends the rows in the order they were written, in batches, and removes what was taken; so an event arrives at least
once, also after a crash, and a service that is away holds up only itself. Subscribers must not mind hearing one twice; (service, seq)
names it. The types are the upstream notification names (`compute.instance.create.end`, `volume.delete.start`, `identity.project.created`).
"""
from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from sqlalchemy import BigInteger, Column, Integer, String, Table, Text, delete, insert, select
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.bus.interface import Bus
from pilvi.core.db.session import Database
from pilvi.core.db.types import Instant
from pilvi.core.errors import Unavailable
from pilvi.core.reconcile import Repeat
from pilvi.core.wire import Base, fields_of

if TYPE_CHECKING:
    from pilvi.core.context import Call
    from pilvi.core.http.app import Application

LOG = structlog.get_logger()
CALLER: ContextVar[Call | None] = ContextVar("caller", default=None)
"""The request that is being answered by this thread."""
BATCH_EVENTS, BATCH_BYTES = 200, 1 << 20
DEADLINE_SECONDS = 60.0
AGAIN_SECONDS = 10.0
GATHER_SECONDS, APART_SECONDS = 0.1, 0.5
"""How long an event may wait for others to travel with: a boot makes ten within that time. In a stream of events a listener is told
so often and not more, since each telling costs four transactions whatever it carries."""


class Event(msgspec.Struct, frozen=True):
    """Something that happened. `seq` grows within a service; `at` is seconds since 1970; `payload` holds the subject's public columns."""
    service: str
    seq: int
    type: str
    at: float
    subject: str
    project_id: str | None
    user_id: str | None
    request_id: str | None
    payload: dict[str, Any]


@dataclass(frozen=True)
class Subscription:
    """A service wants to hear events whose type fits the pattern (`*` for any text): `function(application, events)`, in order.
    `keep_seconds`: those older are not worth telling any more; None: all are."""
    pattern: str
    function: Callable[[Application, list[Event]], None]
    keep_seconds: float | None = None


@dataclass(frozen=True)
class Listener:
    """A service above and the patterns it subscribed to."""
    name: str
    patterns: tuple[str, ...]
    keep_seconds: float | None = None


class Outbox:
    """The events of one service that somebody has still to hear. `service` is also the prefix of its table."""

    def __init__(self, service: str, listeners: Sequence[Listener]) -> None:
        self.service, self.listeners = service, listeners
        self.table = outbox_table(service)
        self._wanted: dict[str, tuple[str, ...]] = {}

    def wanted(self, type: str) -> tuple[str, ...]:
        """Names of those who want events of this type."""
        if type not in self._wanted:
            self._wanted[type] = tuple(one.name for one in self.listeners if any(fnmatch.fnmatchcase(type, p) for p in one.patterns))
        return self._wanted[type]


@lru_cache(64)
def outbox_table(service: str) -> Table:
    """The table `<service>_outbox`: a row for each event and listener."""
    return Table(
        f"{service}_outbox", Base.metadata,
        Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column("listener", String(64), index=True),
        Column("type", String(255)), Column("at", Instant()), Column("subject", String(255)), Column("project_id", String(64)),
        Column("user_id", String(64)), Column("request_id", String(64)), Column("payload", Text), sqlite_autoincrement=True)


# -- telling


def emit(db: Session, type: str, subject: str, payload: Mapping[str, Any] | Callable[[], Mapping[str, Any]], *,
         project_id: str | None = None, user_id: str | None = None) -> None:
    """Says, in the caller's transaction, that something happened. `payload` may be a function, called only if somebody listens."""
    outbox: Outbox | None = db.info.get("outbox")
    if outbox is None or not outbox.wanted(type): return
    facts = dict(payload() if callable(payload) else payload)
    caller = CALLER.get()
    row = {"type": type, "at": clock.now(), "subject": subject, "payload": msgspec.json.encode(facts).decode(),
           "project_id": project_id or facts.get("project_id") or (caller.identity.project_id if caller else None),
           "user_id": user_id or (caller.user_id if caller else None) or facts.get("user_id"),
           "request_id": caller.request_id if caller else None}
    db.execute(insert(outbox.table), [row | {"listener": name} for name in outbox.wanted(type)])
    db.info["emitted"] = True


def columns_told(table: type[Base]) -> tuple[str, ...]:
    """Names of the columns that a thing's events carry: those that the API shows, and `TOLD` of its class."""
    if table not in _TOLD: _TOLD[table] = _columns_told(table)
    return _TOLD[table]


_TOLD: dict[type[Base], tuple[str, ...]] = {}


def _columns_told(table: type[Base]) -> tuple[str, ...]:
    shown = [name for name, rules in fields_of(table).items() if rules.show]
    return tuple(dict.fromkeys([*shown, *getattr(table, "TOLD", ())]))


def told(row: Any) -> dict[str, Any]:
    """The payload of a thing's event."""
    return {name: getattr(row, name) for name in columns_told(type(row))}


def emit_about(db: Session, table: Any, id: str, type: str) -> None:
    """Says that something happened to the thing with this id, with its columns as the transaction has them now."""
    def payload() -> dict[str, Any]:
        names = columns_told(table)
        row = db.execute(select(*(getattr(table, name) for name in names)).where(table.id == id)).first()
        return dict(zip(names, row, strict=True)) if row else {"id": id}

    emit(db, type, id, payload)


# -- publishing


class Publisher:
    """Sends what lies in a service's outbox, soon after each transaction that wrote there."""

    def __init__(self, database: Database, outbox: Outbox, bus: Bus) -> None:
        self.database, self.outbox, self.bus = database, outbox, bus
        self._loops = {listener.name: Repeat(f"{outbox.service}-events-{listener.name}", AGAIN_SECONDS, self._sender(listener))
                       for listener in outbox.listeners}

    def start(self) -> Publisher:
        for loop in self._loops.values(): loop.start()
        self.database.emitted.append(self.poke)
        return self

    def poke(self) -> None:
        """There is something to send."""
        for loop in self._loops.values(): loop.poke()

    def stop(self) -> None:
        for loop in self._loops.values(): loop.stop()

    def _sender(self, listener: Listener) -> Callable[[], None]:
        told = 0.0

        def send() -> None:
            nonlocal told
            time.sleep(max(GATHER_SECONDS, told + APART_SECONDS - time.monotonic()))
            with self.database.alone(f"{self.outbox.service}.events.{listener.name}") as mine:
                while mine and self.send_some(listener): told = time.monotonic()

        return send

    def send_some(self, listener: Listener) -> bool:
        """Sends a batch to a listener and removes it; False if there was nothing, or nobody to take it."""
        table = self.outbox.table
        with self.database.read() as db:
            rows = db.execute(select(table).where(table.c.listener == listener.name).order_by(table.c.seq).limit(BATCH_EVENTS)).all()
        if not rows: return False
        batch = list(_within(rows, BATCH_BYTES))
        fresh = [row for row in batch if listener.keep_seconds is None or row.at > clock.now() - listener.keep_seconds]
        if fresh:
            events = [msgspec.to_builtins(self._event(row)) for row in fresh]
            try: self.bus.call(f"events.{listener.name}", "deliver", {"events": events}, deadline_seconds=DEADLINE_SECONDS)
            except Unavailable: return False
        with self.database.write() as db: db.execute(delete(table).where(table.c.seq.in_([row.seq for row in batch])))
        return True

    def _event(self, row: Any) -> Event:
        return Event(self.outbox.service, row.seq, row.type, row.at, row.subject, row.project_id, row.user_id, row.request_id,
                     msgspec.json.decode(row.payload))


def _within(rows: Sequence[Any], most: int) -> Iterator[Any]:
    """The first rows whose payloads fit into so many bytes, at least one."""
    size = 0
    for row in rows:
        size += len(row.payload) + 200
        if size > most and size > len(row.payload) + 200: return
        yield row


# -- hearing


def listener_of(name: str, subscriptions: Sequence[Subscription]) -> Listener | None:
    """What a service wants to hear; None if nothing."""
    if not subscriptions: return None
    kept = [one.keep_seconds for one in subscriptions]
    return Listener(name, tuple(one.pattern for one in subscriptions), None if None in kept else max(k for k in kept if k is not None))


def deliver(application: Application, events: list[dict[str, Any]]) -> None:
    """Gives each subscription its part of a batch. Raises Unavailable to hear them again; an event that a subscription can't
    digest by itself is logged and let go, so that it does not hold up those behind it."""
    heard = msgspec.convert(events, list[Event])
    for subscription in application.service.subscriptions:
        mine = [one for one in heard if fnmatch.fnmatchcase(one.type, subscription.pattern)]
        if not mine: continue
        try: subscription.function(application, mine)
        except Unavailable: raise
        except Exception:
            for one in mine: _alone(application, subscription, one)


def _alone(application: Application, subscription: Subscription, event: Event) -> None:
    try: subscription.function(application, [event])
    except Unavailable: raise
    except Exception:
        LOG.exception("event refused", service=application.service.name, type=event.type, subject=event.subject, seq=event.seq)
