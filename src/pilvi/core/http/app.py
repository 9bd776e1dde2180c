"""A service as an application: from a request to a response, in the order a request travels.

`handle` is plain synchronous code and may be called from any thread; so a service in the same process is called without a socket
(`inprocess.py`) and with the same JSON, policy and errors. `__call__` is the ASGI edge: it reads the body, hops once to a thread of this
service's pool and sends the answer. Routes with `stream=True` stay on the event loop.
"""
from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

import msgspec
import structlog

from pilvi.core import clock, crypto, events, trace
from pilvi.core.bus.interface import Bus
from pilvi.core.context import REQUEST_ID, Call, Identity
from pilvi.core.crypto import new_id
from pilvi.core.db.session import Database
from pilvi.core.errors import Failure, Forbidden, Invalid, NotAllowed, NotFound, TooLarge, Unauthenticated, Unavailable
from pilvi.core.http import auth, cors, faults, limits
from pilvi.core.http.routes import ANYONE, Route, Routes, choose, offered
from pilvi.core.policy import Rules
from pilvi.core.resource import Answer
from pilvi.core.service import Service

LOG = structlog.get_logger()


@dataclass(slots=True)
class Request:
    """What a client sent. `path` is below the service's mount point, percent-encoded as it came; `base` is the address of that mount point
    as the client wrote it."""
    method: str
    path: str
    query_string: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    base: str = ""
    transport: str = "http"
    client: str = ""

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query's pairs in order, repeated names included."""
        return parse_qsl(self.query_string, keep_blank_values=True)

    def one(self, name: str) -> str | None:
        """The last value of a query parameter."""
        found = [value for key, value in self.query if key == name]
        return found[-1] if found else None


@dataclass(slots=True)
class Response:
    """What goes back. `body`: bytes as they are, anything else as JSON, None for nothing; or `chunks` for bytes in pieces."""
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    chunks: Iterable[bytes] | None = None

    def payload(self) -> bytes:
        """The body's bytes."""
        if self.body is None: return b""
        return self.body if isinstance(self.body, bytes) else msgspec.json.encode(self.body)


SENT = Response()
"""What a stream's function returns that has sent its answer itself."""


