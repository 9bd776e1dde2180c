"""A node in another process: interface.py's `Node` over HTTP."""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import quote
from weakref import WeakKeyDictionary

import aiohttp
import msgspec
from yarl import URL

from pilvi.objectstore.node import wire
from pilvi.objectstore.node.interface import NodeDown, ObjectInfo
from pilvi.objectstore.node.record import Record

TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=2.0, sock_read=30.0)
HEAD = msgspec.msgpack.Decoder(tuple[Record, ObjectInfo])


Send = Callable[[AsyncIterator[bytes]], AbstractAsyncContextManager[aiohttp.ClientResponse]]


class RemoteNode:
    """The node at a URL; a session for each event loop that uses it."""

    def __init__(self, url: str, key: bytes) -> None:
        self.url, self._key = url.rstrip("/"), wire.node_key(key)
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = WeakKeyDictionary()

    def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        found = self._sessions.get(loop)
        if found is None or found.closed:
            connector = aiohttp.TCPConnector(limit=64, keepalive_timeout=20)
            found = aiohttp.ClientSession(timeout=TIMEOUT, connector=connector, auto_decompress=False)
            self._sessions[loop] = found
        return found

    def request(self, method: str, path: str,
                body: bytes | AsyncIterator[bytes] | None) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """A signed request; of a stream the body is not part of the signature."""
        signed = wire.sign(self._key, method, path, body if isinstance(body, bytes) else None)
        return self._session().request(method, URL(self.url + path, encoded=True), headers={wire.SIGNATURE: signed}, data=body)

    async def call(self, device: str, operation: str, *arguments: Any) -> Any:
        body = wire.encode(arguments)
        path = f"/call/{quote(device)}/{operation}"
        for attempt in (1, 2):
            try:
                async with self.request("POST", path, body) as response: answer = await response.read()
                break
            except aiohttp.ServerDisconnectedError as failure:  # an idle connection that the node had closed
                if attempt == 2: raise NodeDown(reason=str(failure)) from failure
            except (aiohttp.ClientError, TimeoutError, OSError) as failure: raise NodeDown(reason=f"{self.url}: {failure}") from failure
        if response.status != 200: raise wire.decode_failure(answer)
        return wire.decode_result(operation, answer)

    async def upload(self, device: str, folder: str, partition: int, hashed: str) -> RemoteUpload:
        await self.call(device, "check_room")
        path = f"/upload/{quote(device)}/{folder}/{partition}/{hashed}"
        return RemoteUpload(lambda frames: self.request("POST", path, frames))

    async def open(self, device: str, folder: str, partition: int, hashed: str, past: bool) -> RemoteSource:
        place = f"{quote(device)}/{folder}/{partition}/{hashed}"
        answer = await self._get(f"/open/{place}?past={int(past)}")
        length = int.from_bytes(answer[:4], "little")
        record, info = HEAD.decode(answer[4:4 + length])
        return RemoteSource(self, f"/read/{place}?timestamp={record.timestamp}", record, info, answer[4 + length:])

    async def ring_versions(self) -> dict[str, int]:
        """Which rings it has."""
        return msgspec.msgpack.decode(await self._get("/rings"), type=dict[str, int])

    async def send_ring(self, name: str, content: bytes) -> None:
        """Gives it one."""
        try:
            async with self.request("POST", f"/rings/{name}", content) as response: answer = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as failure: raise NodeDown(reason=f"{self.url}: {failure}") from failure
        if response.status != 200: raise wire.decode_failure(answer)

    async def _get(self, path: str) -> bytes:
        try:
            async with self.request("GET", path, None) as response: answer = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as failure: raise NodeDown(reason=f"{self.url}: {failure}") from failure
        if response.status != 200: raise wire.decode_failure(answer)
        return answer

    async def stream(self, path: str) -> AsyncIterator[bytes]:
        """The body of an answer in pieces."""
        try:
            async with self.request("GET", path, None) as response:
                if response.status != 200: raise wire.decode_failure(await response.read())
                async for piece in response.content.iter_any(): yield piece
        except (aiohttp.ClientError, TimeoutError, OSError) as failure: raise NodeDown(reason=f"{self.url}: {failure}") from failure

    async def close(self) -> None:
        """Ends this event loop's session."""
        found = self._sessions.pop(asyncio.get_running_loop(), None)
        if found: await found.close()


class RemoteUpload:
    """An upload as one request whose frames are sent as they come."""

    def __init__(self, send: Send) -> None:
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue(2)
        self._answer = asyncio.ensure_future(self._exchange(send))
        self._ended = False

    async def _exchange(self, send: Send) -> None:
        try:
            async with send(self._stream()) as response: answer = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as failure: raise NodeDown(reason=str(failure)) from failure
        if response.status != 200: raise wire.decode_failure(answer)

    async def _stream(self) -> AsyncIterator[bytes]:
        while (frame := await self._frames.get()) is not None: yield frame

    async def _give(self, frame: bytes | None) -> None:
        putting = asyncio.ensure_future(self._frames.put(frame))
        await asyncio.wait((putting, self._answer), return_when=asyncio.FIRST_COMPLETED)
        if not putting.done():
            putting.cancel()
            self._answer.result()  # raises why the node has answered before the end
            raise NodeDown(reason="it answered before the end")

    async def write(self, piece: bytes) -> None:
        await self._give(b"D" + len(piece).to_bytes(4, "little"))
        await self._give(piece)

    async def commit(self, record: Record, if_none_match: bool, tell: list[int]) -> None:
        body = wire.encode((record, if_none_match, tell))
        await self._give(b"C" + len(body).to_bytes(4, "little") + body)
        self._ended = True
        await self._give(None)
        await self._answer

    async def abort(self) -> None:
        if self._ended: return
        self._ended = True
        self._answer.cancel()
        await asyncio.wait((self._answer,))


class RemoteSource:
    """A file of another node."""

    def __init__(self, node: RemoteNode, path: str, record: Record, info: ObjectInfo, head: bytes) -> None:
        self._node, self._path, self.record, self.info, self.head = node, path, record, info, head

    async def read(self, start: int, stop: int) -> AsyncIterator[bytes]:
        if self.head:
            yield self.head[start:stop]
            return
        have = start
        async for piece in self._node.stream(f"{self._path}&start={start}&stop={stop}"):
            have += len(piece)
            yield piece
        if have < stop: raise NodeDown(reason="the node's answer ends early")

    async def close(self) -> None:
        pass
