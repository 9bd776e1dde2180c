"""Notices what machines do by themselves: power off, crash, go on.

Nothing is concluded from an event but that its machine deserves a look; the look compares the power state with the one told last. So a
lost event costs only the time until the next round.
"""
from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable

from pilvi.compute.drivers.qemu.guest import Guest

_ROUND_SECONDS = 10.0
_BUSY_SECONDS = 0.5
_log = logging.getLogger(__name__)


class Watcher:
    """A thread that looks at a machine when it was noticed, and at all of them every round."""

    def __init__(self, machines: Callable[[], Iterable[Guest]], running: Callable[[], dict[str, int]],
                 changed: Callable[[str, str], None]) -> None:
        self._machines, self._running, self._changed = machines, running, changed
        self._noticed: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._closing = False
        self._thread = threading.Thread(target=self._watch, name="qemu-watch", daemon=True)
        self._thread.start()

    def notice(self, server_id: str) -> None:
        """Never blocks."""
        self._noticed.put(server_id)

    def close(self) -> None:
        self._closing = True
        self._noticed.put(None)
        self._thread.join(30)

    def _watch(self) -> None:
        later: set[str] = set()
        while not self._closing:
            everyone = not later
            try:
                later.add(self._noticed.get(timeout=_ROUND_SECONDS if everyone else _BUSY_SECONDS) or "")
                everyone = False
            except queue.Empty:
                pass
            if self._closing: return
            guests, running = {guest.home.server_id: guest for guest in self._machines()}, self._running()
            later = {name for name in (guests if everyone else later) if name in guests and not self._settled(guests[name], running)}

    def _settled(self, guest: Guest, running: dict[str, int]) -> bool:
        """Look at one machine; False: a verb is at work on it, look again later."""
        if not guest.lock.acquire(blocking=False): return False
        try:
            self._settle(guest, guest.pid(running))
        except Exception:  # the edge of this thread: one machine's trouble must not end the watch over all others
            _log.exception("machine %s", guest.home.server_id)
        finally:
            guest.lock.release()
        return True

    def _settle(self, guest: Guest, pid: int | None) -> None:
        guest.trim_console_log()
        power = guest.power(pid)
        if power == guest.last: return
        before, guest.last = guest.last, power
        if power == "stopped" and pid is not None: guest.end()
        if before is not None or (power in ("stopped", "crashed") and pid is not None):
            self._changed(guest.home.server_id, power)


