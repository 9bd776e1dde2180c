"""The only way to an address that a user gave: webhooks, templates, images by URL.

http and https only. A name is resolved once and the connection goes to what was checked, so that a second answer of the name server can't
lead elsewhere; only public addresses, unless the configuration allows more:

    [fetch]
    networks = ["10.20.0.0/16"]

Every redirect is checked like a new address. Time and size are bounded. What lies on this cloud's own address is called in the process
(`own`), where the address of the listener would be refused.
"""
from __future__ import annotations

import http.client
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from msgspec import Struct

from pilvi.core import clock
from pilvi.core.db.open import forbid_open
from pilvi.core.errors import Invalid, Unavailable
from pilvi.core.http.client import Message, Reply, Transport

PORTS = {"http": 80, "https": 443}
SECRETS = {"authorization", "x-auth-token", "cookie"}
"""Headers that do not follow a redirect to another place."""
PIECE_BYTES = 65536
NAT64 = ipaddress.ip_network("64:ff9b::/96")
OWN: dict[str, Transport] = {}
ALLOWED: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(Invalid):
    """The address {url} may not be fetched: {reason}."""


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """The table [fetch] of config.toml."""
    networks: list[str] = []
    """Networks that users' addresses may lead to beside the public ones."""


def configure(config: Config) -> None:
    """Says which networks are allowed beside the public ones. Raises ValueError."""
    ALLOWED[:] = [ipaddress.ip_network(text) for text in config.networks]


def own(base: str, transport: Transport) -> None:
    """What begins with this address is a service of this cloud, and is called without a socket."""
    OWN[base.rstrip("/")] = transport


def fetch(url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b"", most_bytes: int = 1_048_576,
          timeout_seconds: float = 10.0, redirects: int = 5) -> Reply:
    """The reply, whatever its status. Raises Refused (the address, too long an answer, too many redirects) and Unavailable."""
    forbid_open()
    ends = clock.monotonic() + timeout_seconds
    sent = {name.lower(): value for name, value in (headers or {}).items()}
    for _ in range(redirects + 1):
        parts = _parts(url)
        reply = _one(url, parts, Message(method, _target(parts), sent, body), most_bytes, ends)
        if reply.status not in (301, 302, 303, 307, 308) or "location" not in reply.headers: return reply
        url = urljoin(url, reply.headers["location"])
        if reply.status in (301, 302, 303) and method != "HEAD":
            method, body = "GET", b""
            sent.pop("content-type", None)
        if _parts(url)[:2] != parts[:2]: sent = {name: value for name, value in sent.items() if name not in SECRETS}
    raise Refused(url=url[:200], reason=f"there are more than {redirects} redirects")


def check(url: str) -> None:
    """Raises Refused for an address that could never be fetched; its name is not resolved yet."""
    parts = _parts(url)
    try: address = ipaddress.ip_address(parts.hostname or "")
    except ValueError: return
    if not _is_own(url) and not allowed(address): raise _not_public(url, address)


def allowed(address: Address) -> bool:
    """Is it public, or allowed by the configuration? What carries an IPv4 address inside is judged by that too."""
    if any(address in network for network in ALLOWED): return True
    public = address.is_global and not address.is_multicast and not address.is_reserved
    if isinstance(address, ipaddress.IPv4Address): return public
    if address.ipv4_mapped: return allowed(address.ipv4_mapped)
    if address.teredo: return False
    inner = address.sixtofour or (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else None)
    return (public or address in NAT64) and (inner is None or allowed(inner))


def _parts(url: str) -> SplitResult:
    """Raises Refused for what is no http address."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in PORTS and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError: known = False
    if not known: raise Refused(url=url[:200], reason="it is not an http or https address")
    if any(ord(character) <= 32 or ord(character) == 127 for character in url):
        raise Refused(url=url[:200], reason="it holds a space or control character")
    if parts.username is not None: raise Refused(url=parts.hostname or "", reason="it holds a user name")
    return parts


def _target(parts: SplitResult) -> str:
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return quote(target, safe="/:?#[]@!$&'()*+,;=%~")


def _is_own(url: str) -> str | None:
    return next((base for base in OWN if url == base or url.startswith((base + "/", base + "?"))), None)


def _one(url: str, parts: SplitResult, message: Message, most_bytes: int, ends: float) -> Reply:
    base = _is_own(url)
    if base is not None:
        path = message.path[len(urlsplit(base).path):]
        return OWN[base].send(Message(message.method, path, message.headers, message.body))
    failure: Exception | None = None
    for address in _addresses(url, parts):
        try: return _ask(url, parts, address, message, most_bytes, ends)
        except ConnectionRefusedError as refused: failure = refused
        except (OSError, http.client.HTTPException) as broken:
            raise Unavailable(reason=f"{parts.hostname} cannot be reached ({broken})") from broken
    raise Unavailable(reason=f"{parts.hostname} cannot be reached ({failure})")


def _addresses(url: str, parts: SplitResult) -> list[Address]:
    """What the name means now. Raises Refused if any of it is not allowed: which one would be taken is not in our hand elsewhere."""
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or PORTS[parts.scheme], type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as failure: raise Unavailable(reason=f"the name {parts.hostname} has no address ({failure})") from None
    addresses = list(dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))
    for address in addresses:
        if not allowed(address): raise _not_public(url, address)
    return addresses


def _not_public(url: str, address: Address) -> Refused:
    return Refused(url=url[:200], reason=f"{address} is not a public address")


def _ask(url: str, parts: SplitResult, address: Address, message: Message, most_bytes: int, ends: float) -> Reply:
    """One request to a checked address."""
    port = parts.port or PORTS[parts.scheme]
    line = socket.create_connection((str(address), port), timeout=max(0.1, ends - clock.monotonic()))
    connection = http.client.HTTPConnection(parts.hostname or "", port)
    with _until(line, ends) as late:
        try:
            if parts.scheme == "https": line = _tls().wrap_socket(line, server_hostname=parts.hostname)
            connection.sock = line
            connection.request(message.method, message.path, message.body, {"host": parts.netloc, **message.headers})
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            data = _read(url, answer, most_bytes) if message.method != "HEAD" else b""
        except (OSError, http.client.HTTPException):
            if late.is_set(): raise TimeoutError("it takes too long") from None
            raise
        finally:
            connection.close()
            line.close()
        if late.is_set(): raise TimeoutError("it takes too long")
        return Reply(answer.status, headers, data)


def _read(url: str, answer: http.client.HTTPResponse, most_bytes: int) -> bytes:
    data = bytearray()
    while piece := answer.read(PIECE_BYTES):
        data += piece
        if len(data) > most_bytes: raise Refused(url=url[:200], reason=f"the answer is longer than {most_bytes} bytes")
    return bytes(data)


@contextmanager
def _until(line: socket.socket, ends: float) -> Iterator[threading.Event]:
    """Cuts the connection at the deadline: a timeout of the socket begins anew with each byte that drips in."""
    late = threading.Event()
    second = socket.socket(fileno=os.dup(line.fileno()))

    def cut() -> None:
        late.set()
        try: second.shutdown(socket.SHUT_RDWR)
        except OSError: pass

    timer = threading.Timer(max(0.1, ends - clock.monotonic()), cut)
    timer.daemon = True
    timer.start()
    try: yield late
    finally:
        timer.cancel()
        second.close()


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
