"""Takes the events of what costs, and once a day compares what is known with what the services list.

An event is a row, whose key is the event: hearing it twice changes nothing. The census finds what no event told: things from before rating
began, and what was lost with a restored backup.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import structlog
from sqlalchemy import Float, String, update
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.compute import client as compute
from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.db.types import Instant
from pilvi.core.errors import Failure
from pilvi.core.events import Event
from pilvi.core.http.app import Application
from pilvi.core.reconcile import repaired
from pilvi.core.wire import Base
from pilvi.image import client as image
from pilvi.network import client as network
from pilvi.objectstore import client as objectstore
from pilvi.telemetry.rating.translate import GIB, KINDS, Seen, corrections, fact_of, sampled, server_of
from pilvi.telemetry.rating.usage import newest
from pilvi.telemetry.resources import usage
from pilvi.volume import client as volume

LOG = structlog.get_logger()
SETTLED_SECONDS = 300.0
"""Events are heard after so long at the latest, unless they are lost."""
AGAIN_SECONDS = 300.0
OBJECTS = "object_storage"
OBJECTS_SECONDS = 55.0
"""Their loop looks once a minute."""
TOMBSTONE_SECONDS = 31 * 86400.0
"""How far back a first census asks for what is gone already."""


EVENTS = tuple(f"{start}*" for start in KINDS)
"""The types of events that are heard."""


class Census(Base):
    """When what was counted last, and by whom next: `due_at` is moved on by compare-and-set."""
    __tablename__ = "telemetry_rating_censuses"
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    began_at: Mapped[float] = mapped_column(Instant, default=0.0)
    due_at: Mapped[float] = mapped_column(Float(53), default=0.0)


def on_events(application: Application, events: list[Event]) -> None:
    """Keeps what events say about things that cost. Repeatable."""
    facts = [fact for one in events if (fact := fact_of(one))]
    if not facts: return
    with application.database.write() as db: usage.add(db, facts)


def count(application: Application) -> None:
    """Counts the kinds whose census is due."""
    for kind, look in LOOKS.items():
        previous = _take(application, kind)
        if previous is None: continue
        try: _count(application, kind, look, previous)
        except Failure as failure: LOG.info("not counted", kind=kind, reason=failure.message)  # it is due again soon


def _take(application: Application, kind: str, again: float = AGAIN_SECONDS) -> float | None:
    """When the kind was counted last, if it is due and this process is the one to do it."""
    now = clock.now()
    with application.database.write() as db:
        row = db.get(Census, kind, with_for_update=True)
        if row is None:
            row = Census(kind=kind, began_at=0.0, due_at=0.0)
            db.add(row)
            db.flush()
        if row.due_at > now: return None
        row.due_at = now + again
        return row.began_at


def _count(application: Application, kind: str, look: Callable[[Call, float], Iterator[Seen]], previous: float) -> None:
    began = clock.now()
    seen = list(look(application.state["service_call"](), previous))
    with application.database.write() as db:
        over = usage.ended(db, kind, [one.resource_id for one in seen])
        missing = corrections(kind, newest(usage.living(db, kind)), [one for one in seen if one.resource_id not in over], began,
                              began - SETTLED_SECONDS, previous)
        usage.add(db, missing)
        again = began + application.config.rating_census_seconds
        db.execute(update(Census).where(Census.kind == kind).values(began_at=began, due_at=again))
    for fact in missing: repaired("rating census", kind, resource_id=fact.resource_id, at=fact.at, there=fact.exists)


def measure_objects(application: Application) -> None:
    """Notes how much each account of the object store holds, where that has changed."""
    if _take(application, OBJECTS, OBJECTS_SECONDS) is None: return
    try: accounts = objectstore.usage(application.state["service_call"]())
    except Failure as failure:
        LOG.info("not counted", kind=OBJECTS, reason=failure.message)
        return
    held = [Seen(OBJECTS, one["account"], one["project_id"], 0.0, {"gib": one["bytes"] / GIB}, {}) for one in accounts if one["project_id"]]
    with application.database.write() as db: usage.add(db, sampled(newest(usage.living(db, OBJECTS)), held, clock.now()))


# -- what the services list


def _servers(call: Call, previous: float) -> Iterator[Seen]:
    """Those that are there, and those that went since the last census."""
    since = max(previous, clock.now() - TOMBSTONE_SECONDS) - SETTLED_SECONDS * 2
    found = {one["id"]: one for one in compute.list_servers(call, **{"changes-since": clock.iso(since)})}
    found |= {one["id"]: one for one in compute.list_servers(call)}
    for one in found.values():
        launched, ended = one["OS-SRV-USG:launched_at"], one["OS-SRV-USG:terminated_at"]
        if launched is None: continue
        quantities, attributes = server_of(one["flavor"], one["OS-EXT-STS:vm_state"])
        yield Seen("server", one["id"], one["tenant_id"], clock.parse(launched), quantities, attributes, one["name"],
                   _instant(one.get("updated")), _instant(ended))


def _volumes(call: Call, previous: float) -> Iterator[Seen]:
    types = {one["name"]: one["id"] for one in volume.list_types(call)}
    for one in volume.list_volumes(call):
        if one["status"] == "creating": continue
        yield Seen("volume", one["id"], one["os-vol-tenant-attr:tenant_id"], clock.parse(one["created_at"]), {"gib": float(one["size"])},
                   {"type": types.get(one["volume_type"], "")}, one["name"] or "", _instant(one.get("updated_at")))


def _snapshots(call: Call, previous: float) -> Iterator[Seen]:
    for one in volume.list_snapshots(call):
        if one["status"] == "creating": continue
        yield Seen("snapshot", one["id"], one["os-extended-snapshot-attributes:project_id"], clock.parse(one["created_at"]),
                   {"gib": float(one["size"])}, {}, one["name"] or "")


def _images(call: Call, previous: float) -> Iterator[Seen]:
    for one in image.list_images(call, visibility="all"):
        if one["status"] not in ("active", "deactivated") or one.get("size") is None or not one.get("owner"): continue
        yield Seen("image", one["id"], one["owner"], clock.parse(one["created_at"]), {"gib": int(one["size"]) / GIB}, {}, one["name"] or "",
                   _instant(one.get("updated_at")))


def _floating_ips(call: Call, previous: float) -> Iterator[Seen]:
    for one in network.list_floating_ips(call):
        yield Seen("floating_ip", one["id"], one["project_id"], clock.parse(one["created_at"]), {"address": 1.0}, {},
                   one["floating_ip_address"])


def _instant(text: str | None) -> float | None:
    return clock.parse(text) if text else None


LOOKS: dict[str, Any] = {"server": _servers, "volume": _volumes, "snapshot": _snapshots, "image": _images, "floating_ip": _floating_ips}
