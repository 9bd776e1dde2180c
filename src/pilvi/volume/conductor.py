"""The conductor: the volume agents' door. They have no database; what they must know of a volume comes through here."""
from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core import clock, crypto, task
from pilvi.core.conductor import Door
from pilvi.core.http.app import Application
from pilvi.core.reconcile import repaired
from pilvi.volume.resources import host
from pilvi.volume.resources.task import VolumeTask
from pilvi.volume.volume.flows import FLOWS


def describe(application: Application, db: Session, work: Any) -> dict[str, Any]:
    """A grant for the image that the volume is made of, or that is made of it, if any; all else is in the task's facts."""
    image_id = work.facts.get("image_id")
    if image_id is None: return {"described": {}}
    things = {"image": [image_id], "image_upload": [image_id] if work.flow == "upload" else []}
    grant = crypto.sign(application.grant_key, {"things": things, "host": work.facts.get("host"),
                                                "expires": clock.now() + application.config.grant_seconds})
    return {"described": {"image_id": image_id}, "grant": grant}


def give_up_overdue(application: Application) -> None:
    """No volume stays "creating" because its host has died: what nobody has taken for too long fails; its undo waits for the host."""
    before = clock.now() - application.config.task_limit_seconds
    late = [VolumeTask.progress == "ready", VolumeTask.forward, VolumeTask.queue.like("host:%"), VolumeTask.created_at < before,
            VolumeTask.lease_until < clock.now()]
    with application.database.read() as db: found = list(db.execute(select(VolumeTask.id, VolumeTask.attempt).where(*late)))
    for id, attempt in found:
        with application.database.write() as db:
            try: work = task.held(db, VolumeTask, id, attempt)
            except task.Superseded: continue
            if work.lease_until > clock.now() or not work.forward: continue
            work.attempt += 1  # whatever the host still reports of it is refused
            task.turn(db, FLOWS[work.flow], work, f"host {work.facts.get('host')} did not answer in time")
            if work.progress == "ready":
                work.progress = "debt"
                FLOWS[work.flow].ended(db, work, True)
            repaired("volume", "overdue", task=id, flow=work.flow)


DOOR = Door(VolumeTask, FLOWS, describe, wake=lambda application: application.state["worker"].wake())
HANDLERS = {**DOOR.handlers(), "capacity": host.report}
