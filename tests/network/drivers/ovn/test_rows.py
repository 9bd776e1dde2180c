"""The comparison of rows: whatever differs is made equal, and nothing is done twice."""
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilvi.network.drivers.ovn.rows import NONE, REFERENCES, Action, Delete, Insert, Link, Row, Rows, Update, describe, plan

KEYS = st.sampled_from("abcd")
TABLES = ("Logical_Switch", "Logical_Switch_Port", "DHCP_Options", "Port_Group", "ACL")


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    found: Rows = {}
    for table in TABLES:
        for key in draw(st.sets(KEYS)):
            values = draw(st.fixed_dictionaries({"name": st.sampled_from("xyz"), "options": st.dictionaries(KEYS, KEYS, max_size=2)}))
            references = {column: draw(st.frozensets(KEYS, min_size=1)) for column in REFERENCES.get(table, ()) if draw(st.booleans())}
            found[table, key] = Row(values, references)
    return found


def execute(actual: Rows, actions: list[Action]) -> Rows:
    """What a database does with the actions."""
    done = dict(actual)
    for action in actions:
        name = action.table, action.key
        match action:
            case Insert():
                assert name not in done
                done[name] = Row(action.values)
            case Update(): done[name] = Row(done[name].values | action.values, done[name].references)
            case Link():
                before = done[name].references.get(action.column, NONE)
                assert not action.add & before and action.remove <= before
                after = before - action.remove | action.add
                others = {column: keys for column, keys in done[name].references.items() if column != action.column}
                done[name] = Row(done[name].values, others | ({action.column: after} if after else {}))
            case Delete(): del done[name]
    return done


@given(rows(), rows())
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(desired: Rows, actual: Rows) -> None:
    result = execute(actual, plan(desired, actual))
    assert result == desired
    assert plan(desired, result) == []


@given(rows())
def test_nothing_is_planned_for_what_is_equal(desired: Rows) -> None:
    assert plan(desired, desired) == []
    assert {type(action) for action in plan(desired, {})} <= {Insert, Link}
    assert len(plan({}, desired)) == len(desired)


def test_only_the_columns_that_differ_are_written() -> None:
    desired = {("ACL", "r"): Row({"match": "ip4", "action": "drop"})}
    actions = plan(desired, {("ACL", "r"): Row({"match": "ip6", "action": "drop"})})
    assert actions == [Update("ACL", "r", {"match": "ip4"})]
    assert describe(actions[0]) == "change match of ACL r"