class Application:
    """A running service."""

    def __init__(self, service: Service, *, database: Database, bus: Bus | None = None, config: Any = None, region: str = "RegionOne",
                 policy_file: Path | None = None, grant_key: bytes = b"", identity_url: str = "") -> None:
        self.service, self.database, self.bus, self.region, self.grant_key = service, database, bus, region, grant_key
        self.config: Any = config if config is not None else (service.config() if service.config else None)
        self.identity_url = identity_url
        self.policy = Rules({**service.rules, **{n: r for res in service.resources for n, r in res.rules(service.name).items()}},
                            policy_file)
        self.authenticator = auth.Authenticator(service.name)
        self.routes = Routes([*service.routes, *(route for resource in service.resources for route in resource.routes(service.name))])
        self.threads = ThreadPoolExecutor(limits.HANDLER_THREADS, thread_name_prefix=service.name)
        self.began_at = clock.now()
        self.state: dict[str, Any] = {}
        """What a service keeps while it runs (drivers, workers), by name; filled by its `start`."""

    def silent_since(self, seconds: float) -> float:
        """Whoever was last heard of before this instant keeps silent: for so long, in which this process could have heard."""
        now = clock.now()
        return now - seconds if now - self.began_at >= seconds else 0.0

    # -- the request's way

    def handle(self, request: Request) -> Response:
        """Answers a request. Never raises."""
        call = self._call(request)
        story = call.trace
        before = events.CALLER.set(call)
        try:
            with trace.active(story): response = self._answer(call, request)
        except Failure as failure:
            response = self.fault(failure, call)
        except Exception:
            LOG.exception("request failed", service=self.service.name, method=request.method, path=request.path, request_id=call.request_id)
            response = self.fault(_Unexpected(), call)
        finally:
            events.CALLER.reset(before)
        self._finish(call, request, response, story)
        return response

    def _call(self, request: Request) -> Call:
        given = request.headers.get("x-openstack-request-id", "")
        call = Call(application=self, request=request, token=request.headers.get("x-auth-token", ""))
        call.request_id = self.service.request_prefix + new_id()
        call.global_request_id = given if REQUEST_ID.fullmatch(given) else ""
        call.trace = trace.from_header(request.headers.get(trace.HEADER))
        if self.service.microversions: call.version = self.service.microversions.least
        return call

    def _answer(self, call: Call, request: Request) -> Response:
        if request.path in ("", "/") and request.method in ("GET", "HEAD"):
            status, document = self.service.versions(request)
            return Response(status, document)
        entry, names = self.resolve(call, request)
        if entry.stream: raise NotAllowed(method=request.method, allow="")
        if not entry.raw and (entry.body is not None or request.method in ("POST", "PUT", "PATCH")):
            call.body = faults.parse(request.body, request.headers.get("content-type", ""))
        if entry.body is not None: _schema(entry.body, call.version).check(call.body)
        return self.run(entry, call, names)

    def resolve(self, call: Call, request: Request) -> tuple[Route, dict[str, str]]:
        """The route and its parameters, after version, token and policy have been looked at."""
        path = self._without_project(request.path)
        try: found: Any = self.routes.find(path)
        except NotFound as failure: found = failure
        candidates = [] if isinstance(found, NotFound) else offered(found[0], request.method)
        open_to_all = bool(candidates) and all(entry.policy == ANYONE for entry in candidates)
        _check_target(request)
        if self.service.microversions: call.version = self.service.microversions.negotiate(request.headers)
        if not open_to_all:
            if candidates and candidates[0].story and call.trace is None: self._begin_story(call, request, candidates[0].story)
            self.authenticate(call, request)
        elif call.token:
            try: self.authenticate(call, request)
            except Unauthenticated: pass
        if isinstance(found, NotFound): raise found
        self._check_project(call, request)
        entry = choose(found[0], request.method, call.version)
        if entry.policy and not call.allowed(entry.policy): raise Forbidden(action=entry.policy)
        return entry, dict(zip(self.routes.names(entry), found[1], strict=True))

    def _begin_story(self, call: Call, request: Request, steps: dict[str, str]) -> None:
        call.trace = trace.Trace(steps=steps)
        trace.ACTIVE.set(call.trace)
        trace.mark(steps.get("arrive"), "client", f"{self.service.name} API", request.transport, method=request.method, path=request.path)

    def authenticate(self, call: Call, request: Request) -> None:
        """Fills in who calls. Raises Unauthenticated."""
        call.identity = self.authenticator.identify(call.token, request.transport)
        self._check_access_rules(call.identity, request)
        grant = request.headers.get("x-pilvi-grant")
        if grant and "service" in call.identity.roles:
            statement = crypto.verify(self.grant_key, grant, clock.now())
            if statement: call.grant, call.grant_text = statement["things"], grant  # what this service asks of others is within it too

    def _check_access_rules(self, identity: Identity, request: Request) -> None:
        """An application credential may be good for some requests only: of its user, not of the services that act on them; what a token is
        may always be asked. Raises Unauthenticated, as upstream's middleware does."""
        rules = identity.delegation.access_rules if identity.delegation else None
        if rules is None or request.transport == "in-process": return
        if self.service.name == "identity" and request.method in ("GET", "HEAD") and request.path == "/v3/auth/tokens": return
        if auth.within(rules, self.service.types, request.method, request.path): return
        service = request.headers.get("x-service-token", "")
        if service and "service" in self.authenticator.identify(service, request.transport).roles: return
        raise Unauthenticated()

    def _without_project(self, path: str) -> str:
        prefix = self.service.optional_project
        if not prefix or not path.startswith(prefix + "/"): return path
        first, _, rest = path[len(prefix) + 1:].partition("/")
        is_id = len(first) == 32 and all(c in "0123456789abcdef" for c in first)
        return f"{prefix}/{rest}" if is_id else path

    def _check_project(self, call: Call, request: Request) -> None:
        prefix = self.service.optional_project
        if not prefix or self._without_project(request.path) == request.path: return
        named = request.path[len(prefix) + 1:].partition("/")[0]
        if named != call.identity.project_id and not call.is_admin and "service" not in call.identity.roles:
            raise Invalid("Malformed request url")

    def run(self, entry: Route, call: Call, names: dict[str, str]) -> Response:
        """Calls the route's function inside the transaction it wants."""
        if self.service.before: self.service.before(call, entry, names)
        if entry.transaction == "read":
            with self.database.read() as call.db: answer = entry.function(call, **names)
        elif entry.transaction == "write":
            with self.database.write() as call.db: answer = entry.function(call, **names)
        else:
            answer = entry.function(call, **names)
        call.db = None
        if isinstance(answer, Answer): return Response(answer.status, answer.body)
        return answer if isinstance(answer, Response) else Response(entry.status, answer)

    def fault(self, failure: Failure, call: Call) -> Response:
        """The reply that tells the failure in this service's manner."""
        body = self.service.dialect.error(failure, failure.status, call.request_id)
        headers = {}
        if failure.status == 401: headers["WWW-Authenticate"] = f'Keystone uri="{self.identity_url}"'
        if failure.status == 405: headers["Allow"] = str(failure.facts.get("allow", ""))
        if failure.status in (413, 429, 503): headers["Retry-After"] = "1"
        return Response(failure.status, body, headers)

    def _finish(self, call: Call, request: Request, response: Response, story: trace.Trace | None) -> None:
        response.headers |= call.headers
        response.headers["x-openstack-request-id"] = call.request_id
        if self.service.name == "compute": response.headers["x-compute-request-id"] = call.request_id
        if self.service.microversions: response.headers |= self.service.microversions.reply(call.version)
        response.headers |= self.service.headers
        if story and story.spans: response.headers[trace.SPANS_HEADER] = trace.encode(story.spans)

    # -- the ASGI edge

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        request = from_scope(scope)
        loop = asyncio.get_running_loop()
        if (shared := self.service.cors) is not None:
            if request.method == "OPTIONS":
                headers = {"Allow": self._methods(request), **cors.preflight(shared, request.headers)}
                await send_response(Response(200, None, headers), send, head=False, threads=self.threads)
                return
            send = cors.telling(shared, request.headers, send)
        if self._streaming(request):
            await self._stream(request, receive, send)
            return
        try: request.body = await read_body(receive, limits.BODY_BYTES)
        except Failure as failure: response = self.fault(failure, self._call(request))
        else: response = await loop.run_in_executor(self.threads, self._handle_whole, request)
        await send_response(response, send, head=request.method == "HEAD", threads=self.threads)

    def _handle_whole(self, request: Request) -> Response:
        """`handle`, with the body as bytes: a long one is not made on the event loop."""
        response = self.handle(request)
        if response.chunks is None and response.body is not None: response.body = response.payload()
        return response

    def _streaming(self, request: Request) -> bool:
        try: node, _ = self.routes.find(self._without_project(request.path))
        except NotFound: return False
        return any(entry.stream for entry in node.routes.get(request.method, ()))

    def _methods(self, request: Request) -> str:
        """The methods that a path has at any microversion."""
        try: node, _ = self.routes.find(self._without_project(request.path))
        except NotFound: return "OPTIONS"
        return ", ".join(sorted({"OPTIONS", *node.routes, *(("HEAD",) if "GET" in node.routes else ())}))

    async def _stream(self, request: Request, receive: Any, send: Any) -> None:
        call = self._call(request)
        loop = asyncio.get_running_loop()
        try:
            with trace.active(call.trace):
                entry, names = await loop.run_in_executor(self.threads, self.resolve, call, request)
                answer = await entry.function(call, receive, send, **names)
            if answer is SENT: return
            response = answer if isinstance(answer, Response) else Response(entry.status, answer)
        except Failure as failure:
            response = self.fault(failure, call)
        except Exception:
            LOG.exception("request failed", service=self.service.name, method=request.method, path=request.path, request_id=call.request_id)
            response = self.fault(_Unexpected(), call)
        self._finish(call, request, response, call.trace)
        await send_response(response, send, head=request.method == "HEAD", threads=self.threads)

    def close(self) -> None:
        """Ends the threads; the service's own `stop` has run before."""
        self.threads.shutdown(wait=True, cancel_futures=True)


