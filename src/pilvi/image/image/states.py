"""The life of an image.

`state` is what it is, `busy` what is being done to it. Glance shows one word for both: `saving` while bytes arrive, `uploading` while and
after they are staged for an import.
"""
from __future__ import annotations

from pilvi.core.state import Machine, Verb

QUEUED, UPLOADING, ACTIVE, DEACTIVATED, DELETED = "queued", "uploading", "active", "deactivated", "deleted"
SHOWN = {"staging": UPLOADING, "deleting": DELETED}
"""Busy words that are not Glance's."""

IMAGE = Machine("image", states={QUEUED, UPLOADING, ACTIVE, DEACTIVATED, DELETED}, final=DELETED,
                phases={"start": ".start", "end": "", "error": ".error"}, verbs=[
    #     verb          may start in                          busy word       ends in      if it fails  may interrupt
    Verb("upload",     {QUEUED},                              "saving",       ACTIVE),
    Verb("stage",      {QUEUED},                              "staging",      UPLOADING),
    Verb("import",     {UPLOADING},                           "importing",    ACTIVE,      QUEUED),
    Verb("deactivate", {ACTIVE},                              "deactivating", DEACTIVATED),
    Verb("reactivate", {DEACTIVATED},                         "reactivating", ACTIVE),
    Verb("delete",     {QUEUED, UPLOADING, ACTIVE, DEACTIVATED}, "deleting",  DELETED,     None,        {"*"}),
])


def status(state: str, busy: str | None) -> str:
    """The word that Glance has for it."""
    return SHOWN.get(busy, busy) if busy in ("saving", "staging", "importing") else state
