"""The plan of repairs: carried out, it leads to a state in which nothing is to be repaired, and it never touches what others work on."""
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilvi.compute.agent.reconcile import Repair, Wanted, plan

STATES = ("building", "active", "stopped", "paused", "suspended", "error", "deleted")
POWERS = ("running", "paused", "stopped", "crashed")
SERVERS = st.sampled_from([f"s{number}" for number in range(6)])
WANTED = st.dictionaries(SERVERS, st.builds(Wanted, st.sampled_from(STATES), st.booleans()))
ACTUAL = st.dictionaries(SERVERS, st.sampled_from(POWERS))


def carried_out(wanted: dict[str, Wanted], actual: dict[str, str], repairs: list[Repair]) -> tuple[dict[str, Wanted], dict[str, str]]:
    """The world after the repairs, as the agent and the conductor do them."""
    wanted, actual = dict(wanted), dict(actual)
    records = {"stopped": "stopped", "crashed": "stopped", "paused": "paused", "running": "active"}
    for repair in repairs:
        id, (act, _, power) = repair.server_id, repair.act.partition(":")
        if act == "start": actual[id] = "running"
        elif act == "stop": actual[id] = "stopped"
        elif act == "destroy": del actual[id]
        elif act == "lost": wanted[id] = Wanted("error")
        elif act == "observed": wanted[id] = Wanted(records[power])
    return wanted, actual


@given(WANTED, ACTUAL, st.booleans())
def test_what_is_repaired_is_in_order(wanted: dict[str, Wanted], actual: dict[str, str], after_shutdown: bool) -> None:
    repairs = plan(wanted, actual, after_shutdown=after_shutdown)
    after = carried_out(wanted, actual, repairs)
    if after_shutdown: after = carried_out(*after, plan(*after, after_shutdown=False))  # a paused guest starts running first
    assert [r for r in plan(*after, after_shutdown=False) if r.act != "stranger"] == []


@given(WANTED, ACTUAL, st.booleans())
def test_hands_off(wanted: dict[str, Wanted], actual: dict[str, str], after_shutdown: bool) -> None:
    repairs = plan(wanted, actual, after_shutdown=after_shutdown)
    touched = {repair.server_id for repair in repairs if repair.act != "stranger"}
    assert not touched & {id for id, record in wanted.items() if record.busy or record.state in ("building", "error")}
    assert not touched - set(wanted) and len(repairs) == len({repair.server_id for repair in repairs})
    assert {repair.server_id for repair in repairs if repair.act == "stranger"} == set(actual) - set(wanted)


@given(WANTED, ACTUAL, st.booleans())
def test_only_a_deleted_servers_machine_is_destroyed(wanted: dict[str, Wanted], actual: dict[str, str], after_shutdown: bool) -> None:
    for repair in plan(wanted, actual, after_shutdown=after_shutdown):
        if repair.act == "destroy": assert wanted[repair.server_id].state == "deleted"
