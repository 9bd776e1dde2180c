"""The bus within one process. Messages are packed and unpacked as on a wire, so that nobody shares objects."""
from __future__ import annotations

from pilvi.core.bus.exchange import Exchange
from pilvi.core.bus.frames import Request


class MemoryBus(Exchange):
    """All who are to talk with one another share one of these."""

    transport = "memory"

    def __init__(self, name: str = "memory") -> None:
        super().__init__(name)

    def start(self) -> None:
        """There is nothing to connect to."""

    def health(self) -> str | None:
        return "closed" if self._closed else None

    def _transmit(self, request: Request) -> None:
        self._workers.take(request, self._resolve)

    def _announce(self) -> None:
        """Nobody else is there to be told."""

    def _disconnect(self, drain_seconds: float) -> None:
        self._workers.close(drain_seconds)
