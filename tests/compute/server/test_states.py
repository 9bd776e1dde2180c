"""The table of a server's life: nothing waits in it for ever, and from everywhere there is a way out."""
from __future__ import annotations

import pytest

from pilvi.compute.server.flows import FLOWS
from pilvi.compute.server.states import ALIVE, BUILDING, DELETED, ERROR, POWER, SERVER, STATUS, states_of, status


def test_each_verb_has_a_flow_of_its_name() -> None:
    assert set(SERVER.verbs) <= set(FLOWS)


def test_a_delete_is_possible_from_everywhere_and_overtakes_everything() -> None:
    delete = SERVER.verbs["delete"]
    assert set(delete.start) == set(ALIVE) and "*" in delete.interrupts and delete.end == DELETED


def test_every_state_can_be_left_and_reached() -> None:
    for state in ALIVE: assert any(state in verb.start for verb in SERVER.verbs.values()), state
    reached = {BUILDING} | {end for verb in SERVER.verbs.values() for end in (verb.end, verb.fail) if end}
    assert reached == SERVER.states


@pytest.mark.parametrize("verb", ["boot", "delete"])
def test_what_makes_or_ends_a_server_fails_into_error(verb: str) -> None:
    assert SERVER.verbs[verb].fail == ERROR


def test_each_state_has_a_word_for_users() -> None:
    assert set(STATUS) == set(POWER) == SERVER.states
    for state in SERVER.states:
        assert status(state, None) == STATUS[state] and (state, None) in states_of(STATUS[state])
    assert status("active", "rebooting") == "REBOOT" and status("stopped", "rebooting_hard") == "HARD_REBOOT"


def test_each_busy_word_belongs_to_verbs_that_end_alike() -> None:
    """A flow ends only what is still its own, and it knows that by the busy word."""
    words = [verb.busy for verb in SERVER.verbs.values()]
    assert len(words) == len(set(words))