def _check_target(request: Request) -> None:
    """Raises for a path or query that nothing below should meet: PostgreSQL takes no NUL in a text."""
    if len(request.query_string) > limits.QUERY_BYTES or request.query_string.count("&") >= limits.QUERY_FIELDS:
        raise TooLarge(reason="the query string is too long")
    if "%00" in request.path or "\0" in request.path: raise NotFound()
    if "%00" in request.query_string or "\0" in request.query_string: raise Invalid(reason="a query may hold no NUL character")


class _Unexpected(Failure):
    """The server met an unexpected error; the log has more under the request id."""


@lru_cache(2048)
def _compiled(schema: Any, version: tuple[int, int]) -> faults.Schema:
    return faults.Schema(schema(version))


_FIXED: dict[int, faults.Schema] = {}


def _schema(schema: Any, version: tuple[int, int]) -> faults.Schema:
    """The checker for a route's body at a microversion; compiled once."""
    if callable(schema): return _compiled(schema, version)
    if id(schema) not in _FIXED: _FIXED[id(schema)] = faults.Schema(schema)
    return _FIXED[id(schema)]


def from_scope(scope: Mapping[str, Any]) -> Request:
    """The request of an ASGI scope, X-Forwarded-* heeded for links."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    scheme = headers.get("x-forwarded-proto", scope.get("scheme", "http")).replace("ws", "http")
    host = headers.get("x-forwarded-host", headers.get("host", "localhost"))
    mount = scope.get("root_path", "")
    raw = scope.get("raw_path")
    path = (raw.decode("latin-1") if raw else quote(scope["path"])).removeprefix(mount)
    return Request(scope.get("method", "GET"), path, scope.get("query_string", b"").decode("latin-1"), headers,
                   base=f"{scheme}://{host}{headers.get('x-forwarded-prefix', '')}{mount}", client=(scope.get("client") or ("",))[0])


class BodyLate(Failure):
    """The request's body did not come in time."""
    status = 408


