"""Making a volume: choose its host, make it there.

1  choose_host   control: the scheduler's choice, written to the row
2  make_volume   the host's agent (agent/volume.py); undone there by remove_volume
"""
from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from pilvi.core import task
from pilvi.core.http.app import Application
from pilvi.core.task import AgentStep, Flow, Step
from pilvi.volume import errors
from pilvi.volume.resources import host, message
from pilvi.volume.resources.tables import Volume
from pilvi.volume.scheduler.select import choose
from pilvi.volume.volume.states import VOLUME


def choose_host(application: Application, job: Any) -> dict[str, Any]:
    """Writes the chosen host to the row and the facts. Raises NoValidHost, Superseded."""
    with application.database.write() as db:
        task.held(db, application.state["worker"].table, job.id, job.attempt)
        volume = db.get(Volume, job.subject_id)
        assert volume is not None
        hosts = host.known(db, application.silent_since(application.config.host_silence_seconds))
        if volume.host is None:
            volume.host, reason = choose(hosts, job.facts["size"], job.facts["only_host"])
            if volume.host is None: raise errors.NoValidHost(reason=reason)
        volume.backend = next(one.backend for one in hosts if one.name == volume.host)
        return {"host": volume.host}


def ended(db: Session, job: Any, failed: bool) -> None:
    """The volume is there, or it is an error with a message that says why, and nothing is left of it on a host."""
    made: dict[str, Any] = {} if failed else {"connection": job.facts["connection"]}
    if not VOLUME.finish(db, Volume, job.subject_id, "create", failed=failed, **made) or not failed: return
    volume = db.get(Volume, job.subject_id, populate_existing=True)
    assert volume is not None
    message.leave(db, volume.project_id, "create", volume.id, job.error)


FLOW = Flow("create", [Step(choose_host), AgentStep("make_volume", undo_on_host="remove_volume")], ended)
