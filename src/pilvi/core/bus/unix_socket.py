"""The bus between the processes of one machine: the control process is the hub, all others are its clients, on one unix socket.

A frame is four bytes of length (big endian) and that many bytes of msgpack (frames.py). Both ends check who the other is by SO_PEERCRED.
Threads that send write to the socket themselves and one thread per connection reads: a hop over an event loop would double the cost.
"""
from __future__ import annotations

import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from pilvi.core.bus.exchange import Exchange
from pilvi.core.bus.frames import CALL, CAST, LOST, NOBODY, Announcement, Frame, Reply, Request, decode, encode
from pilvi.core.bus.interface import MAX_MESSAGE_BYTES
from pilvi.core.bus.workers import Answer, pick

MAX_FRAME_BYTES = MAX_MESSAGE_BYTES + 64 * 1024
SEND_LIMIT_SECONDS = 5
"""A peer that takes nothing for so long is cut off, so that it cannot hold up the others."""
BACK_OFF_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)

log = logging.getLogger("pilvi.bus")


class UnixSocketHub(Exchange):
    """The control process's end: serves targets of its own and routes between clients. Raises OSError from start() if another hub lives."""

    transport = "unix_socket"

    def __init__(self, path: Path, *, name: str = "control", allowed_uids: Collection[int] | None = None) -> None:
        super().__init__(name)
        self._path, self._allowed_uids = path, _with_own(allowed_uids)
        self._listener: socket.socket | None = None
        self._clients: list[_Connection] = []
        self._targets: dict[str, list[_Connection]] = {}
        self._topics: dict[str, list[_Connection]] = {}
        self._routed: dict[str, tuple[_Connection, Answer]] = {}
        """Calls under way in a client: which one, and who gets the answer."""
        self._routes = threading.Lock()

    def start(self) -> None:
        _remove_stale(self._path)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self._path))
        # Others than root and ourselves can connect only if they are expected; who they are is checked on each connection.
        os.chmod(self._path, 0o600 if self._allowed_uids <= {0, os.geteuid()} else 0o666)
        self._listener.listen(128)
        self._connected()
        threading.Thread(target=self._accept, args=(self._listener,), name="bus-accept", daemon=True).start()

    def health(self) -> str | None:
        return None if self._listener and not self._closed else "the bus is closed"

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try: sock, _ = listener.accept()
            except OSError as error:
                if self._closing: return
                log.error("%s: cannot accept a client: %s", self._path, error)
                time.sleep(BACK_OFF_SECONDS[-1])  # too many open files, for example: that may pass
                continue
            if (uid := _peer_uid(sock)) not in self._allowed_uids:
                log.warning("%s: uid %d is not allowed to connect", self._path, uid)
                sock.close()
                continue
            client = _Connection(sock)
            with self._routes: self._clients.append(client)
            threading.Thread(target=self._listen, args=(client,), name="bus-client", daemon=True).start()

    def _listen(self, client: _Connection) -> None:
        for frame in client.frames():
            if isinstance(frame, Request): self._route(frame, lambda reply: client.send(encode(reply)))
            elif isinstance(frame, Reply): self._reply(frame)
            else: self._note(client, frame)
        self._forget(client)

    def _transmit(self, request: Request) -> None:
        self._route(request, self._resolve)

    def _route(self, request: Request, answer: Answer) -> None:
        """To everyone who subscribed, or to one of those who serve; this process counts as one of them."""
        here = request.target in self._workers.targets
        if request.verb not in (CALL, CAST):
            with self._routes: clients = list(self._topics.get(request.target, ()))
            packed = encode(request)
            for client in clients: client.send(packed)
            self._workers.take(request, answer)
            return
        with self._routes:
            clients = self._targets.get(request.target, [])
            chosen = pick([*clients, None] if here else clients, request.id) if here or clients else None
            if chosen and request.verb == CALL: self._routed[request.id] = (chosen, answer)
        if chosen: chosen.send(encode(request))
        elif here: self._workers.take(request, answer)
        elif request.verb == CALL: answer(Reply(request.id, NOBODY))

    def _reply(self, reply: Reply) -> None:
        with self._routes: _, answer = self._routed.pop(reply.id, (None, None))
        if answer: answer(reply)

    def _note(self, client: _Connection, announcement: Announcement) -> None:
        with self._routes:
            _withdraw(client, self._targets, self._topics)
            for target in announcement.targets: self._targets.setdefault(target, []).append(client)
            for topic in announcement.topics: self._topics.setdefault(topic, []).append(client)
        log.debug("%s serves %s", announcement.name, ", ".join(announcement.targets) or "nothing")

    def _forget(self, client: _Connection) -> None:
        client.close()
        with self._routes:
            if client in self._clients: self._clients.remove(client)
            _withdraw(client, self._targets, self._topics)
            lost = [(request_id, answer) for request_id, (chosen, answer) in self._routed.items() if chosen is client]
            for request_id, _ in lost: del self._routed[request_id]
        for request_id, answer in lost: answer(Reply(request_id, LOST))

    def _announce(self) -> None:
        """Routes look at the workers themselves."""

    def _disconnect(self, drain_seconds: float) -> None:
        if self._listener:
            # Not every kernel wakes accept() on close; shutdown does.
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._path.unlink(missing_ok=True)
        self._workers.close(drain_seconds)
        with self._routes: clients = list(self._clients)
        for client in clients: client.close()


