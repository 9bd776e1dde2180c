"""Runs the loops in a thread with an event loop of its own, so that requests don't wait for them."""
from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import structlog

from pilvi.core.drivers import Drivers
from pilvi.core.errors import Unavailable
from pilvi.objectstore.cluster.options import StorageOptions
from pilvi.objectstore.cluster.rings import RingFiles
from pilvi.objectstore.cluster.store import ClusterStore
from pilvi.objectstore.loops.audit import audit
from pilvi.objectstore.loops.expire import expire
from pilvi.objectstore.loops.join import Join
from pilvi.objectstore.loops.reap import reap
from pilvi.objectstore.loops.reconcile import reconcile
from pilvi.objectstore.loops.reconstruct import reconstruct
from pilvi.objectstore.loops.relink import relink
from pilvi.objectstore.loops.replicate import replicate
from pilvi.objectstore.loops.shard import shard
from pilvi.objectstore.loops.update import update
from pilvi.objectstore.loops.work import Work
from pilvi.objectstore.node.local import LocalNode

JOIN_SECONDS = 2.0
LOG = structlog.get_logger()
DOORS = Drivers[Any]({"http": "pilvi.objectstore.node.server:NodeServer"})
"""Loaded with its HTTP library only where other nodes are let in."""
Round = Callable[[Work], Awaitable[None]]


def schedule(options: StorageOptions) -> dict[Round, float]:
    """{loop: seconds between two rounds}"""
    if not options.replicate_seconds: return {}
    return {update: 1.0, relink: JOIN_SECONDS, expire: 5.0, reap: 5.0, replicate: options.replicate_seconds,
            reconstruct: options.replicate_seconds, shard: options.replicate_seconds, reconcile: 10 * options.replicate_seconds,
            audit: 10 * options.replicate_seconds}


class Loops:
    """The loops of one process over its devices, and their door for other nodes."""

    def __init__(self, store: ClusterStore, options: StorageOptions, directory: Path) -> None:
        local = store.members.local
        if not isinstance(local, LocalNode): raise TypeError("loops run where devices are")
        self.work, self._options = Work(store, local, options), options
        self._rings = RingFiles(directory, store.members)
        self._local = local
        self._join = Join(directory, self._rings)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="object-loops", daemon=True)
        self._main: asyncio.Task[None] | None = None
        self._listening: Future[None] = Future()

    def start(self) -> Loops:
        """Returns once other nodes can reach this one. Raises OSError when the address is taken."""
        self._thread.start()
        self._listening.result(60)
        return self

    def stop(self) -> None:
        """Ends them where they are: every step may be done again."""
        self._loop.call_soon_threadsafe(lambda: self._main.cancel() if self._main else None)
        self._thread.join(60)
        self.work.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._main = self._loop.create_task(self._all())
        try: self._loop.run_until_complete(self._main)
        except asyncio.CancelledError: pass
        finally:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _all(self) -> None:
        runner = await self._listen()
        rounds: dict[Round, float] = {self._join: JOIN_SECONDS, **schedule(self._options)}
        try: await asyncio.gather(*(self._again(function, seconds) for function, seconds in rounds.items()))
        finally:
            if runner: await runner.cleanup()
            await self.work.members.leave_loop()

    async def _listen(self) -> Any:
        try:
            runner = None
            if self._options.node_listen:
                runner = await DOORS["http"](self._local, self.work.members.key, self._rings).listen(self._options.node_listen)
        except BaseException as failure:
            self._listening.set_exception(failure)
            raise
        self._listening.set_result(None)
        return runner

    async def _again(self, function: Round, seconds: float) -> None:
        while True:
            try: await function(self.work)
            except Unavailable as failure: LOG.info("loop waits", loop=function.__module__, reason=failure.message)
            except Exception: LOG.exception("loop failed", loop=function.__module__)
            await asyncio.sleep(seconds)