ROOM = [limits.BODIES_BYTES]


async def read_body(receive: Any, most: int) -> bytes:
    """The whole body. Raises TooLarge after `most` bytes, BodyLate, and Unavailable when others' long bodies fill the memory."""
    pieces: list[bytes] = []
    size = held = 0
    try:
        async with asyncio.timeout(limits.BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect": return b"".join(pieces)
                piece = message.get("body", b"")
                size += len(piece)
                if size > most: raise TooLarge(reason=f"the body is longer than {most} bytes")
                more = max(0, size - limits.SMALL_BODY_BYTES) - held
                if more > ROOM[0]: raise Unavailable(reason="other long requests have to end first")
                ROOM[0] -= more
                held += more
                if piece: pieces.append(piece)
                if not message.get("more_body"): return b"".join(pieces)
    except TimeoutError: raise BodyLate() from None
    finally: ROOM[0] += held


async def send_response(response: Response, send: Any, *, head: bool, threads: ThreadPoolExecutor) -> None:
    """Sends a response; chunks are drawn in a thread."""
    body = response.payload() if response.chunks is None else b""
    headers = {"content-type": response.media_type} if (body or response.chunks is not None) else {}
    headers |= {name.lower(): str(value) for name, value in response.headers.items()}
    if response.chunks is None and response.status != 204: headers.setdefault("content-length", str(len(body)))
    await send({"type": "http.response.start", "status": response.status,
                "headers": [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]})
    if response.chunks is not None and not head:
        pieces, loop = iter(response.chunks), asyncio.get_running_loop()
        while (piece := await loop.run_in_executor(threads, next, pieces, None)) is not None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"" if head else body})
