"""The life of a volume and what its attachments make of it.

What the API calls `status` is the busy word while something is being done, else the state. Words are Cinder's.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy.orm import Session

from pilvi.core.state import Machine, Verb

IDLE = {"available", "reserved", "attaching", "detaching", "in-use"}
ERRORS = {"error", "error_extending", "error_deleting", "error_restoring", "error_backing-up"}
OTHERS = {"creating", "deleting", "maintenance", "deleted"}

VOLUME = Machine("volume", states=IDLE | ERRORS | OTHERS, final="deleted", verbs=[
    #    verb             may start in                        busy word      ends in      if it fails
    Verb("create",        {"creating"},                       "creating",    "available", "error"),
    Verb("extend",        {"available"},                      "extending",   "available", "error_extending"),
    Verb("delete",        {"available", *ERRORS - {"error_deleting", "error_backing-up"}}, "deleting", "deleted", "error_deleting"),
    Verb("force_delete",  {*IDLE, *ERRORS, *OTHERS} - {"deleted"}, "deleting", "deleted", "error_deleting", {"*"}, event="delete"),
    Verb("revert",        {"available"},                      "reverting",   "available", "error"),
    Verb("upload",        {"available"},                      "uploading",   "available", "available"),
    Verb("reserve",       {"available"},                      "reserving",   "reserved"),
    Verb("legacy_reserve", {"available"},                     "reserving",   "attaching"),
    Verb("begin_detach",  {"in-use"},                         "detaching",   "detaching"),
    Verb("roll_detach",   {"detaching"},                      "detaching",   "in-use"),
])
RANK = ["attached", "attaching", "reserved"]
STATE_OF = {"attached": "in-use", "attaching": "attaching", "reserved": "reserved"}


def follow(statuses: Iterable[str]) -> str:
    """The volume's state that follows from the statuses of its attachments."""
    held = set(statuses)
    return next((STATE_OF[status] for status in RANK if status in held), "available")


def settle(db: Session, table: Any, volume_id: str, statuses: Iterable[str]) -> None:
    """Brings an idle volume into the state that follows from its attachments. In the caller's transaction, repeatable."""
    VOLUME.adopt(db, table, volume_id, IDLE, follow(statuses))


def at_once(db: Session, table: Any, volume_id: str, verb: str) -> None:
    """A verb that takes no time. Raises WrongState. In the caller's transaction."""
    VOLUME.begin(db, table, volume_id, verb)
    VOLUME.finish(db, table, volume_id, verb)
