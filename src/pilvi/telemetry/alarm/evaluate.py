"""What an alarm's rule says, given the statistics it asks for; pure.

A threshold rule looks at the last `evaluation_periods` values. All outside: alarm; none: ok; some: neither, only a trend, which counts
for an alarm that is unknown. Too few: unknown. A composite rule joins such outcomes by "and" and "or".

Source: Alarming API v2 (Aodh), administrator guide "Alarms"; the evaluators of openstack/aodh for reasons and their data.
"""
from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pilvi.telemetry.alarm.states import ALARM, OK, UNKNOWN

COMPARATORS: dict[str, Callable[[Any, Any], bool]] = {"lt": operator.lt, "le": operator.le, "eq": operator.eq, "ne": operator.ne,
                                                      "ge": operator.ge, "gt": operator.gt}
LOOK_BACK = 1
"""Periods that the window is longer than the rule says: the current one is not over."""
DESCRIBED = {ALARM: "outside their threshold.", OK: "inside their threshold.", UNKNOWN: "state evaluated to unknown."}


@dataclass(frozen=True)
class Outcome:
    """What a threshold rule says. `state` None: only `trend` can be said."""
    state: str | None
    trend: str | None = None
    values: list[float] = field(default_factory=list)
    outside: int = 0
    lack: str = ""
    """Why it is unknown."""


@dataclass(frozen=True)
class Verdict:
    """A state that an alarm is found in, and why."""
    state: str
    reason: str
    data: dict[str, Any]


def window(rule: dict[str, Any], now: float) -> tuple[float, float]:
    """From when to when a threshold rule wants statistics."""
    return now - rule["granularity"] * (rule["evaluation_periods"] + LOOK_BACK), now


def outcome(rule: dict[str, Any], values: Sequence[float] | str) -> Outcome:
    """What a threshold rule says about the values in its window, oldest first; or about a sentence that tells why there are none."""
    if isinstance(values, str): return Outcome(UNKNOWN, lack=values)
    if not values: return Outcome(UNKNOWN, lack=f"No datapoint for granularity {rule['granularity']}")
    periods = rule["evaluation_periods"]
    seen = list(values)[-periods:]
    if len(seen) < periods: return Outcome(UNKNOWN, values=seen, lack=f"{periods} datapoints are unknown")
    compared = [COMPARATORS[rule["comparison_operator"]](value, rule["threshold"]) for value in seen]
    outside = sum(compared)
    if outside in (0, len(seen)): return Outcome(ALARM if outside else OK, None, seen, outside)
    return Outcome(None, ALARM if compared[-1] else OK, seen, outside)


def threshold(rule: dict[str, Any], found: Outcome, state: str, repeats: bool) -> Verdict | None:
    """The verdict on an alarm in `state` with a threshold rule; None: nothing is to be said. `repeats`: actions are told again."""
    unknown = state == UNKNOWN
    if found.trend is not None:
        if not (unknown or repeats): return None
        return _threshold(found, found.trend if unknown else state, state)
    if found.state == UNKNOWN:
        if unknown: return None
        return Verdict(UNKNOWN, found.lack, _data("unknown", rule["evaluation_periods"], found.values))
    assert found.state is not None
    return _threshold(found, found.state, state) if found.state != state or repeats else None


def _threshold(found: Outcome, state: str, before: str) -> Verdict:
    inside = state == OK
    data = _data("inside" if inside else "outside", len(found.values) - found.outside if inside else found.outside, found.values)
    change = f"Transition to {state}" if before != state else f"Remaining as {state}"
    why = f"{data['count']} samples {data['disposition']} threshold, most recent: {data['most_recent']}"
    return Verdict(state, f"{change} due to {why}", data)


def _data(disposition: str, count: int, values: list[float]) -> dict[str, Any]:
    return {"type": "threshold", "disposition": disposition, "count": count, "most_recent": values[-1] if values else None}


# -- composite rules


def leaves(rule: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The threshold rules of a composite rule, in the order in which they are named rule1, rule2 …"""
    for word in ("and", "or"):
        if word in rule:
            for part in rule[word]: yield from leaves(part)
            return
    yield rule


def composite(rule: dict[str, Any], found: Sequence[Outcome], state: str) -> Verdict | None:
    """The verdict on an alarm in `state` with a composite rule; `found`: the outcomes of its leaves."""
    for settle in (False, True):
        states = [one.state if one.state is not None else _settled(one, state) if settle else None for one in found]
        for wanted in (ALARM, OK):
            if _holds(rule, iter(states), wanted): return _composite(rule, states, wanted, state)
    return None if state == UNKNOWN else _composite(rule, [one.state for one in found], UNKNOWN, state)


def _settled(one: Outcome, state: str) -> str:
    """A trend counts for an alarm that is unknown; else a change that has only begun has not come about yet."""
    if state == UNKNOWN: return one.trend or UNKNOWN
    return OK if one.trend == ALARM else ALARM


def _holds(rule: dict[str, Any], states: Iterator[str | None], wanted: str) -> bool:
    """Is the whole rule in the wanted state? It is OK by the dual of what makes it an alarm."""
    for word in ("and", "or"):
        if word in rule:
            parts = [_holds(part, states, wanted) for part in rule[word]]
            return all(parts) if (word == "and") == (wanted == ALARM) else any(parts)
    return next(states) == wanted


def _composite(rule: dict[str, Any], states: Sequence[str | None], state: str, before: str) -> Verdict:
    form = _form(rule, iter(range(1, len(states) + 1)))
    causes = {f"rule{index + 1}": leaf for index, leaf in enumerate(leaves(rule)) if states[index] == state}
    change = "transition to" if before != state else "remaining as"
    reason = (f"Composite rule alarm with composition form: {form} {change} {state}, due to rules: {', '.join(sorted(causes))} "
              f"{DESCRIBED[state]}")
    return Verdict(state, reason, {"type": "composite", "composition_form": form, "causative_rules": causes})


def _form(rule: dict[str, Any], numbers: Iterator[int]) -> str:
    for word in ("and", "or"):
        if word in rule: return "(" + f" {word} ".join(_form(part, numbers) for part in rule[word]) + ")"
    return f"rule{next(numbers)}"
