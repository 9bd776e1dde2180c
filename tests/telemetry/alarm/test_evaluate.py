"""Rules and what they say: thresholds by the table, composites against a slow reading of the same words."""
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilvi.telemetry.alarm.evaluate import COMPARATORS, Outcome, composite, leaves, outcome, threshold, window
from pilvi.telemetry.alarm.states import ALARM, OK, STATES, UNKNOWN


def rule(periods: int = 3, limit: float = 10.0, comparison: str = "gt", **more: Any) -> dict[str, Any]:
    return {"evaluation_periods": periods, "threshold": limit, "comparison_operator": comparison, "granularity": 60, **more}


@pytest.mark.parametrize(("values", "state", "trend"), [
    ([11, 12, 13], ALARM, None), ([1, 2, 3], OK, None), ([1, 11, 12], None, ALARM), ([11, 12, 1], None, OK), ([11, 12], UNKNOWN, None),
    ([], UNKNOWN, None), ([1, 1, 11, 11, 11], ALARM, None), ("it is gone", UNKNOWN, None)])
def test_what_values_mean(values: Any, state: str | None, trend: str | None) -> None:
    found = outcome(rule(), values)
    assert (found.state, found.trend) == (state, trend)


@given(st.sampled_from(sorted(COMPARATORS)), st.lists(st.floats(-100, 100), max_size=6), st.integers(1, 4), st.floats(-100, 100),
       st.sampled_from(STATES), st.booleans())
def test_verdicts_never_contradict_the_values(comparison: str, values: list[float], periods: int, limit: float, state: str,
                                              repeats: bool) -> None:
    asked = rule(periods, limit, comparison)
    seen = values[-periods:]
    outside = [COMPARATORS[comparison](value, limit) for value in seen]
    verdict = threshold(asked, outcome(asked, values), state, repeats)
    if len(values) < periods:
        assert (verdict.state if verdict else state) == UNKNOWN
    elif all(outside): assert (verdict.state if verdict else state) == ALARM
    elif not any(outside): assert (verdict.state if verdict else state) == OK
    elif state == UNKNOWN: assert verdict and verdict.state == (ALARM if outside[-1] else OK)
    else: assert (verdict.state if verdict else state) == state
    if verdict and verdict.state == state: assert repeats
    if verdict is None and repeats: assert state == UNKNOWN and len(values) < periods


def test_reasons_are_told_as_upstream_does() -> None:
    found = outcome(rule(), [11, 12, 13])
    verdict = threshold(rule(), found, OK, False)
    assert verdict and verdict.reason == "Transition to alarm due to 3 samples outside threshold, most recent: 13"
    assert verdict.data == {"type": "threshold", "disposition": "outside", "count": 3, "most_recent": 13}
    again = threshold(rule(), found, ALARM, True)
    assert again and again.reason.startswith("Remaining as alarm due to 3 samples outside")
    lost = threshold(rule(), outcome(rule(), [1.0]), OK, False)
    assert lost and (lost.reason, lost.data["disposition"], lost.data["most_recent"]) == ("3 datapoints are unknown", "unknown", 1.0)


def test_the_window_is_one_period_longer() -> None:
    assert window(rule(3), 1000.0) == (760.0, 1000.0)


# -- composite rules

TREES = st.recursive(st.just({"type": "x"}), lambda inner: st.one_of(
    st.fixed_dictionaries({"and": st.lists(inner, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"or": st.lists(inner, min_size=1, max_size=3)})), max_leaves=6)
OUTCOMES = {"alarm": Outcome(ALARM), "ok": Outcome(OK), "unknown": Outcome(UNKNOWN), "rising": Outcome(None, ALARM),
            "falling": Outcome(None, OK)}


def read(tree: dict[str, Any], words: list[Any]) -> Any:
    """True, False or None (can't be said), by Kleene's logic."""
    if "and" in tree or "or" in tree:
        parts = [read(part, words) for part in tree.get("and", tree.get("or"))]
        if "and" in tree: return False if False in parts else None if None in parts else True
        return True if True in parts else None if None in parts else False
    return words.pop(0)


@given(TREES, st.data(), st.sampled_from(STATES))
def test_composites_follow_three_valued_logic(tree: dict[str, Any], data: st.DataObject, state: str) -> None:
    words = data.draw(st.lists(st.sampled_from(["alarm", "ok", "unknown"]), min_size=len(list(leaves(tree))),
                               max_size=len(list(leaves(tree)))))
    verdict = composite(tree, [OUTCOMES[word] for word in words], state)
    meaning = read(tree, [{"alarm": True, "ok": False, "unknown": None}[word] for word in words])
    assert (verdict.state if verdict else UNKNOWN) == {True: ALARM, False: OK, None: UNKNOWN}[meaning]


@pytest.mark.parametrize(("words", "state", "expected"), [
    (("rising", "alarm"), OK, OK), (("falling", "alarm"), ALARM, ALARM), (("rising", "alarm"), UNKNOWN, ALARM),
    (("falling", "alarm"), UNKNOWN, OK), (("rising", "unknown"), OK, OK), (("falling", "unknown"), ALARM, UNKNOWN)])
def test_trends_count_when_nothing_else_does(words: tuple[str, str], state: str, expected: str) -> None:
    verdict = composite({"and": [{"type": "a"}, {"type": "b"}]}, [OUTCOMES[word] for word in words], state)
    assert (verdict.state if verdict else state) == expected


def test_composite_reasons_name_the_rules() -> None:
    tree = {"or": [{"type": "a"}, {"and": [{"type": "b"}, {"type": "c"}]}]}
    verdict = composite(tree, [OUTCOMES["ok"], OUTCOMES["alarm"], OUTCOMES["alarm"]], OK)
    assert verdict and verdict.data["composition_form"] == "(rule1 or (rule2 and rule3))"
    assert sorted(verdict.data["causative_rules"]) == ["rule2", "rule3"]
    assert verdict.reason.endswith("transition to alarm, due to rules: rule2, rule3 outside their threshold.")
