"""Binding: which host serves a port, and what a hypervisor needs to plug it there."""
from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy.orm import Session

from pilvi.core.context import Call
from pilvi.network.drivers.interface import Backend, NetworkFailure
from pilvi.network.port import states
from pilvi.network.resources.tables import Port

LOG = structlog.get_logger()
UNBOUND: dict[str, Any] = {"vif_type": "unbound", "vif_details": {}}
FAILED: dict[str, Any] = {"vif_type": "binding_failed", "vif_details": {}}


def bind(call: Call, db: Session, port: Port, host: str | None) -> None:
    """Binds the port to a host ("" or None: to none). A backend that refuses leaves `binding_failed` on the port, as Neutron does."""
    host = host or ""
    if host != port.host: states.down(db, port)
    port.host = host
    found = _binding(call, port) if host else UNBOUND
    port.vif_type, port.vif_details = found["vif_type"], found["vif_details"]


def _binding(call: Call, port: Port) -> dict[str, Any]:
    assert call.application is not None
    backend: Backend = call.application.state["network_backend"]
    try: return backend.binding(port.host, port.id)
    except NetworkFailure as failure:
        LOG.warning("port cannot be bound", port=port.id, host=port.host, reason=str(failure))
        return FAILED
