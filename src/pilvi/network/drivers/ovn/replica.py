"""A copy of an OVSDB database in memory, kept current by one thread; everything that touches it runs in that thread.

Source: RFC 7047 (OVSDB), the `ovs` package's Idl.
"""
from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from ovs import poller  # type: ignore[import-untyped]
from ovs.db import idl  # type: ignore[import-untyped]

from pilvi.network.drivers.interface import NetworkFailure

ANSWER_SECONDS = 30.0
RECONNECT_MILLISECONDS = 1000
"""Its servers are on this machine: no need to be patient."""
T = TypeVar("T")
log = logging.getLogger(__name__)


class Moved(NetworkFailure):
    """The database moved on, or away, under a change; look at it again and try again."""


class _Copy(idl.Idl):  # type: ignore[misc]
    """The package's replica, with a hook for each changed row."""

    def __init__(self, remote: str, helper: Any, changed: Callable[[str, Any, Any], None]) -> None:
        super().__init__(remote, helper)
        self.changed = changed

    def notify(self, event: str, row: Any, updates: Any = None) -> None:
        self.changed(event, row, updates)


class Replica:
    """`changed(event, row, old values)` is called in the replica's thread for each row that was created, updated or deleted; it must be
    quick."""

    def __init__(self, name: str, remote: str, schema_path: str, columns: Mapping[str, Sequence[str]],
                 changed: Callable[[str, Any, Any], None]) -> None:
        helper = idl.SchemaHelper(schema_path)
        for table, names in columns.items(): helper.register_columns(table, list(names))
        self._idl = _Copy(remote, helper, changed)
        self._idl._session.reconnect.set_backoff(RECONNECT_MILLISECONDS, RECONNECT_MILLISECONDS)
        self._requests: deque[tuple[Future[Any], Callable[[Any], Any]]] = deque()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._closing = False
        self._name = name
        self._thread = threading.Thread(target=self._serve, name=f"ovsdb-{name}", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[Any], T], seconds: float = ANSWER_SECONDS) -> T:
        """Run `function(idl)` in the replica's thread, once the copy is complete and its server there, and return its result."""
        future: Future[T] = Future()
        self._requests.append((future, function))
        self._wake()
        try:
            return future.result(seconds)
        except TimeoutError as error:
            future.cancel()
            raise NetworkFailure(f"The {self._name} database of OVN does not answer.") from error

    def connected(self) -> bool:
        """Whether the copy is complete and its server there."""
        session = self._idl._session
        return bool(session.is_connected() and self._idl.state == idl.Idl.IDL_S_MONITORING and self._idl._last_seqno == session.get_seqno())

    def close(self) -> None:
        """End the thread and the connection."""
        self._closing = True
        self._wake()
        self._thread.join(ANSWER_SECONDS)
        for descriptor in (self._wake_read, self._wake_write): os.close(descriptor)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError): os.write(self._wake_write, b"w")

    def _serve(self) -> None:
        while not self._closing:
            try:
                self._turn()
            except Exception:
                # The thread is the only way to the database: nothing may end it. What is half done is forgotten, the copy fetched again.
                log.exception("ovsdb %s", self._name)
                if self._idl.txn: self._idl.txn.abort()
                self._idl.force_reconnect()
                time.sleep(1)
        self._idl.close()
        while self._requests:
            future = self._requests.popleft()[0]
            if future.set_running_or_notify_cancel(): future.set_exception(NetworkFailure("The network backend was closed."))

    def _turn(self) -> None:
        self._idl.run()
        while self._requests and self.connected():
            future, function = self._requests.popleft()
            if not future.set_running_or_notify_cancel(): continue
            try:
                future.set_result(function(self._idl))
            except Exception as error:
                future.set_exception(error)
        waiter = poller.Poller()
        self._idl.wait(waiter)
        waiter.fd_wait(self._wake_read, select.POLLIN)
        waiter.block()
        with contextlib.suppress(BlockingIOError): os.read(self._wake_read, 4096)


def commit(database: Any, transaction: Any) -> None:
    """Commit in the replica's thread. NetworkFailure when it is refused; Moved when it could not be sent or was not answered."""
    limit = time.monotonic() + ANSWER_SECONDS
    while True:
        status = transaction.commit()
        if status != idl.Transaction.INCOMPLETE: break
        if time.monotonic() > limit:
            transaction.abort()
            raise Moved("The OVN database did not answer a change.")
        database.run()
        waiter = poller.Poller()
        database.wait(waiter)
        transaction.wait(waiter)
        waiter.timer_wait(1000)
        waiter.block()
    if status == idl.Transaction.TRY_AGAIN: raise Moved("The OVN database did not take a change.")
    if status not in (idl.Transaction.SUCCESS, idl.Transaction.UNCHANGED):
        raise NetworkFailure(f"The OVN database refused a change: {transaction.get_error() or idl.Transaction.status_to_string(status)}")
