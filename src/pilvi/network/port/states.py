"""The life of a port: DOWN until the backend says that its host serves it, and again when it says the contrary."""
from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core.state import Machine
from pilvi.network.resources.tables import Port

DOWN, ACTIVE = "DOWN", "ACTIVE"
PORT = Machine("port", states={DOWN, ACTIVE}, verbs=[])


def observe(db: Session, seen: Mapping[str, bool]) -> list[str]:
    """Writes what the backend saw ({port id: up}) and returns the ids of the ports that changed. Ports that are gone are left out."""
    changed = []
    ids = list(seen)
    for at in range(0, len(ids), 500):
        known = db.execute(select(Port.id, Port.state).where(Port.id.in_(ids[at:at + 500]))).all()
        for id, state in known:
            end = ACTIVE if seen[id] else DOWN
            if state != end and PORT.adopt(db, Port, id, {DOWN, ACTIVE} - {end}, end): changed.append(id)
    return changed


def down(db: Session, port: Port) -> None:
    """The port is not served where it was any more (it was bound elsewhere, or nowhere)."""
    if PORT.adopt(db, Port, port.id, {ACTIVE}, DOWN): db.refresh(port, ["state"])
