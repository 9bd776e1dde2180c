"""What should be on this host against what is: pure. The loop in main.py fetches both and carries the plan out."""
from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Wanted(Struct, frozen=True):
    """A server as its record says. `busy`: something is being done to it, so hands off."""
    state: str
    busy: bool = False


class Repair(Struct, frozen=True, order=True):
    """`act`: start, stop, destroy, stranger (only reported), lost (no machine), or observed:POWER (the record follows)."""
    act: str
    server_id: str


def plan(wanted: Mapping[str, Wanted], actual: Mapping[str, str], *, after_shutdown: bool) -> list[Repair]:
    """The repairs. `after_shutdown`: the host (or the cloud) was down, so what ran before is to run again; otherwise a machine that is off
    was switched off by its guest. Absence of a record never means destruction; a tombstone does."""
    repairs = [Repair("stranger", id) for id in actual if id not in wanted]
    for id, record in wanted.items():
        if record.busy: continue
        act = _act(record.state, actual.get(id), after_shutdown)
        if act: repairs.append(Repair(act, id))
    return sorted(repairs)


def _act(state: str, power: str | None, after_shutdown: bool) -> str | None:
    if state == "deleted": return "destroy" if power is not None else None
    if state not in ("active", "stopped", "paused", "suspended"): return None
    if power is None: return "lost"
    if state == "suspended": return f"observed:{power}" if power in ("running", "paused") else None
    if state == "active" and power in ("stopped", "crashed"): return "start" if after_shutdown else f"observed:{power}"
    if state == "active" and power == "paused": return "observed:paused"
    if state == "stopped" and power in ("running", "paused"): return "stop"
    if state == "paused" and power == "running": return "observed:running"
    if state == "paused" and power in ("stopped", "crashed"): return "start" if after_shutdown else f"observed:{power}"
    return None
