from __future__ import annotations

import pytest

from pilvi.volume.snapshot.states import SNAPSHOT
from pilvi.volume.volume.states import ERRORS, IDLE, VOLUME, follow


@pytest.mark.parametrize("statuses, state", [
    ([], "available"), (["reserved"], "reserved"), (["attaching", "reserved"], "attaching"),
    (["reserved", "attached", "attaching"], "in-use")])
def test_a_volume_is_what_its_attachments_make_of_it(statuses: list[str], state: str) -> None:
    assert follow(statuses) == state and state in IDLE


def test_what_is_held_is_never_removed_but_by_force() -> None:
    assert not set(VOLUME.verbs["delete"].start) & (IDLE - {"available"})
    assert set(VOLUME.verbs["force_delete"].start) >= IDLE | ERRORS and VOLUME.verbs["force_delete"].interrupts == {"*"}


@pytest.mark.parametrize("machine", [VOLUME, SNAPSHOT])
def test_every_busy_word_ends_somewhere_and_deleted_is_final(machine: object) -> None:
    assert machine.final == "deleted"  # type: ignore[attr-defined]
    for verb in machine.verbs.values():  # type: ignore[attr-defined]
        assert verb.end and "deleted" not in verb.start, verb.name
        if verb.name in ("create", "extend", "delete", "force_delete", "revert", "upload", "restore"): assert verb.fail, verb.name
