"""How long a thing was what: from facts about it, in whatever order and however often they came, to intervals without gaps or overlaps.

A fact says that from an instant on a thing exists with these quantities and attributes, or that it is gone. An event tells a fact exactly;
a census (a look at the service's list) tells one when the events before it were lost, so what an event says stands above it.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

CENSUS = "census"


@dataclass(frozen=True)
class Fact:
    """From `at` on. `origin` and `number` name it: the same pair is the same fact; within an origin a higher number was said later."""
    kind: str
    resource_id: str
    project_id: str
    at: float
    exists: bool = True
    quantities: Mapping[str, float] = field(default_factory=dict)
    """{unit: how much}, for example {"vcpu": 2, "ram_gib": 4}"""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """What prices may depend on: {"flavor": "m1.small", "state": "active"}"""
    name: str = ""
    origin: str = CENSUS
    number: int = 0


@dataclass(frozen=True)
class Interval:
    """One thing between two instants (seconds since 1970), during which nothing about it changed."""
    kind: str
    resource_id: str
    project_id: str
    begin: float
    end: float
    quantities: Mapping[str, float]
    attributes: Mapping[str, str]
    name: str = ""
    open: bool = False
    """It lasts on beyond the period that was asked for."""


def intervals(facts: Iterable[Fact], begin: float, end: float) -> list[Interval]:
    """What one thing was from `begin` to `end`; the facts are those about it."""
    told = _effective(facts)
    made: list[Interval] = []
    for fact, after in zip(told, [*told[1:], None], strict=True):
        if not fact.exists: continue
        until = after.at if after else end
        first, last = max(fact.at, begin), min(until, end)
        if last <= first: continue
        made.append(Interval(fact.kind, fact.resource_id, fact.project_id, first, last, fact.quantities, fact.attributes, fact.name,
                             open=after is None or after.at > end))
    return _merged(made)


def intervals_of_many(facts: Iterable[Fact], begin: float, end: float) -> list[Interval]:
    """The intervals of many things, thing by thing in the order of kind and id."""
    apart: dict[tuple[str, str], list[Fact]] = {}
    for fact in facts: apart.setdefault((fact.kind, fact.resource_id), []).append(fact)
    return [interval for key in sorted(apart) for interval in intervals(apart[key], begin, end)]


def newest(facts: Iterable[Fact]) -> list[Fact]:
    """What is known last of each of many things."""
    apart: dict[tuple[str, str], list[Fact]] = {}
    for fact in facts: apart.setdefault((fact.kind, fact.resource_id), []).append(fact)
    return [_effective(some)[-1] for some in apart.values()]


def _effective(facts: Iterable[Fact]) -> list[Fact]:
    """The facts that count, in order of time; at the same instant what an event says, or what was said later, comes last."""
    told = sorted({(fact.origin, fact.number): fact for fact in facts}.values(),
                  key=lambda fact: (fact.at, fact.origin != CENSUS, fact.origin, fact.number))
    ended = [fact.at for fact in told if not fact.exists and fact.origin != CENSUS]
    if ended:  # ids are never used again
        gone = next(fact for fact in told if not fact.exists and fact.origin != CENSUS)
        return [fact for fact in told if fact.at < gone.at and fact.exists] + [gone]
    # That a thing was not in a list means only something when nothing speaks of it afterwards.
    kept = [fact for index, fact in enumerate(told) if fact.exists or index == len(told) - 1]
    return kept


def _merged(made: list[Interval]) -> list[Interval]:
    """Neighbours that differ in the name only are one."""
    merged: list[Interval] = []
    for one in made:
        last = merged[-1] if merged else None
        if last and last.end == one.begin and (last.project_id, last.quantities, last.attributes) == (one.project_id, one.quantities,
                                                                                                     one.attributes):
            merged[-1] = replace(last, end=one.end, name=one.name or last.name, open=one.open)
        else: merged.append(one)
    return merged
