"""The life of a snapshot. Words are Cinder's."""
from __future__ import annotations

from pilvi.core.state import Machine, Verb

STATES = {"creating", "available", "error", "deleting", "error_deleting", "deleted"}

SNAPSHOT = Machine("snapshot", states=STATES, final="deleted", verbs=[
    #    verb            may start in                           busy word   ends in      if it fails
    Verb("create",       {"creating"},                          "creating", "available", "error"),
    Verb("restore",      {"available"},                         "restoring", "available", "available"),
    Verb("delete",       {"available", "error"},                "deleting", "deleted",   "error_deleting"),
    Verb("force_delete", STATES - {"deleted"},                  "deleting", "deleted",   "error_deleting", {"*"}, event="delete"),
])
