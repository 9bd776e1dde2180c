"""The lives of a stack and of a resource. The busy word is the action; the end is ACTION_COMPLETE or ACTION_FAILED.

A stack may be updated, rolled back or deleted while something else goes on; what was begun is not lost, see converge.py.
"""
from __future__ import annotations

from pilvi.core.state import Machine, Verb

STACK_ACTIONS = ("CREATE", "UPDATE", "ROLLBACK", "DELETE", "SUSPEND", "RESUME", "CHECK", "SNAPSHOT", "RESTORE", "ADOPT")
RESOURCE_ACTIONS = ("INIT", "CREATE", "UPDATE", "DELETE", "SUSPEND", "RESUME", "CHECK", "SNAPSHOT", "ADOPT")


def _states(actions: tuple[str, ...]) -> set[str]:
    return {f"{action}_{status}" for action in ("INIT", *actions) for status in ("COMPLETE", "FAILED")}


ALL = _states(STACK_ACTIONS)
ALIVE = ALL - {"DELETE_COMPLETE"}
SETTLED = ALIVE - {"INIT_COMPLETE", "INIT_FAILED", "DELETE_FAILED"}
MOVING = ("CREATE", "UPDATE", "ROLLBACK", "RESTORE", "ADOPT")
"""What an update may overtake."""


def _verb(action: str, start: set[str], interrupts: tuple[str, ...] = ()) -> Verb:
    return Verb(action, start, action, f"{action}_COMPLETE", f"{action}_FAILED", interrupts, event=action.lower())


def _quiet(action: str, start: set[str], interrupts: tuple[str, ...] = ()) -> Verb:
    """A resource's: the services below tell of the real things, nobody needs to hear it twice."""
    return Verb(action, start, action, f"{action}_COMPLETE", f"{action}_FAILED", interrupts, event="")


STACK = Machine("stack", ALL, [
    _verb("CREATE", {"INIT_COMPLETE"}),
    _verb("ADOPT", {"INIT_COMPLETE"}),
    _verb("UPDATE", ALIVE, MOVING),
    _verb("RESTORE", ALIVE, MOVING),
    _verb("ROLLBACK", ALIVE, ("CREATE", "UPDATE", "ADOPT", "RESTORE")),
    _verb("DELETE", ALIVE, ("*",)),
    _verb("SUSPEND", SETTLED),
    _verb("RESUME", SETTLED),
    _verb("CHECK", SETTLED | {"DELETE_FAILED"}),
    _verb("SNAPSHOT", SETTLED),
], final="DELETE_COMPLETE", event="orchestration.stack")

EVERY = _states(RESOURCE_ACTIONS)
LIVING = EVERY - {"DELETE_COMPLETE"}
RESOURCE = Machine("stack resource", EVERY, [
    _quiet("CREATE", {"INIT_COMPLETE", "INIT_FAILED"}),
    _quiet("ADOPT", {"INIT_COMPLETE"}),
    _quiet("UPDATE", LIVING),
    _quiet("DELETE", LIVING, ("*",)),
    _quiet("SUSPEND", LIVING),
    _quiet("RESUME", LIVING),
    _quiet("CHECK", LIVING),
    _quiet("SNAPSHOT", LIVING),
], final="DELETE_COMPLETE")


def status(state: str, busy: str | None) -> str:
    """What the API says: CREATE_IN_PROGRESS, CREATE_COMPLETE …"""
    return f"{busy}_IN_PROGRESS" if busy else state


def split(word: str) -> tuple[str, str]:
    """CREATE_IN_PROGRESS as (CREATE, IN_PROGRESS)."""
    action, _, rest = word.partition("_")
    return action, rest
