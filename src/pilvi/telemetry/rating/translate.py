"""From what services say to facts: their events, and what their lists show.

The instants are the things' own where they have some: a server counts from its `launched_at` to its `deleted_at`, as in the tenant usage of
compute; a volume from its creation, an image from the moment its bytes were whole.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pilvi.telemetry.rating.usage import CENSUS, Fact

GIB = 1 << 30
KINDS = {"compute.instance.": "server", "volume.": "volume", "snapshot.": "snapshot", "image.": "image", "floatingip.": "floating_ip"}
"""What events speak of, by the beginning of their type."""
UNFINISHED = (".start", ".error")


class Heard(Protocol):
    """An event, as far as it matters here; `core.events.Event` is one."""
    @property
    def service(self) -> str: ...
    @property
    def seq(self) -> int: ...
    @property
    def type(self) -> str: ...
    @property
    def at(self) -> float: ...
    @property
    def subject(self) -> str: ...
    @property
    def project_id(self) -> str | None: ...
    @property
    def payload(self) -> Mapping[str, Any]: ...


def fact_of(event: Heard) -> Fact | None:
    """What an event says about a thing; None if nothing that costs: it is not there yet, or only about to change."""
    kind = next((kind for start, kind in KINDS.items() if event.type.startswith(start)), None)
    if kind is None or event.type.endswith(UNFINISHED): return None
    described = SHAPES[kind](event.payload, event.type)
    if described is None: return None
    at, alive, quantities, attributes = described
    project = event.payload.get("owner" if kind == "image" else "project_id") or event.project_id
    if not project: return None
    return Fact(kind, event.subject, str(project), event.at if at is None else at, alive, quantities, attributes,
                str(event.payload.get("name") or event.payload.get("floating_ip_address") or ""), event.service, event.seq)


Shape = tuple[float | None, bool, dict[str, float], dict[str, str]]
"""(since when, if not since the event; does it exist; its quantities; its attributes)"""


def _server(told: Mapping[str, Any], type: str) -> Shape | None:
    launched, deleted = told.get("launched_at"), told.get("deleted_at")
    if launched is None: return None
    if deleted is not None: return float(deleted), False, {}, {}
    return (float(launched) if type == "compute.instance.create.end" else None), True, *server_of(told["flavor"], told["state"])


def server_of(flavor: Mapping[str, Any], state: str) -> tuple[dict[str, float], dict[str, str]]:
    """The quantities and attributes of a server of this flavor."""
    name = flavor.get("name") or flavor.get("original_name") or ""
    disk = float(flavor["disk"]) + float(flavor.get("ephemeral") or 0)
    return ({"instance": 1.0, "vcpu": float(flavor["vcpus"]), "ram_gib": float(flavor["ram"]) / 1024, "disk_gib": disk},
            {"flavor": str(name), "state": state})


def _volume(told: Mapping[str, Any], type: str) -> Shape | None:
    if told.get("state") == "deleted" or told.get("deleted_at"): return told.get("deleted_at"), False, {}, {}
    since = told.get("created_at") if type == "volume.create.end" else None
    return since, True, {"gib": float(told["size"])}, {"type": str(told.get("type_id") or "")}


def _snapshot(told: Mapping[str, Any], type: str) -> Shape | None:
    if told.get("state") == "deleted" or told.get("deleted_at"): return told.get("deleted_at"), False, {}, {}
    return (told.get("created_at") if type == "snapshot.create.end" else None), True, {"gib": float(told["size"])}, {}


def _image(told: Mapping[str, Any], type: str) -> Shape | None:
    if told.get("state") == "deleted" or type == "image.delete": return None, False, {}, {}
    if told.get("state") not in ("active", "deactivated") or told.get("size") is None: return None
    return None, True, {"gib": int(told["size"]) / GIB}, {}


def _floating_ip(told: Mapping[str, Any], type: str) -> Shape | None:
    if type == "floatingip.delete.end": return None, False, {}, {}
    return (told.get("created_at") if type == "floatingip.create.end" else None), True, {"address": 1.0}, {}


SHAPES: dict[str, Callable[[Mapping[str, Any], str], Shape | None]] = {
    "server": _server, "volume": _volume, "snapshot": _snapshot, "image": _image, "floating_ip": _floating_ip}


# -- the census


@dataclass(frozen=True)
class Seen:
    """A thing as a service's list shows it now. `since`: when it came to be; `changed`: when it last changed, if that is known;
    `until`: when it ended, of those that are listed afterwards too."""
    kind: str
    resource_id: str
    project_id: str
    since: float
    quantities: Mapping[str, float]
    attributes: Mapping[str, str]
    name: str = ""
    changed: float | None = None
    until: float | None = None


def corrections(kind: str, known: Iterable[Fact], seen: Iterable[Seen], began: float, settled: float, previous: float) -> list[Fact]:
    """The facts that are missing. `known`: the newest of each thing of the kind; `began`: when the census began; what was heard of after
    `settled` is left alone, since the events about it may still be under way. What went unheard has ended when it was seen last: at the
    census before (`previous`), or when it was last heard of."""
    latest = {fact.resource_id: fact for fact in known}
    listed = {one.resource_id: one for one in seen}
    number = round(began * 1_000_000)
    made = []
    for one in listed.values():
        last = latest.get(one.resource_id)
        if last is not None and last.at > settled: continue
        if last is None:
            if one.since > settled or (one.until is not None and one.until > settled): continue
            made.append(_census(one, one.since, number, one.until is None or one.until > one.since))
        elif one.until is None and last.exists and _same(last, one): continue
        elif one.until is None: made.append(_census(one, _moment(last, one, began), number, True))
        if one.until is not None and (last is None or last.exists): made.append(_census(one, one.until, number + 1, False))
    for last in latest.values():
        if last.exists and last.resource_id not in listed and last.at <= settled:
            end = max(previous, last.at + 1e-6)
            made.append(Fact(kind, last.resource_id, last.project_id, end, False, {}, {}, last.name, CENSUS, number))
    return made


def sampled(known: Iterable[Fact], seen: Iterable[Seen], now: float) -> list[Fact]:
    """The facts of what is only measured now and then (how much an account holds): where it differs from what is known, from now on."""
    latest = {fact.resource_id: fact for fact in known}
    listed = {one.resource_id: one for one in seen}
    number = round(now * 1_000_000)
    made = [_census(one, now, number, True) for one in listed.values()
            if (last := latest.get(one.resource_id)) is None or not _same(last, one)]
    for last in latest.values():
        if last.resource_id not in listed and any(last.quantities.values()):
            made.append(replace(last, at=now, quantities=dict.fromkeys(last.quantities, 0.0), origin=CENSUS, number=number))
    return made


def _census(one: Seen, at: float, number: int, exists: bool) -> Fact:
    if not exists: return Fact(one.kind, one.resource_id, one.project_id, at, False, {}, {}, one.name, CENSUS, number)
    return Fact(one.kind, one.resource_id, one.project_id, at, True, dict(one.quantities), dict(one.attributes), one.name, CENSUS, number)


def _same(fact: Fact, one: Seen) -> bool:
    return (fact.project_id, fact.quantities, fact.attributes) == (one.project_id, one.quantities, one.attributes)


def _moment(last: Fact, one: Seen, began: float) -> float:
    """When an unseen change came about: as the thing says, if that fits between what is known and now."""
    return one.changed if one.changed is not None and last.at < one.changed <= began else began
