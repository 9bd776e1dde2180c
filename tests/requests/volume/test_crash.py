"""Crash histories: whatever dies at whatever point, in the end records and store agree, nothing is busy and nothing is left over."""
from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from pilvi.core import task
from pilvi.core.task import Worker
from pilvi.volume.agent.main import VolumeAgent
from pilvi.volume.drivers.interface import StoreFailure
from pilvi.volume.drivers.simulated import Simulated
from pilvi.volume.resources.attachment import follow
from pilvi.volume.resources.tables import Attachment, Snapshot, Volume
from pilvi.volume.resources.task import VolumeTask
from pilvi.volume.service import SERVICE
from pilvi.volume.volume.flows import FLOWS

HOST = "node1"


class Crash(BaseException):
    """The process dies here."""


class Fate:
    """Decides where processes die and stores fail; quiet at the end."""

    def __init__(self, seed: int) -> None:
        self.random, self.crashes, self.failures = random.Random(seed), 0.25, 0.15

    def strike(self) -> None:
        if self.random.random() < self.crashes: raise Crash

    def fail(self) -> None:
        if self.random.random() < self.failures: raise StoreFailure("the disk says no")


class Unlucky(Simulated):
    """A store that fails and dies before, in or after an act."""

    def __init__(self, folder: Path, fate: Fate) -> None:
        super().__init__(folder)
        self.fate = fate

    def _struck(self, act: Callable[..., None], *args: Any) -> None:
        self.fate.strike()
        self.fate.fail()
        act(*args)
        self.fate.strike()
        self.fate.fail()

    def create(self, volume_id: str, size_gib: int) -> None: self._struck(super().create, volume_id, size_gib)

    def extend(self, volume_id: str, size_gib: int) -> None: self._struck(super().extend, volume_id, size_gib)

    def delete(self, volume_id: str) -> None: self._struck(super().delete, volume_id)

    def revert(self, volume_id: str, snapshot_id: str) -> None: self._struck(super().revert, volume_id, snapshot_id)

    def export(self, volume_id: str, path: Path, form: str) -> None: self._struck(super().export, volume_id, path, form)

    def snapshot(self, volume_id: str, snapshot_id: str) -> None: self._struck(super().snapshot, volume_id, snapshot_id)

    def delete_snapshot(self, volume_id: str, snapshot_id: str) -> None: self._struck(super().delete_snapshot, volume_id, snapshot_id)


class UnluckyWorker(Worker):
    """A control process that dies between a step and its commit, or after it."""
    fate: Fate

    def _commit(self, *args: Any) -> Any:
        self.fate.strike()
        done = super()._commit(*args)
        self.fate.strike()
        return done


class Show:
    """Control and agent, moved by hand, one act after the other, each reborn when it dies."""

    def __init__(self, world: Any, fate: Fate) -> None:
        self.world, self.fate, self.births = world, fate, 0
        assert SERVICE.stop is not None
        SERVICE.stop(world.app)
        world.agent.stop()
        self.driver = Unlucky(world.folder / "store", fate)
        self.control_is_born()
        self.agent_is_born()

    def control_is_born(self) -> None:
        self.births += 1
        self.worker = UnluckyWorker(self.world.app, VolumeTask, FLOWS, name=f"control/{self.births}")
        self.worker.fate = self.fate
        self.world.app.state["worker"] = self.worker
        with self.world.database.write() as db: task.release(db, VolumeTask, "control")

    def agent_is_born(self) -> None:
        self.births += 1
        agent = VolumeAgent(self.world.bus, {HOST: self.driver}, self.world.agent.tokens, locks=self.world.folder / "locks")
        agent.runner.worker = f"{HOST}/{self.births}"
        agent.runner.locks.mkdir(exist_ok=True)
        real = agent.runner._tell

        def tell(*args: Any, **named: Any) -> Any:
            self.fate.strike()
            answer = real(*args, **named)
            self.fate.strike()
            return answer

        agent.runner._tell = tell  # type: ignore[method-assign]  # the message is lost, or the answer is
        self.runner = agent.runner
        self.world.bus.call("volume.conductor", "hello", {"host": HOST, "worker": agent.runner.worker}, deadline_seconds=30)

    def move(self) -> bool:
        """One of both does something; False when neither has anything to do."""
        waiting = self.waiting()
        if not waiting: return False
        queue = self.fate.random.choice(sorted(waiting))
        try:
            if queue == task.CONTROL: self.worker.once()
            else: self.runner._run(HOST, None, "poll")
        except Crash:
            if queue == task.CONTROL: self.control_is_born()
            else: self.agent_is_born()
        return True

    def waiting(self) -> set[str]:
        with self.world.database.write() as db:  # nobody waits for a lease to run out here
            rows = list(db.execute(select(VolumeTask).where(VolumeTask.progress.in_(("ready", "debt")))).scalars())
            for row in rows:
                if row.claimed_by is None: row.lease_until = 0.0
        return {row.queue for row in rows}


