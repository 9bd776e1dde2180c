"""How many objects may be put and deleted in one container in a second: more wait for their turn, up to WAIT_SECONDS, then 498.

Each process counts for itself.
"""
from __future__ import annotations

import asyncio

from pilvi.core import clock
from pilvi.objectstore.errors import Refused
from pilvi.objectstore.proxy.message import PLAIN, Handler, Request, Response
from pilvi.objectstore.proxy.world import World

WAIT_SECONDS = 60.0
MOST = 10_000


class RateLimit:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application, self.rate = application, world.config.writes_per_second
        self.turns: dict[str, float] = {}
        """{account/container: when the next one's turn is}"""
        if self.rate: world.info["ratelimit"] = {"max_sleep_time_seconds": WAIT_SECONDS, "container_ratelimits": [[0, self.rate]]}

    async def __call__(self, request: Request) -> Response:
        _, account, container, name = request.parts
        if not self.rate or not name or request.method not in ("PUT", "DELETE", "POST", "COPY"): return await self.application(request)
        key, now = f"{account}/{container}", clock.monotonic()
        if len(self.turns) > MOST: self.turns = {k: turn for k, turn in self.turns.items() if turn > now}
        turn = max(self.turns.get(key, 0.0), now)
        if turn - now > WAIT_SECONDS: raise Refused(498, "Slow down", PLAIN, {"retry-after": "1"})
        self.turns[key] = turn + 1 / self.rate
        if turn > now: await asyncio.sleep(turn - now)
        return await self.application(request)
