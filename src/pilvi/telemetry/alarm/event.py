"""Alarms on events: each event is held against the event alarms of its project.

An event is shown to rules as `event_type`, `message_id`, `generated` and `traits.NAME`; the traits are the ids of who and what it is about
and the plain values of its payload. An event may be heard twice; the history's entry, named after alarm and event, keeps it from firing
twice.

Source: Alarming API v2 (Aodh), "Event based alarm"; Ceilometer, "Events", for the traits' names.
"""
from __future__ import annotations

import fnmatch
import uuid
from typing import Any

import msgspec
from sqlalchemy import select

from pilvi.core import clock
from pilvi.core.errors import Invalid
from pilvi.core.events import Event
from pilvi.core.http.app import Application
from pilvi.telemetry.alarm import change, rules
from pilvi.telemetry.alarm.evaluate import COMPARATORS, Verdict
from pilvi.telemetry.alarm.states import ALARM
from pilvi.telemetry.resources.alarm_tables import Alarm, AlarmChange

NAMES = uuid.UUID("5a0b8a3e-6c53-4f0e-9a41-6a1f0f2b7c11")
TYPE_NUMBERS = {str: 1, int: 2, float: 3, bool: 1}
INSTANTS = ("_at", "created", "updated")


def on_events(application: Application, events: list[Event]) -> None:
    """Fires the alarms that these events are for. Repeatable."""
    projects = {event.project_id for event in events if event.project_id}
    wanted = (Alarm.type == "event", Alarm.enabled.is_(True), Alarm.project_id.in_(sorted(projects)))
    with application.database.read() as db:
        watching = list(db.execute(select(Alarm.id, Alarm.project_id, Alarm.rule).where(*wanted)))
    hits = [(alarm.id, event) for event in events if not event.type.startswith("alarm.") for alarm in watching
            if alarm.project_id == event.project_id and fits(alarm.rule, shown(event))]
    if not hits: return
    with application.database.write() as db:
        for alarm_id, event in hits:
            alarm = db.get(Alarm, alarm_id, with_for_update=True, populate_existing=True)
            if alarm and alarm.enabled: _fire(db, alarm, event)
    application.state["notifier"].poke()


def _fire(db: Any, alarm: Alarm, event: Event) -> None:
    if alarm.state == ALARM and not alarm.repeat_actions: return
    entry = str(uuid.uuid5(NAMES, f"{alarm.id}:{event.service}:{event.seq}:{event.at}"))
    if db.get(AlarmChange, entry) is not None: return
    told = shown(event)
    query = msgspec.json.encode(alarm.rule["query"], order="sorted").decode()
    reason = f"Event <id={told['message_id']},event_type={event.type}> hits the query <query={query}>."
    change.found(db, alarm, Verdict(ALARM, reason, {"type": "event", "event": told}), event_id=entry)
    db.flush()


def shown(event: Event) -> dict[str, Any]:
    """An event as rules and notices see it: {message_id, event_type, generated, traits: [[name, type's number, value]]}."""
    traits: dict[str, Any] = {name: value for name, value in sorted(event.payload.items()) if isinstance(value, str | int | float)}
    if "name" in traits: traits["display_name"] = traits["name"]
    traits |= {"service": event.service, "resource_id": event.subject, "project_id": event.project_id or "",
               "tenant_id": event.project_id or "", "user_id": event.user_id or "", "request_id": event.request_id or ""}
    if event.type.startswith("compute.instance."): traits["instance_id"] = event.subject
    generated = clock.iso(event.at, fraction=True, zone="")
    return {"message_id": f"{event.service}-{event.seq}", "event_type": event.type, "generated": generated,
            "traits": [_trait(name, value) for name, value in traits.items()]}


def _trait(name: str, value: Any) -> list[Any]:
    if isinstance(value, float) and name.endswith(INSTANTS) and 0 < value < 2**40:
        return [name, 4, clock.iso(value, fraction=True, zone="")]
    return [name, TYPE_NUMBERS[type(value)], str(value).lower() if isinstance(value, bool) else value]


def fits(rule: dict[str, Any], event: dict[str, Any]) -> bool:
    """Is the event of the rule's type, and do all its conditions hold?"""
    return fnmatch.fnmatchcase(event["event_type"], rule["event_type"]) and all(_holds(one, event) for one in rule["query"])


def _holds(condition: dict[str, Any], event: dict[str, Any]) -> bool:
    name = condition["field"]
    if name.startswith("traits."):
        value = next((value for trait, _, value in event["traits"] if trait == name.removeprefix("traits.")), None)
    else: value = event.get(name) if name != "traits" else None
    if value is None: return False
    try: return COMPARATORS[condition["op"]](rules.typed(value, condition["type"] or "string"), rules.value_of(condition))
    except Invalid: return False
