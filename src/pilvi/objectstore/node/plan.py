"""How a large container is divided: ranges of names, each listed by a container of its own (a shard). Pure.

Copies of a container, and leaders who act at the same time, may know different plans. Merging decides without asking anybody: of two
plans that began apart the one in use wins, then the older; within one plan an entry only grows or ends. Rows that lie in the shards
of a plan that lost are given back (loops/shard.py), so no choice made here can lose a row.
Source: Object Storage's "Container Sharding" describes the same idea; names and steps are our own.
"""
from __future__ import annotations

from bisect import bisect_left
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

HIDDEN = ".shards_"


def shard_account(account: str) -> str:
    """The hidden account in which the shards of an account's containers lie; also those of shards."""
    return account if account.startswith(HIDDEN) else HIDDEN + account


class Shard(NamedTuple):
    """A container that lists the names with `lower` < name <= `upper` ("": no bound). `gone`: when others took its place. `objects` and
    `size` are what it said at `counted`."""
    name: str
    lower: str = ""
    upper: str = ""
    since: int = 0
    gone: int = 0
    objects: int = 0
    size: int = 0
    counted: int = 0

    def holds(self, name: str) -> bool:
        return name > self.lower and (not self.upper or name <= self.upper)


def least(one: str, other: str) -> str:
    """The nearer of two upper bounds."""
    return min(one, other) if one and other else one or other


def combined(one: Shard, other: Shard) -> Shard:
    """What two copies know of a shard."""
    told = one if one.counted >= other.counted else other
    return Shard(one.name, min(one.lower, other.lower), max(one.upper, other.upper) if one.upper and other.upper else "",
                 min(one.since, other.since), max(one.gone, other.gone), told.objects, told.size, told.counted)


class Plan(Struct, frozen=True, dict=True):
    """`base`: when its first entries were decided, which is its name; 0: there is none. `active`: since when the shards list the objects;
    0: they are being filled, and the container itself lists them."""
    base: int = 0
    active: int = 0
    shards: dict[str, Shard] = {}

    @cached_property
    def live(self) -> list[Shard]:
        """Those in use, in the order of names."""
        return sorted((shard for shard in self.shards.values() if not shard.gone), key=lambda shard: shard.lower)

    @cached_property
    def _lowers(self) -> list[str]:
        return [shard.lower for shard in self.live]

    def owner(self, name: str) -> str:
        """The shard that lists a name."""
        place = bisect_left(self._lowers, name)
        return self.live[max(0, place - 1)].name

    @property
    def totals(self) -> tuple[int, int]:
        """(objects, bytes)"""
        return sum(shard.objects for shard in self.live), sum(shard.size for shard in self.live)

    def with_shards(self, *changed: Shard) -> Plan:
        """With these entries merged in."""
        shards = dict(self.shards)
        for shard in changed: shards[shard.name] = combined(shards[shard.name], shard) if shard.name in shards else shard
        return Plan(self.base, self.active, shards)


NONE = Plan()


def draft(names: list[str], prefix: str, at: int) -> Plan:
    """A plan whose shards end with these names, and one more that has no end. `prefix`: of the shards' names."""
    shards = {}
    for number, (lower, upper) in enumerate(zip(["", *names], [*names, ""], strict=True)):
        shard = Shard(f"{prefix}-{at}-{number}", lower, upper, at)
        shards[shard.name] = shard
    return Plan(at, 0, shards)


def merged(mine: Plan, theirs: Plan) -> Plan:
    """Both."""
    if not mine.base or not theirs.base: return mine if mine.base else theirs
    if mine.base != theirs.base: return min(mine, theirs, key=lambda plan: (not plan.active, plan.base))
    active = min(mine.active, theirs.active) if mine.active and theirs.active else mine.active or theirs.active
    both = mine.with_shards(*theirs.shards.values())
    return Plan(both.base, active, both.shards)


def replaced(plan: Plan, old: str, new: list[Shard], at: int) -> Plan:
    """With others in the place of one; they get no more than its range."""
    was = plan.shards[old]
    inside = [shard._replace(lower=max(shard.lower, was.lower), upper=least(shard.upper, was.upper), gone=0) for shard in new]
    return plan.with_shards(was._replace(gone=was.gone or at), *inside)


def of_details(details: dict[str, Any], deleted: int) -> Plan:
    """The plan among a container's details; one from before its last deletion is none."""
    found = details.get("plan")
    if not found: return NONE
    plan = msgspec.convert(found, Plan)
    return plan if plan.base > deleted else NONE


def to_details(plan: Plan) -> dict[str, Any]:
    """The reverse."""
    kept: dict[str, Any] = msgspec.to_builtins(plan)
    return kept
