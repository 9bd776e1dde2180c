"""Resizing a server on its host: it stops, gets the new flavor, runs again and waits for a word; until then what it was is kept.

While it waits, placement holds for it the larger of both flavors, kind by kind, so that there is room for the way back. A server does not
move to another host: its disks are files of this one (docs/limits.md).
Source: Compute API guide, "Server concepts"; Compute API, "Resize Server", "Confirm Resized Server", "Revert Resized Server".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from pilvi.compute import errors
from pilvi.compute.resources.server import Server
from pilvi.compute.resources.task import conclude
from pilvi.compute.scheduler.worker import resources_of, traits_required
from pilvi.compute.server.ended import fault_of
from pilvi.compute.server.states import SERVER
from pilvi.core.errors import Conflict
from pilvi.core.http.app import Application
from pilvi.core.task import AgentStep, Flow, Step
from pilvi.placement import client as placement


def take_room(application: Application, task: Any) -> None:
    """Placement holds for the server what each of its flavors needs. Raises HostTooSmall."""
    host, flavor, before = task.facts["host"], task.facts["flavor"], task.facts["before"]["flavor"]
    call = application.state["service_call"]()
    if missing := set(traits_required(flavor["extra_specs"])) - placement.traits_of(call, host):
        raise errors.HostTooSmall(reason=f"{host} has not the traits that {flavor['name']} needs: {', '.join(sorted(missing))}.")
    new, old = _resources(application, task, flavor), _resources(application, task, before)
    try: placement.change(call, task.subject_id, {name: max(new.get(name, 0), old.get(name, 0)) for name in {*new, *old}})
    except Conflict as failure: raise errors.HostTooSmall(reason=f"{host} has no room for {flavor['name']}: {failure.message}") from None


def keep_old_room(application: Application, task: Any) -> None:
    """Placement holds what the server's flavor before the resize needs."""
    placement.change(application.state["service_call"](), task.subject_id, _resources(application, task, task.facts["before"]["flavor"]))


def keep_new_room(application: Application, task: Any) -> None:
    """Placement holds what the server's flavor needs."""
    with application.database.read() as db:
        server = db.get(Server, task.subject_id)
        assert server is not None
    placement.change(application.state["service_call"](), task.subject_id, resources_of(server.flavor, server.image_id is None))


def _resources(application: Application, task: Any, flavor: dict[str, Any]) -> dict[str, int]:
    with application.database.read() as db:
        server = db.get(Server, task.subject_id)
        return resources_of(flavor, server is not None and server.image_id is None)


def resized(db: Session, task: Any, failed: bool) -> None:
    """It has its new flavor and waits to be confirmed; or it is what it was."""
    facts = task.facts
    values = {"fault": fault_of(task)} if failed else {
        "flavor": facts["flavor"], "flavor_id": facts["flavor"]["id"], "before_resize": facts["before"]}
    SERVER.finish(db, Server, task.subject_id, task.flow, failed=failed, **values)
    conclude(db, task, failed)


def settled(db: Session, task: Any, failed: bool) -> None:
    """Confirmed or taken back: it is again in the state that it was resized in."""
    before = task.facts["before"]
    values: dict[str, Any] = {"fault": fault_of(task)} if failed else {"state": before["state"], "before_resize": None}
    if not failed and task.flow == "revert_resize": values |= {"flavor": before["flavor"], "flavor_id": before["flavor"]["id"]}
    SERVER.finish(db, Server, task.subject_id, task.flow, failed=failed, **values)
    conclude(db, task, failed)


RESIZE = [
    Flow("resize", ended=resized, steps=[
        AgentStep("keep_resized"),  # of a resize that was ended by a reset of the server's state
        Step(take_room, undo=keep_old_room), AgentStep("resize_machine", undo_on_host="take_resize_back")]),
    Flow("confirm_resize", ended=settled, patient=True, steps=[AgentStep("keep_resized"), Step(keep_new_room)]),
    Flow("revert_resize", ended=settled, patient=True, steps=[AgentStep("take_resize_back"), Step(keep_old_room)]),
]
