"""Calling another service: typed functions in each service's `client.py` stand on `send`.

`run/` connects each service once per process: to the application object (no socket) or to an address. A call carries the caller's token,
request id, trace and grant. Failures come back as the kinds of core/errors, so that a caller can tell 404 from 409.
"""
from __future__ import annotations

import http.client
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, Full, LifoQueue
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from pilvi.core import errors, trace
from pilvi.core.context import Call
from pilvi.core.db.open import forbid_open
from pilvi.core.errors import Failure
from pilvi.core.http import trust

TIMEOUT_SECONDS = 60.0
KINDS: dict[int, type[Failure]] = {
    400: errors.Invalid, 401: errors.Unauthenticated, 403: errors.Forbidden, 404: errors.NotFound, 405: errors.NotAllowed,
    406: errors.NotAcceptable, 409: errors.Conflict, 412: errors.PreconditionFailed, 413: errors.TooLarge, 415: errors.Unsupported,
    501: errors.NotServed}


@dataclass(slots=True)
class Reply:
    """What came back."""
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body) if self.body else None


@dataclass(slots=True)
class Message:
    """What is sent."""
    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterator[bytes] = b""
    """Pieces only over a `Socket`, with their content-length among the headers."""


class Transport(Protocol):
    """A way to a service."""
    name: str

    def send(self, message: Message) -> Reply: ...


TRANSPORTS: dict[str, Transport] = {}


def connect(service: str, transport: Transport) -> None:
    """Says how this process reaches a service."""
    TRANSPORTS[service] = transport


def send(call: Call, service: str, method: str, path: str, *, query: dict[str, Any] | None = None, body: Any = None,
         headers: dict[str, str] | None = None, steps: dict[str, str] | None = None) -> Reply:
    """One request to another service on behalf of the call. `steps` names the callee's acts in the active trace.
    Raises the Failure of the status; Unavailable when the service cannot be reached."""
    forbid_open()
    transport = TRANSPORTS[service]
    sent = {"x-auth-token": call.token, "x-openstack-request-id": call.global_request_id or call.request_id, **(headers or {})}
    if body is not None: sent.setdefault("content-type", "application/json")
    if call.grant_text: sent["x-pilvi-grant"] = call.grant_text
    story = trace.ACTIVE.get()
    if story and steps: sent[trace.HEADER] = story.header(**steps)
    target = quote(path, safe="/:@!$&'()*+,;=~-._%") + (f"?{urlencode(query, doseq=True)}" if query else "")
    reply = transport.send(Message(method, target, sent, b"" if body is None else msgspec.json.encode(body)))
    if story: story.take(reply.headers.get(trace.SPANS_HEADER))
    if reply.status >= 400: raise failure_of(service, reply)
    return reply


def failure_of(service: str, reply: Reply) -> Failure:
    """The reply's error as a Failure with the service's message; `answer` among its facts is the body, where that was JSON."""
    message = reply.body[:400].decode(errors="replace")
    try: body = reply.json()
    except msgspec.DecodeError: body = None
    if isinstance(body, dict):
        inner = body.get("NeutronError") or body.get("error_message") or body.get("error") or (body.get("errors") or [None])[0] or \
            (next(iter(body.values())) if len(body) == 1 else body)
        if isinstance(inner, dict): message = str(inner.get("message") or inner.get("faultstring") or inner.get("detail") or message)
    kind = KINDS.get(reply.status)
    if kind is None: return errors.Unavailable(f"the {service} service answered {reply.status}: {message}")
    return kind(message, service=service, status=reply.status, answer=body)


class Socket:
    """A service at an address, over a small pool of kept connections. One that the other end has closed meanwhile is replaced."""
    name = "http"

    def __init__(self, url: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        parts = urlsplit(url)
        self.secure = parts.scheme == "https"
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or (443 if self.secure else 80)
        self.prefix = parts.path.rstrip("/")
        self.timeout_seconds = timeout_seconds
        self.idle: LifoQueue[http.client.HTTPConnection] = LifoQueue(16)

    def send(self, message: Message) -> Reply:
        """Raises Unavailable."""
        for fresh in (False, True):
            try:
                with self._connection(fresh) as connection:
                    connection.request(message.method, self.prefix + message.path, message.body, message.headers)
                    answer = connection.getresponse()
                    return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as failure:
                if fresh: raise errors.Unavailable(reason=f"{self.host}:{self.port} closed the connection") from failure
            except (OSError, http.client.HTTPException) as failure:
                raise errors.Unavailable(reason=f"{self.host}:{self.port} cannot be reached ({failure})") from failure
        raise AssertionError

    @contextmanager
    def stream(self, message: Message) -> Iterator[tuple[Reply, Callable[[int], bytes]]]:
        """The reply's head, and a function that reads its body piece by piece."""
        forbid_open()
        connection = self._new()
        try:
            connection.request(message.method, self.prefix + message.path, message.body, message.headers)
            answer = connection.getresponse()
            yield Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, b""), answer.read
        except (OSError, http.client.HTTPException) as failure:
            raise errors.Unavailable(reason=f"{self.host}:{self.port} broke off ({failure})") from failure
        finally:
            connection.close()

    def _new(self) -> http.client.HTTPConnection:
        if not self.secure: return http.client.HTTPConnection(self.host, self.port, timeout=self.timeout_seconds)
        return http.client.HTTPSConnection(self.host, self.port, timeout=self.timeout_seconds, context=trust.context())

    @contextmanager
    def _connection(self, fresh: bool) -> Iterator[http.client.HTTPConnection]:
        connection = None if fresh else self._kept()
        if connection is None:
            connection = self._new()
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try: yield connection
        except BaseException:
            connection.close()
            raise
        try: self.idle.put_nowait(connection)
        except Full: connection.close()

    def _kept(self) -> http.client.HTTPConnection | None:
        try: return self.idle.get_nowait()
        except Empty: return None
