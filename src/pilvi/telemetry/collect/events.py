"""What services say that happened: every event is kept for a while, and those that change a meter become measures.

Source: Ceilometer, "Event and meter definitions": the same names, resources and units. An event that is heard twice is kept once, and its
measure takes its own place again.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.events import Event
from pilvi.core.http.app import Application
from pilvi.telemetry.collect import series
from pilvi.telemetry.collect.series import Meter, Thing
from pilvi.telemetry.collect.servers import attributes_of
from pilvi.telemetry.resources import condition
from pilvi.telemetry.resources.tables import LifecycleEvent, MetricResource

IDENTITY = ("user", "project", "group", "role", "trust", "role_assignment")
STACK = ("create", "update", "delete", "suspend", "resume")
ENDS = ("compute.instance.delete.end", "volume.delete.end", "snapshot.delete.end", "image.delete", "floatingip.delete.end")
LONGEST_PAYLOAD = 100_000


def on_events(application: Application, events: list[Event]) -> None:
    """A batch of a publisher, in order."""
    with application.database.write() as db: _keep(db, events)
    things = [(event.at, thing) for event in events for thing in things_of(event)]
    if things: series.take(application, things)
    gone = [event for event in events if event.type in ENDS]
    if not gone: return
    with application.database.write() as db:
        for event in gone: series.end(db, [event.subject, *_parts(db, event)], event.at)


def _keep(db: Session, events: Sequence[Event]) -> None:
    names = [(event.service, event.seq) for event in events]
    known = {(service, seq) for service, seq in db.execute(select(LifecycleEvent.service, LifecycleEvent.seq).where(
        LifecycleEvent.service.in_({service for service, _ in names}), LifecycleEvent.seq.in_([seq for _, seq in names])))}
    rows = [{"service": event.service, "seq": event.seq, "type": event.type[:128], "at": event.at, "subject": event.subject[:255],
             "project_id": event.project_id, "user_id": event.user_id, "request_id": event.request_id, "payload": event.payload}
            for event in events if (event.service, event.seq) not in known]
    if rows: db.execute(insert(LifecycleEvent), rows)


def _parts(db: Session, event: Event) -> list[str]:
    """The disks and cards of a server."""
    if not event.type.startswith("compute.instance."): return []
    of = condition.attribute(db, MetricResource, "instance_id", "string")
    kinds = MetricResource.type.in_(("instance_disk", "instance_network_interface"))
    return list(db.scalars(select(MetricResource.id).where(kinds, of == event.subject)))


def things_of(event: Event) -> Iterable[Thing]:
    """The things that an event gives a measure of."""
    owner = (event.project_id, event.user_id)
    facts, first = event.payload, event.type.partition(".")[0]
    if event.type == "compute.instance.create.end":
        began, ready = facts.get("created_at"), facts.get("launched_at")
        if isinstance(began, int | float) and isinstance(ready, int | float) and ready >= began:
            yield Thing("instance", event.subject, *owner, attributes_of(facts),
                        [Meter("compute.instance.booting.time", ready - began, "sec")], began)
    elif first == "volume" and event.type in ("volume.create.end", "volume.extend.end", "volume.resize.end"): yield volume(facts)
    elif event.type == "snapshot.create.end": yield snapshot(facts)
    elif first == "image" and event.type in ("image.upload", "image.import", "image.update") and facts.get("size"): yield image(facts)
    elif event.type == "floatingip.create.end": yield floating_ip(facts)
    elif first == "identity" and event.type.split(".")[1] in IDENTITY:
        yield Thing("identity", event.subject, *owner, {}, [Meter(event.type, 1, event.type.split(".")[1])])
    elif first in ("stack", "orchestration") and event.type.endswith(".end") and event.type.split(".")[-2] in STACK:
        yield Thing("stack", event.subject, *owner, {}, [Meter(f"stack.{event.type.split('.')[-2]}", 1, "stack")])


def _texts(**values: Any) -> dict[str, Any]:
    """Attributes, without those that are not known here."""
    return {name: str(value)[:255] for name, value in values.items() if value}


def volume(facts: dict[str, Any]) -> Thing:
    """A volume as the volume API, or its event, shows it."""
    attributes = _texts(display_name=facts.get("name") or facts.get("display_name"), volume_type=facts.get("volume_type"),
                        image_id=(facts.get("volume_image_metadata") or {}).get("image_id"))
    return Thing("volume", facts["id"], project_of(facts), facts.get("user_id"), attributes, [Meter("volume.size", facts["size"], "GB")],
                 began(facts))


def snapshot(facts: dict[str, Any]) -> Thing:
    """A snapshot; Ceilometer counts them among volumes."""
    name = _texts(display_name=facts.get("name") or facts.get("display_name"))
    size = facts.get("size", facts.get("volume_size", 0))
    return Thing("volume", facts["id"], project_of(facts), facts.get("user_id"), name, [Meter("snapshot.size", size, "GB")], began(facts))


def image(facts: dict[str, Any]) -> Thing:
    """An image that has bytes."""
    attributes = _texts(**{name: facts.get(name) for name in ("name", "container_format", "disk_format")})
    owner = facts.get("owner") or facts.get("project_id")
    return Thing("image", facts["id"], owner, None, attributes, [Meter("image.size", facts["size"], "B")], began(facts))


def floating_ip(facts: dict[str, Any]) -> Thing:
    """A floating IP."""
    return Thing("network", facts["id"], project_of(facts), None, {}, [Meter("ip.floating", 1, "ip")], began(facts))


def project_of(facts: dict[str, Any]) -> str | None:
    """Whose it is, by the names that APIs and events have for it."""
    return facts.get("project_id") or facts.get("tenant_id") or facts.get("os-vol-tenant-attr:tenant_id")


def began(facts: dict[str, Any]) -> float | None:
    """When it was made."""
    made = facts.get("created_at")
    if isinstance(made, int | float): return float(made)
    try: return clock.parse(made) if made else None
    except ValueError: return None


def forget(application: Application) -> None:
    """Events are kept as long as the configuration says."""
    before = clock.now() - application.config.event_days * 86400
    with application.database.write() as db: db.execute(delete(LifecycleEvent).where(LifecycleEvent.at < before))