def requests(show: Show, ids: list[str]) -> None:
    """Something that users ask for, at a moment that suits nobody."""
    ask, chance, act = show.world.ask, show.fate.random, show.world.act
    what = chance.choice(["create", "create", "extend", "snapshot", "delete", "cascade", "force", "drop", "attach", "detach", "revert",
                          "upload"])
    if what == "create" or not ids:
        ids.append(ask("POST", "/volumes", {"volume": {"size": 1}})[1]["volume"]["id"])
        return
    id = chance.choice(ids)
    if what == "extend": act(id, "os-extend", {"new_size": chance.randint(2, 9)})
    elif what == "snapshot": ask("POST", "/snapshots", {"snapshot": {"volume_id": id}})
    elif what == "force": act(id, "os-force_delete", who="admin")
    elif what == "attach": ask("POST", "/attachments",
                               {"attachment": {"volume_uuid": id, "instance_uuid": "s", "connector": {"host": HOST}}})
    elif what == "drop":
        found = ask("GET", "/snapshots")[1]["snapshots"]
        if found: ask("DELETE", f"/snapshots/{chance.choice(found)['id']}")
    elif what == "revert":
        found = ask("GET", f"/snapshots?volume_id={id}&limit=1")[1]["snapshots"]
        if found: act(id, "revert", {"snapshot_id": found[0]["id"]})
    elif what == "upload": act(id, "os-volume_upload_image", {"image_name": "i"})
    elif what == "detach":
        for one in ask("GET", f"/attachments?volume_id={id}")[1]["attachments"]: ask("DELETE", f"/attachments/{one['id']}", who="admin")
    else: ask("DELETE", f"/volumes/{id}" + ("?cascade=true" if what == "cascade" else ""))


def check(show: Show) -> None:
    """Records and store agree."""
    with show.world.database.read() as db:
        volumes = list(db.execute(select(Volume)).scalars())
        snapshots = list(db.execute(select(Snapshot)).scalars())
        held = {id: status for id, status in db.execute(select(Attachment.volume_id, Attachment.status))}
        assert not db.execute(select(VolumeTask.id).where(VolumeTask.progress.in_(("ready", "debt")))).all()
    alive = {v.id: v for v in volumes if v.deleted_at is None}
    assert all(v.busy is None for v in volumes) and all(s.busy is None for s in snapshots if s.deleted_at is None)
    assert {v.state for v in volumes if v.deleted_at} <= {"deleted"}
    assert {v.state for v in alive.values()} <= {"available", "reserved", "attaching", "error", "error_extending", "error_deleting"}
    there = set(show.driver.volumes())
    assert there >= {id for id, v in alive.items() if v.state not in ("error", "error_deleting")}, "what is promised is there"
    assert there <= {id for id, v in alive.items() if v.state != "error"}, "nothing is left over"
    for id, v in alive.items():
        if v.state in ("available", "reserved", "attaching"): assert show.driver.size_gib(id) == v.size
        if v.state in ("available", "reserved", "attaching"): assert v.state == {None: "available"}.get(held.get(id), held.get(id))
    kept = {name for id in there for name in show.driver._read(id).snapshots}
    living = {s.id: s for s in snapshots if s.deleted_at is None}
    assert kept >= {id for id, s in living.items() if s.state == "available"}
    assert kept <= {id for id, s in living.items() if s.state != "error"}
    assert set(held) <= set(alive)
    assert {facts["status"] for facts, _ in show.world.images.images.values()} <= {"active"}, "no image without bytes is left"
    assert not list(show.driver.workspace().iterdir())


@pytest.mark.parametrize("seed", range(40))
def test_any_history(world: Any, seed: int) -> None:
    fate, ids = Fate(seed), list[str]()
    show = Show(world, fate)
    for _ in range(60):
        if fate.random.random() < 0.25: requests(show, ids)
        show.move()
    fate.crashes = fate.failures = 0.0
    for _ in range(500):
        if not show.move(): break
    check(show)


def test_a_volume_whose_host_has_died_fails_and_the_host_cleans_up_when_it_is_back(world: Any) -> None:
    fate = Fate(0)
    fate.crashes = fate.failures = 0.0
    show = Show(world, fate)
    id = world.ask("POST", "/volumes", {"volume": {"size": 1}})[1]["volume"]["id"]
    show.worker.once()
    Simulated(world.folder / "store").create(id, 1)  # the host had done its part and then died
    with world.database.write() as db:
        for row in db.execute(select(VolumeTask)).scalars(): row.created_at -= 4000
    for loop in SERVICE.loops: loop.function(world.app)
    assert world.status(id) == "error"
    assert "did not answer in time" in world.ask("GET", f"/messages?resource_uuid={id}")[1]["messages"][0]["user_message"]
    assert show.move() and not show.move(), "the host is back and owes one thing"
    assert show.driver.volumes() == [] and world.status(id) == "error"


def test_following_the_attachments_may_be_repeated(world: Any) -> None:
    id = world.make()
    with world.database.write() as db:
        for _ in range(2): follow(db, id)
    assert world.status(id) == "available"


def test_a_volume_removed_before_it_was_made_is_never_made(world: Any) -> None:
    fate = Fate(0)
    fate.crashes = fate.failures = 0.0
    show = Show(world, fate)
    early, late = (world.ask("POST", "/volumes", {"volume": {"size": 1}})[1]["volume"]["id"] for _ in range(2))
    assert world.act(early, "os-force_delete", who="admin")[0] == 202 and world.status(early) is None
    show.worker.once()
    assert world.act(late, "os-force_delete", who="admin")[0] == 202
    while show.move(): pass
    assert show.driver.volumes() == [] and world.status(late) is None
    check(show)
