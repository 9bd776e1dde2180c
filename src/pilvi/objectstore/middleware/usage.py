"""How much each account holds and moves: GET /usage, for administrators and services (telemetry). One request for all, none per object.

The accounts are those with a copy on this process's devices: all of them unless the store is spread over several nodes. What accounts hold
is as old as the containers' last report to them, a few seconds; bytes received and sent are counted since `since`.
"""
from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from pilvi.objectstore.errors import Refused
from pilvi.objectstore.middleware.keystone import PREFIX
from pilvi.objectstore.node.database import Missing
from pilvi.objectstore.node.interface import NoAccount
from pilvi.objectstore.proxy.message import Handler, Request, Response, answer
from pilvi.objectstore.proxy.world import World

MAY = frozenset({"admin", "service"})


class Usage:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application, self.world = application, world

    async def __call__(self, request: Request) -> Response:
        if request.path != "/usage": return await self.application(request)
        if request.method != "GET": raise Refused(405, headers={"allow": "GET"})
        if not MAY & set(request.identity.roles): raise request.deny(request) if request.deny else Refused(401)
        found = []
        for account in sorted(await asyncio.get_running_loop().run_in_executor(self.world.application.threads, self._accounts)):
            try: stat = await self.world.store.account_stat(account)
            except NoAccount: continue
            received, sent = self.world.traffic.by_account.get(account, (0, 0))
            found.append({"account": account, "project_id": account.removeprefix(PREFIX), "containers": stat.containers,
                          "objects": stat.objects, "bytes": stat.size, "received_bytes": received, "sent_bytes": sent})
        body = msgspec.json.encode({"since": self.world.traffic.since, "accounts": found})
        return answer(200, body, "application/json")

    def _accounts(self) -> set[str]:
        """The names of the accounts on this process's devices."""
        node: Any = self.world.application.state["object_store"].members.local
        found = set()
        for device in node.devices.values():
            for partition, hashed in device.accounts.all():
                try: info = device.accounts.handle(partition, hashed).info()
                except Missing: continue
                if info.exists: found.add(info.account)
        return found
