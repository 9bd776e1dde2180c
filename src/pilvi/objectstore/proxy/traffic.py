"""How much comes in and goes out, by account: what telemetry asks for."""
from __future__ import annotations

from pilvi.core import clock


class Traffic:
    """Bytes that came in and went out, by account, since this process began."""

    def __init__(self) -> None:
        self.since = clock.now()
        self.by_account: dict[str, list[int]] = {}

    def count(self, path: str, received: int, sent: int) -> None:
        """Adds a request's."""
        pieces = path.split("/", 3)
        if len(pieces) < 3 or not (received or sent): return
        counted = self.by_account.setdefault(pieces[2], [0, 0])
        counted[0] += received
        counted[1] += sent
