"""QMP, QEMU's control socket, for threads: one private event loop drives every machine's client.

Source: QEMU documentation, "QEMU Machine Protocol Specification" and "QMP Reference Manual".
"""
from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import queue
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from qemu.qmp import EventListener, ExecuteError, Message, QMPClient, QMPError, Runstate

from pilvi.compute.drivers.interface import HypervisorFailure

T = TypeVar("T")
Event = dict[str, Any]
# it logs every end of QEMU as an error with a traceback; ends are reported by `lost`
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)


class Refused(HypervisorFailure):
    """QEMU answered a command with an error."""


class Loop:
    """An asyncio loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="qmp", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Run it there and wait here."""
        if not self._thread.is_alive():
            work.close()
            raise HypervisorFailure("the driver is closed")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise HypervisorFailure(f"QEMU did not answer within {seconds:g} s") from None

    def close(self) -> None:
        """May be repeated."""
        if self._loop.is_closed(): return
        self.run(_end_all(), 10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


async def _end_all() -> None:
    """End what still runs in this loop, lest it be torn apart with it."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others: task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Monitor:
    """The connection to one machine. `noticed` is called in the loop's thread, at every event and when the connection is lost: it must not
    block.
    """

    def __init__(self, loop: Loop, name: str, noticed: Callable[[], None]) -> None:
        self._loop, self._noticed = loop, noticed
        self._client = QMPClient(name)
        self._waiting: list[queue.SimpleQueue[Event]] = []
        self._one_at_a_time = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self.connected = False

    def connect(self, path: Path, pid: int, seconds: float) -> None:
        """Connect to the socket that the process `pid` listens on.

        The folder of the socket belongs to the guest's user: without the check a guest that broke out of QEMU could point us at another's.
        """
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            link.settimeout(seconds)
            link.connect(str(path))
            listener = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
            if listener != pid: raise HypervisorFailure(f"{path} is process {listener}'s, not {pid}'s")
            link.setblocking(False)
            self._loop.run(self._connect(link), seconds)
        except (OSError, QMPError) as error:
            link.close()
            raise HypervisorFailure(f"QEMU's control socket {path}: {error}") from error
        except HypervisorFailure:
            link.close()
            raise

    async def _connect(self, link: socket.socket) -> None:
        listener = EventListener()
        self._client.register_listener(listener)
        await self._client.connect(link)
        self.connected = True
        self._tasks = [asyncio.create_task(self._pump(listener)), asyncio.create_task(self._until_lost())]

    async def _pump(self, listener: EventListener) -> None:
        async for event in listener:
            for waiting in self._waiting: waiting.put(dict(event))
            self._noticed()

    async def _until_lost(self) -> None:
        while self._client.runstate == Runstate.RUNNING:
            await self._client.runstate_changed()
        self.connected = False
        try:
            await self._client.disconnect()
        except (QMPError, EOFError, OSError):
            pass  # how it ended does not matter; the process is looked at
        self._tasks[0].cancel()
        self._noticed()

    def execute(self, command: str, arguments: dict[str, Any] | None = None, seconds: float = 30) -> Any:
        """One command; Refused when QEMU says no."""
        return self._loop.run(self._execute(command, arguments, None), seconds)

    def execute_with_descriptor(self, command: str, arguments: dict[str, Any], descriptor: int, seconds: float = 30) -> Any:
        """`add-fd` or `getfd`: the descriptor travels just before the command and stays open here."""
        return self._loop.run(self._execute(command, arguments, descriptor), seconds)

    async def _execute(self, command: str, arguments: dict[str, Any] | None, descriptor: int | None) -> Any:
        message: dict[str, object] = {"execute": command}
        if arguments is not None: message["arguments"] = arguments
        async with self._one_at_a_time:
            try:
                if descriptor is not None: self._client.send_fd_scm(descriptor)
                return await self._client.execute_msg(Message(message))
            except ExecuteError as error:
                raise Refused(f"{command}: {error}") from None
            except (QMPError, EOFError, OSError) as error:
                raise HypervisorFailure(f"{command}: QEMU is gone ({error})") from error

    @contextmanager
    def events(self) -> Iterator[Callable[[Callable[[Event], bool], float], bool]]:
        """Listen from here on; inside, `wait(wanted, seconds)` says whether such an event came in time."""
        heard: queue.SimpleQueue[Event] = queue.SimpleQueue()

        def wait(wanted: Callable[[Event], bool], seconds: float) -> bool:
            deadline = time.monotonic() + seconds
            while (left := deadline - time.monotonic()) > 0:
                try:
                    if wanted(heard.get(timeout=min(left, 1))): return True
                except queue.Empty:
                    if not self.connected: return False
            return False

        self._waiting.append(heard)
        try:
            yield wait
        finally:
            self._waiting.remove(heard)

    def close(self) -> None:
        """Let go; the machine runs on."""
        async def disconnect() -> None:
            for task in self._tasks: task.cancel()
            try:
                await self._client.disconnect()
            except (QMPError, EOFError, OSError):
                pass
        self.connected = False
        self._loop.run(disconnect(), 10)
