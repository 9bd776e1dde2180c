"""Keeps the backend equal to the rows, after every commit and now and then even without one; and ports' statuses equal to the backend's.

A failure leaves the desired state where it is; the next turn tries again, and `problem` says what is wrong meanwhile.
"""
from __future__ import annotations

import threading
import time

import structlog

from pilvi.core import clock, reconcile
from pilvi.core.http.app import Application
from pilvi.core.reconcile import Repeat
from pilvi.network import topology
from pilvi.network.config import config_of
from pilvi.network.drivers.interface import Backend, NetworkFailure
from pilvi.network.port import states

LOG = structlog.get_logger()
SETTLE_SECONDS, MOST_SETTLE_SECONDS = 0.03, 0.5
"""A burst of commits is answered once. A large topology takes longer than this: then half of the time is left to others."""
RETRY_SECONDS = 3.0
JOIN_SECONDS = 10.0
SHOWN = 5
"""How many of a repair's lines the log has."""


class Reconciler:
    """The loop between one service's database and its backend."""

    def __init__(self, application: Application) -> None:
        self.database = application.database
        self.backend: Backend = application.state["network_backend"]
        self.config = config_of(application)
        self.problem: str | None = "The network backend has not been started yet."
        """What is wrong, as a sentence; None when well."""
        self._changes, self._applied, self._applied_at, self._took = 1, 0, 0.0, 0.0
        self._ports = topology.Ports()
        self._writing = threading.local()
        self._seen: dict[str, bool] = {}
        self._lock = threading.Lock()
        self._rows = Repeat("network: rows to backend", self.config.resync_seconds, self.turn)
        self._statuses = Repeat("network: statuses to rows", self.config.resync_seconds, self.write_statuses)

    def start(self) -> None:
        """Listens to commits and begins."""
        self.database.written.append(self._committed)
        self._statuses.start()
        self._rows.start()

    def stop(self) -> None:
        """Ends the loops and lets go of the backend; its daemons run on (run/ ends them when the cloud goes down)."""
        self.database.written.remove(self._committed)
        self._rows.stop()
        self._statuses.stop()
        self.backend.close()

    def _committed(self) -> None:
        """Statuses that this loop itself has written change no topology."""
        if getattr(self._writing, "statuses", False): return
        self._changes += 1
        self._rows.poke()

    def host_joined(self, host: str) -> None:
        """A host that has just started takes part a moment later; routers that waited get their gateway then, not a minute later."""
        until = clock.monotonic() + JOIN_SECONDS
        while clock.monotonic() < until:
            try: self.backend.binding(host, "")
            except NetworkFailure: time.sleep(JOIN_SECONDS / 50)
            else: break
        self._committed()

    def turn(self) -> None:
        """Applies the topology if something changed since, or if the last time is long ago."""
        time.sleep(min(max(SETTLE_SECONDS, self._took), MOST_SETTLE_SECONDS))
        changes, now = self._changes, clock.monotonic()
        periodic = changes == self._applied
        if periodic and now - self._applied_at < self.config.resync_seconds / 2: return
        try:
            self._keep_started()
            with self.database.read() as db: wanted = topology.build(db, self.config.dns_servers, self._ports)
            lines = self.backend.apply(wanted)
            if periodic: self._compare_statuses()
        except NetworkFailure as failure:
            self.problem = str(failure)
            self._rows.seconds = min(RETRY_SECONDS, self.config.resync_seconds)
            LOG.warning("network backend is behind", reason=self.problem)
            return
        self._rows.seconds = self.config.resync_seconds
        self._applied, self._applied_at, self.problem = changes, now, self.backend.health()
        self._took = clock.monotonic() - now
        if lines and periodic: reconcile.repaired("network", "backend", lines=len(lines), first=lines[:SHOWN])

    def _keep_started(self) -> None:
        if self.problem is None: self.problem = self.backend.health()
        if self.problem is not None: self.backend.start(status_changed=self.saw)

    def _compare_statuses(self) -> None:
        """What an event should have told and did not."""
        seen = self.backend.up()
        for id in self._observe(seen): reconcile.repaired("network", "port status", port=id)

    def saw(self, port_id: str, up: bool) -> None:
        """The backend reports a port; quick, from any thread."""
        with self._lock: self._seen[port_id] = up
        self._statuses.poke()

    def write_statuses(self) -> None:
        """Writes what was reported since the last time, in one transaction."""
        with self._lock: seen, self._seen = self._seen, {}
        if not seen: return
        try:
            self._observe(seen)
        except Exception:
            with self._lock: self._seen = seen | self._seen  # what came meanwhile is newer
            raise

    def _observe(self, seen: dict[str, bool]) -> list[str]:
        self._writing.statuses = True
        try:
            with self.database.write() as db: return states.observe(db, seen)
        finally:
            self._writing.statuses = False
