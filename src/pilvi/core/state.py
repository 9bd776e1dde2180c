"""Life cycles as transition tables, and the only code that writes `state` and `busy`.

A thing with a life has two columns: `state`, what it is, and `busy`, what is being done to it (None: nothing). A verb begins by
compare-and-set and ends only what is still its own, so a delete that overtook a stop wins, and no state can be entered from nowhere.
"""
from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from pilvi.core import clock, events
from pilvi.core.errors import Conflict

PHASES = {"start": ".start", "end": ".end", "error": ".error"}


class WrongState(Conflict):
    """Cannot '{verb}' {what} {id} while it is in {attribute} {state}"""


@dataclass(frozen=True, slots=True)
class Verb:
    """A row of the table. `interrupts`: busy words it may overtake ("*": all). `event`: what events call it ("": there are none)."""
    name: str
    start: Collection[str]
    busy: str
    end: str | None
    fail: str | None = None
    """Where a failure leads; None: back to where it was (state was not touched)."""
    interrupts: Collection[str] = ()
    event: str | None = None


class Machine:
    """The life of one kind of thing. `event`: the first words of its events, `what` if not given; each verb is told when it starts
    (`volume.delete.start`) and ends (`.end`, `.error`; `phases` are those words), what was observed or forced as `.update`."""

    def __init__(self, what: str, states: Collection[str], verbs: list[Verb], final: str = "", event: str = "",
                 phases: Mapping[str, str] = PHASES) -> None:
        self.what, self.states, self.final, self.event, self.phases = what, frozenset(states), final, event or what, phases
        self.verbs = {verb.name: verb for verb in verbs}
        for verb in verbs:
            named = {*verb.start, *filter(None, (verb.end, verb.fail))}
            if not named <= self.states: raise ValueError(f"{what}.{verb.name} names unknown states {named - self.states}")

    def begin(self, db: Session, table: Any, id: str, name: str) -> None:
        """Marks the thing as busy with the verb. Raises WrongState. In the caller's transaction."""
        verb = self.verbs[name]
        condition = [table.id == id, table.state.in_(sorted(verb.start))]
        if "*" not in verb.interrupts:
            free = table.busy.is_(None)
            condition.append(free | table.busy.in_(sorted(verb.interrupts)) if verb.interrupts else free)
        else:
            condition.append(table.busy.is_(None) | (table.busy != verb.busy))
        changed = db.execute(update(table).where(*condition).values(busy=verb.busy, updated_at=clock.now()))
        if changed.rowcount == 1: return self._tell(db, table, id, verb, "start")  # type: ignore[attr-defined]
        found = db.query(table.state, table.busy).where(table.id == id).first()
        state, busy = found if found else ("absent", None)
        attribute = "task_state" if busy else "vm_state" if self.what == "instance" else "state"
        raise WrongState(verb=name, what=self.what, id=id, attribute=attribute, state=busy or state.lower())

    def finish(self, db: Session, table: Any, id: str, name: str, *, failed: bool = False, **values: Any) -> bool:
        """Ends the verb; False if another has overtaken it, and then nothing is written. In the caller's transaction."""
        verb = self.verbs[name]
        state = verb.fail if failed else verb.end
        if state is not None: values["state"] = state
        changed = db.execute(update(table).where(table.id == id, table.busy == verb.busy)
                             .values(busy=None, updated_at=clock.now(), **values))
        if changed.rowcount != 1: return False  # type: ignore[attr-defined]
        self._tell(db, table, id, verb, "error" if failed else "end")
        return True

    def _tell(self, db: Session, table: Any, id: str, verb: Verb, phase: str) -> None:
        word = verb.name if verb.event is None else verb.event
        if word: events.emit_about(db, table, id, f"{self.event}.{word}{self.phases[phase]}")

    def adopt(self, db: Session, table: Any, id: str, start: Collection[str], end: str) -> bool:
        """Writes a state that was observed (a guest that powered itself off), if the thing is idle and in one of `start`."""
        changed = db.execute(update(table).where(table.id == id, table.busy.is_(None), table.state.in_(sorted(start)))
                             .values(state=end, updated_at=clock.now()))
        if changed.rowcount != 1: return False  # type: ignore[attr-defined]
        events.emit_about(db, table, id, f"{self.event}.update")
        return True

    def force(self, db: Session, table: Any, id: str, end: str, **values: Any) -> None:
        """An administrator's reset: the state is set and nothing is busy any more."""
        db.execute(update(table).where(table.id == id).values(state=end, busy=None, updated_at=clock.now(), **values))
        events.emit_about(db, table, id, f"{self.event}.update")

    def diagram(self) -> str:
        """The table as a Mermaid state diagram."""
        lines = ["stateDiagram-v2"]
        for verb in self.verbs.values():
            for start in sorted(verb.start):
                lines.append(f"    {start} --> {verb.end or start}: {verb.name}")
                if verb.fail: lines.append(f"    {start} --> {verb.fail}: {verb.name} failed")
        return "\n".join(lines)
