"""The sender: a loop that tells the other container of each row that is new here, with the object as a client would put it.

How far a copy's rows were told is kept in its database, so after a death it goes on; telling twice does no harm, for the object's own
timestamp goes with it and the newest wins there too.
"""
from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from urllib.parse import quote, urlsplit

import aiohttp
import structlog
from yarl import URL

from pilvi.core.errors import Failure
from pilvi.core.reconcile import repaired
from pilvi.objectstore import timestamp as time
from pilvi.objectstore.loops.work import Work
from pilvi.objectstore.node import container, shard
from pilvi.objectstore.node.container import ObjectRow
from pilvi.objectstore.node.database import Handle, Missing
from pilvi.objectstore.node.interface import NoContainer
from pilvi.objectstore.proxy.message import Handler, Request
from pilvi.objectstore.sync.realms import Realms, UnknownTarget, signature

ROWS = 500
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=60.0)
TO, KEY = "x-container-sync-to", "x-container-sync-key"
LEFT_OUT = ("date", "last-modified", "accept-ranges", "x-timestamp", "x-trans-id", "x-openstack-request-id", "x-static-large-object")
INNER = ("x-backend-", "x-object-sysmeta-", "x-object-transient-sysmeta-")
LOG = structlog.get_logger()
Send = Callable[[str, str, Mapping[str, str], AsyncIterator[bytes] | None], Awaitable[int]]
"""(method, URL, headers, body) -> status. Raises OSError, TimeoutError."""


class Sender:
    """A loop. `read`: the part of the chain below authentication."""

    def __init__(self, realms: Realms, read: Handler, send: Send | None = None) -> None:
        self._realms, self._read, self._send = realms, read, send or over_http
        self._rested: dict[str, tuple[int, bool]] = {}
        self._ahead: dict[tuple[str, str], set[tuple[str, int]]] = {}
        """{(path of a database, target): rows that were told although an earlier one could not be}"""

    async def __call__(self, work: Work) -> None:
        """One round over the containers this process looks after."""
        if not self._realms.all(): return
        ring = work.members.rings["container"]
        for device in work.devices():
            for place in await work.run(device.containers.all):
                path, leads = device.containers.path(*place), work.leads(ring, place[0])
                state = device.containers.writes[path], leads
                if self._rested.get(path) == state: continue
                try: done = not leads or await self._container(work, device.containers.handle(*place))
                except (Missing, NoContainer, Failure): continue  # the next round
                if done: self._rested[path] = state

    async def _container(self, work: Work, handle: Handle) -> bool:
        """Tells what is new in one; True when all is told."""
        info = await work.run(handle.info)
        account, name = info.details.get("root") or (info.account, info.container)
        facts = info.shown if not shard.is_shard(info) else (await work.store.container_stat(account, name)).metadata
        if not facts.get(TO) or not facts.get(KEY) or container.plan_of(info).active: return not info.details.get("root")
        try: target, realm, realm_key = self._realms.target(facts[TO])
        except UnknownTarget as failure:
            LOG.warning("container sync", account=account, container=name, reason=str(failure))
            return False
        peer = f"sync {facts[TO]}"
        ahead = self._ahead.setdefault((handle.path, peer), set())
        rows, last = await work.run(lambda: shard.rows_after(handle, handle.point(peer)[0], ROWS))
        told = 0
        for row in rows:
            if (row.name, moment(row)) in ahead: continue
            if await self._tell(account, name, row, target, realm, realm_key, facts[KEY]):
                ahead.add((row.name, moment(row)))
                told += 1
        if told: repaired("sync", "tell", account=account, container=name, rows=told)
        if len({(row.name, moment(row)) for row in rows} - ahead): return False
        ahead.clear()
        await work.run(handle.set_point, peer, last, "")
        return not rows and not info.details.get("root")

    async def _tell(self, account: str, name: str, row: ObjectRow, target: str, realm: str, realm_key: str, user_key: str) -> bool:
        """One object or its end; False: not now."""
        method, address, at = "DELETE" if row.deleted else "PUT", f"{target}/{quote(row.name)}", time.text(moment(row))
        nonce = secrets.token_hex(16)
        sign = signature(method, urlsplit(address).path, at, nonce, realm_key, user_key)
        headers = {"x-timestamp": at, "x-container-sync-auth": f"{realm} {nonce} {sign}"}
        try:
            if row.deleted: return await self._send(method, address, headers, None) in (200, 202, 204, 404, 409)
            query = {"multipart-manifest": "get", "format": "raw", "symlink": "get"}
            found = await self._read(Request("GET", f"/v1/{account}/{name}/{row.name}", query, {"x-newest": "true"}))
            try:
                if found.status == 404: return True  # it has ended meanwhile; that is a later row
                if not found.ok or time.parse(found.headers.get("x-timestamp", "0")) < moment(row): return False
                if "x-static-large-object" in found.headers: address += "?multipart-manifest=put"
                kept = {n: v for n, v in found.headers.items() if n not in LEFT_OUT and not n.startswith(INNER)}
                if "x-static-large-object" in found.headers: kept.pop("etag", None)
                if isinstance(found.body, bytes): kept["content-length"] = str(len(found.body))
                elif found.ranged: kept["content-length"] = str(found.ranged.length)
                return await self._send(method, address, kept | headers, found.pieces()) in (200, 201, 202, 409)
            finally: await found.close()
        except (OSError, TimeoutError) as failure:
            LOG.info("container sync", target=address, reason=str(failure))
            return False


def moment(row: ObjectRow) -> int:
    """When it was last put, or its metadata posted."""
    return max(row.timestamp, row.posted)


async def over_http(method: str, address: str, headers: Mapping[str, str], body: AsyncIterator[bytes] | None) -> int:
    """The request, over the network; a connection for each, as they go to few places and now and then."""
    try:
        async with aiohttp.ClientSession(timeout=TIMEOUT, skip_auto_headers=["Content-Type"]) as session, \
                session.request(method, URL(address, encoded=True), headers=headers, data=body, allow_redirects=False) as response:
            return response.status
    except aiohttp.ClientError as failure: raise OSError(str(failure)) from failure
