"""The life of a server: what it can be, what can be done to it, and what the API calls each state.

Source: Nova's vm states and task states; Compute API guide, "Server concepts".
"""
from __future__ import annotations

from pilvi.core.state import Machine, Verb

BUILDING, ACTIVE, STOPPED, PAUSED, RESIZED, ERROR, DELETED = "building", "active", "stopped", "paused", "resized", "error", "deleted"
SUSPENDED = "suspended"
ALIVE = (BUILDING, ACTIVE, STOPPED, PAUSED, RESIZED, SUSPENDED, ERROR)

SERVER = Machine("instance", {*ALIVE, DELETED}, final=DELETED, event="compute.instance", verbs=[
    #     verb           may start in                      busy word               ends in   if it fails   may interrupt
    Verb("boot",        {BUILDING},                       "spawning",             ACTIVE,   ERROR, event="create"),
    Verb("stop",        {ACTIVE, ERROR},                  "powering-off",         STOPPED, event="power_off"),
    Verb("start",       {STOPPED},                        "powering-on",          ACTIVE, event="power_on"),
    Verb("reboot",      {ACTIVE},                         "rebooting",            ACTIVE),
    Verb("hard_reboot", {ACTIVE, STOPPED, PAUSED, ERROR, SUSPENDED}, "rebooting_hard", ACTIVE, None,      {"rebooting"}, event="reboot"),
    Verb("pause",       {ACTIVE},                         "pausing",              PAUSED),
    Verb("unpause",     {PAUSED},                         "unpausing",            ACTIVE),
    Verb("suspend",     {ACTIVE},                         "suspending",           SUSPENDED),
    Verb("resume",      {SUSPENDED},                      "resuming",             ACTIVE),
    Verb("createImage", {ACTIVE, STOPPED, PAUSED, SUSPENDED}, "image_snapshot",   None, event="snapshot"),
    Verb("rebuild",     {ACTIVE, ERROR},                  "rebuilding",           ACTIVE,   ERROR),
    Verb("rebuild_stopped", {STOPPED},      "rebuild_block_device_mapping",       STOPPED,  ERROR, event="rebuild"),
    Verb("resize",      {ACTIVE, STOPPED},                "resize_prep",          RESIZED),
    # Both end in the state that the server was resized in.
    Verb("confirm_resize", {RESIZED},                     "resize_confirming",    None, event="resize.confirm"),
    Verb("revert_resize", {RESIZED},                      "resize_reverting",     None, event="resize.revert"),
    Verb("delete",      set(ALIVE),                       "deleting",             DELETED,  ERROR,        {"*"}),
])

STATUS = {BUILDING: "BUILD", ACTIVE: "ACTIVE", STOPPED: "SHUTOFF", PAUSED: "PAUSED", RESIZED: "VERIFY_RESIZE", ERROR: "ERROR",
          DELETED: "DELETED", SUSPENDED: "SUSPENDED"}
POWER = {BUILDING: 0, ACTIVE: 1, STOPPED: 4, PAUSED: 3, RESIZED: 1, ERROR: 0, DELETED: 0, SUSPENDED: 4}
BUSY = {"rebooting_hard": "HARD_REBOOT", "resize_prep": "RESIZE", "resize_reverting": "REVERT_RESIZE",
        "rebuilding": "REBUILD", "rebuild_block_device_mapping": "REBUILD"}
"""What is being done, where users see that instead of the state."""


def status(state: str, busy: str | None) -> str:
    """The one word that users see."""
    if state == ACTIVE and busy == "rebooting": return "REBOOT"
    return BUSY.get(busy or "") or STATUS[state]


def states_of(word: str) -> list[tuple[str, str | None]]:
    """The (state, busy) pairs behind a ?status= filter; busy None: any."""
    return [(state, None) for state, shown in STATUS.items() if shown == word.upper()] + [
        (state, busy) for busy, shown in {**BUSY, "rebooting": "REBOOT"}.items() if shown == word.upper() for state in ALIVE]
