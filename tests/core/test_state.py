"""Life cycles: random histories reach legal states only, nothing overtakes a delete, and what is deleted stays so."""
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from pilvi.core.db.session import Database
from pilvi.core.state import Machine, Verb, WrongState

BUILDING, ACTIVE, STOPPED, ERROR, DELETED = "BUILDING", "ACTIVE", "STOPPED", "ERROR", "DELETED"
LIFE = Machine("toy", {BUILDING, ACTIVE, STOPPED, ERROR, DELETED}, [
    Verb("boot", {BUILDING}, "spawning", ACTIVE, ERROR), Verb("stop", {ACTIVE, ERROR}, "powering-off", STOPPED),
    Verb("start", {STOPPED}, "powering-on", ACTIVE), Verb("delete", {BUILDING, ACTIVE, STOPPED, ERROR}, "deleting", DELETED, ERROR, {"*"})],
    DELETED)


class Base(DeclarativeBase):
    """Tables of this test."""


class Toy(Base):
    __tablename__ = "toys"
    id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(default=BUILDING)
    busy: Mapped[str | None]
    updated_at: Mapped[float | None]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('state')}/db.sqlite")
    Base.metadata.create_all(database.engine)
    return database


STEPS = st.lists(st.tuples(st.sampled_from(["begin", "finish", "fail", "adopt"]), st.sampled_from(list(LIFE.verbs))), max_size=20)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_random_histories(database: Database, history: list[tuple[str, str]]) -> None:
    with database.write() as db:
        db.query(Toy).delete()
        db.add(Toy(id="t"))
    state, busy = BUILDING, None
    for act, name in history:
        verb = LIFE.verbs[name]
        with database.write() as db: happened = _act(db, act, name)
        with database.read() as db: now = db.query(Toy.state, Toy.busy).one()
        if act == "begin":
            assert happened == (state in verb.start and (busy is None or ("*" in verb.interrupts and busy != verb.busy)))
            assert (now.state, now.busy) == ((state, verb.busy) if happened else (state, busy))
        elif act in ("finish", "fail"):
            assert happened == (busy == verb.busy)
            end = (verb.fail if act == "fail" else verb.end) or state
            assert (now.state, now.busy) == ((end, None) if happened else (state, busy))
        else:
            assert happened == (busy is None and state == ACTIVE)
        assert now.state in LIFE.states and (state != DELETED or now.state == DELETED)
        state, busy = now.state, now.busy


def _act(db: Any, act: str, name: str) -> bool:
    if act == "begin":
        try: LIFE.begin(db, Toy, "t", name)
        except WrongState: return False
        return True
    if act == "adopt": return LIFE.adopt(db, Toy, "t", {ACTIVE}, STOPPED)
    return LIFE.finish(db, Toy, "t", name, failed=act == "fail")


def test_a_stop_that_a_delete_overtook_changes_nothing(database: Database) -> None:
    with database.write() as db: db.merge(Toy(id="s", state=ACTIVE))
    with database.write() as db:
        LIFE.begin(db, Toy, "s", "stop")
        LIFE.begin(db, Toy, "s", "delete")
        assert not LIFE.finish(db, Toy, "s", "stop") and LIFE.finish(db, Toy, "s", "delete")
    with database.read() as db: assert db.query(Toy.state, Toy.busy).where(Toy.id == "s").one() == (DELETED, None)


def test_the_refusal_says_what_is_in_the_way(database: Database) -> None:
    with database.write() as db: db.merge(Toy(id="r", state=ACTIVE))
    with database.write() as db, pytest.raises(WrongState, match="Cannot 'start' toy r while it is in state active"):
        LIFE.begin(db, Toy, "r", "start")
    with database.write() as db: LIFE.begin(db, Toy, "r", "stop")
    with database.write() as db, pytest.raises(WrongState, match="task_state powering-off"): LIFE.begin(db, Toy, "r", "stop")
    with database.write() as db, pytest.raises(WrongState, match="state absent"): LIFE.begin(db, Toy, "nobody", "stop")


def test_an_administrators_reset(database: Database) -> None:
    with database.write() as db:
        db.merge(Toy(id="f", state=ACTIVE, busy="powering-off"))
        db.flush()
        LIFE.force(db, Toy, "f", ERROR)
    with database.read() as db: assert db.query(Toy.state, Toy.busy).where(Toy.id == "f").one() == (ERROR, None)


def test_a_table_that_names_unknown_states_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown states"): Machine("toy", {"A"}, [Verb("go", {"A"}, "going", "B")])


def test_the_table_as_a_diagram() -> None:
    assert "STOPPED --> ACTIVE: start" in LIFE.diagram() and "BUILDING --> ERROR: boot failed" in LIFE.diagram()
