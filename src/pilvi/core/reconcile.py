"""The loop around a pure plan: list what should be and what is, plan, execute; what was repaired is logged and counted."""
from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

LOG = structlog.get_logger()
REPAIRS: Counter[str] = Counter()
"""How often something had to be repaired, by loop and act."""


@dataclass
class Repeat:
    """A thread that calls `function` every so many seconds (± 10 %), sooner when poked; a failure is logged and the next turn comes."""
    name: str
    seconds: float
    function: Callable[[], Any]
    _poke: threading.Event = field(default_factory=threading.Event)
    _stop: bool = False
    _thread: threading.Thread | None = None

    def start(self) -> Repeat:
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()
        return self

    def poke(self) -> None:
        """Run soon."""
        self._poke.set()

    def stop(self) -> None:
        self._stop = True
        self._poke.set()
        if self._thread: self._thread.join(30)

    def _run(self) -> None:
        while not self._stop:
            self._poke.clear()
            try: self.function()
            except Exception: LOG.exception("loop failed", loop=self.name)
            if self._stop: return
            self._poke.wait(self.seconds * random.uniform(0.9, 1.1))


def repaired(loop: str, act: str, **facts: Any) -> None:
    """Counts and logs a repair."""
    REPAIRS[f"{loop}.{act}"] += 1
    LOG.warning("repaired", loop=loop, act=act, **facts)