class UnixSocketClient(Exchange):
    """An agent's end: connects for ever, announces after each connection what it serves."""

    transport = "unix_socket"

    def __init__(self, path: Path, *, name: str, allowed_uids: Collection[int] | None = None) -> None:
        """`allowed_uids`: who the hub may be, beside root and this process's own user."""
        super().__init__(name)
        self._path, self._allowed_uids = path, _with_own(allowed_uids)
        self._hub: _Connection | None = None
        self._problem = "not started"
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._keep_connected, name="bus-hub", daemon=True)

    def start(self) -> None:
        self._problem = "not yet connected"
        self._thread.start()

    def health(self) -> str | None:
        return None if self._hub else f"no connection to the control process ({self._path}): {self._problem}"

    def _keep_connected(self) -> None:
        failures = 0
        while not self._ends.is_set():
            try: hub = self._connect()
            except OSError as error:
                self._problem = error.strerror or str(error)
                self._ends.wait(BACK_OFF_SECONDS[min(failures, len(BACK_OFF_SECONDS) - 1)])
                failures += 1
                continue
            failures, self._hub = 0, hub
            if self._ends.is_set(): hub.close()  # close() came too early to see it
            self._announce()
            self._connected()
            for frame in hub.frames(): self._take(frame, hub)
            self._hub, self._problem = None, "the control process has gone"
            hub.close()
            # A hub that accepts and hangs up at once (it does not know our uid) must not be asked without a pause.
            self._ends.wait(BACK_OFF_SECONDS[0])

    def _connect(self) -> _Connection:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(str(self._path))
            if (uid := _peer_uid(sock)) not in self._allowed_uids: raise PermissionError(f"the hub belongs to uid {uid}")
        except OSError:
            sock.close()
            raise
        return _Connection(sock)

    def _take(self, frame: Frame, hub: _Connection) -> None:
        if isinstance(frame, Request): self._workers.take(frame, lambda reply: hub.send(encode(reply)))
        elif isinstance(frame, Reply): self._resolve(frame)

    def _transmit(self, request: Request) -> None:
        if hub := self._hub: hub.send(encode(request))

    def _announce(self) -> None:
        if hub := self._hub: hub.send(encode(Announcement(self.name, self._workers.targets, self._workers.topics)))

    def _disconnect(self, drain_seconds: float) -> None:
        self._ends.set()
        if hub := self._hub: hub.send(encode(Announcement(self.name, [], [])))
        self._workers.close(drain_seconds)
        if hub := self._hub: hub.close()
        if self._thread.ident: self._thread.join(drain_seconds + 1)


class _Connection:
    """One end of an accepted or connected socket."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_LIMIT_SECONDS, 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * 1024)
        self._sock, self._lock = sock, threading.Lock()

    def send(self, body: bytes) -> None:
        """Sends it whole or breaks the connection; the reading thread then sees the end."""
        try:
            with self._lock: self._sock.sendall(len(body).to_bytes(4, "big") + body)
        except OSError as error:
            if isinstance(error, BlockingIOError): log.warning("a peer took nothing for %d seconds and is cut off", SEND_LIMIT_SECONDS)
            self.close()

    def frames(self) -> Iterator[Frame]:
        """What arrives, until the end of the connection."""
        with self._sock.makefile("rb", buffering=64 * 1024) as stream:
            try:
                while len(head := stream.read(4)) == 4:
                    size = int.from_bytes(head, "big")
                    if size > MAX_FRAME_BYTES: raise msgspec.DecodeError(f"a frame of {size} bytes")
                    if len(body := stream.read(size)) < size: return
                    yield decode(body)
            except OSError: return
            except msgspec.DecodeError as error: log.warning("a peer sent what cannot be read and is cut off: %s", error)

    def close(self) -> None:
        """Also ends `frames` in the thread that reads."""
        try: self._sock.shutdown(socket.SHUT_RDWR)
        except OSError: pass  # has gone already
        self._sock.close()


def _with_own(allowed_uids: Collection[int] | None) -> set[int]:
    return {0, os.geteuid(), *(allowed_uids or ())}


def _peer_uid(sock: socket.socket) -> int:
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(uid)


def _remove_stale(path: Path) -> None:
    """Removes the socket of a hub that was killed. Raises OSError if one answers there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try: probe.connect(str(path))
        except FileNotFoundError: return
        except ConnectionRefusedError: path.unlink(missing_ok=True)
        else: raise OSError(f"another control process listens at {path}")


def _withdraw(client: _Connection, *maps: dict[str, list[_Connection]]) -> None:
    for routes in maps:
        for name, clients in list(routes.items()):
            if client in clients: clients.remove(client)
            if not clients: del routes[name]


