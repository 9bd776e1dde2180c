"""The life of an image, as Glance words it."""
from __future__ import annotations

import pytest

from pilvi.image.image.states import DELETED, IMAGE, status


@pytest.mark.parametrize(("state", "busy", "shown"), [
    ("queued", None, "queued"), ("queued", "saving", "saving"), ("queued", "staging", "uploading"), ("uploading", "importing", "importing"),
    ("active", "deactivating", "active"), ("active", "deleting", "active")])
def test_the_word_that_is_shown(state: str, busy: str | None, shown: str) -> None:
    assert status(state, busy) == shown


def test_nothing_begins_in_a_deleted_image_and_only_a_delete_overtakes() -> None:
    assert all(DELETED not in verb.start for verb in IMAGE.verbs.values())
    assert [verb.name for verb in IMAGE.verbs.values() if verb.interrupts] == ["delete"]
