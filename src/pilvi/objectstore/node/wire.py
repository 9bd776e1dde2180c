"""How nodes speak with each other: operations and failures as msgpack, each request signed with the cluster's secret.

    POST /call/DEVICE/OPERATION                     arguments -> result
    POST /upload/DEVICE/FOLDER/PARTITION/NAME       frames: D bytes …, C commit; without C nothing stays
    GET  /open/DEVICE/FOLDER/PARTITION/NAME?past=   [record, info], and all the data when it is little
    GET  /read/DEVICE/FOLDER/PARTITION/NAME?timestamp=&start=&stop=
    GET  /rings, POST /rings/NAME                   versions of rings; a newer one

A signature covers method, path, time and the body's digest (of streams: not the body, but its frames end with a commit that names the
MD5). All operations may be repeated: a replayed request is an older write, and the newest wins.
"""
from __future__ import annotations

import hashlib
import hmac
import secrets
import time
import typing
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from pilvi.core.errors import Failure
from pilvi.objectstore.node import interface
from pilvi.objectstore.node.operations import CHANGING, OPERATIONS

SIGNATURE = "X-Pilvi-Signature"
SKEW_SECONDS = 300
_FAILURES = {name: kind for name, kind in vars(interface).items() if isinstance(kind, type) and issubclass(kind, Failure)}


def sign(key: bytes, method: str, path: str, body: bytes | None) -> str:
    """The header's value for a request made now. `body` None: a stream."""
    now, nonce = str(int(time.time())), secrets.token_hex(8)
    return f"{now}.{nonce}.{_mac(key, method, path, now, nonce, body)}"


def genuine(key: bytes, method: str, path: str, body: bytes | None, given: str) -> bool:
    """Was it signed with the key, not long ago?"""
    parts = given.split(".")
    if len(parts) != 3 or not parts[0].isdigit() or abs(time.time() - int(parts[0])) > SKEW_SECONDS: return False
    return hmac.compare_digest(_mac(key, method, path, parts[0], parts[1], body), parts[2])


def _mac(key: bytes, method: str, path: str, now: str, nonce: str, body: bytes | None) -> str:
    digest = "-" if body is None else hashlib.sha256(body).hexdigest()
    return hmac.digest(key, "\n".join((method, path, now, nonce, digest)).encode(), "sha256").hex()


def node_key(key: bytes) -> bytes:
    """What requests are signed with, made of the cluster's secret."""
    return hmac.digest(key, b"nodes", "sha256")


@lru_cache(64)
def _shapes(operation: str) -> tuple[tuple[Any, ...], Any]:
    """(types of the arguments, type of the result)"""
    hints = typing.get_type_hints(OPERATIONS[operation])
    result = hints.pop("return")
    kinds = tuple(hints.values())[1:]
    if operation in CHANGING: return (*kinds, list[int]), Any if operation in ("object_post", "fragment_commit") else result
    return kinds, result


def encode(value: Any) -> bytes:
    """Arguments or a result."""
    return msgspec.msgpack.encode(value)


def decode_arguments(operation: str, body: bytes) -> list[Any]:
    """Raises msgspec.ValidationError."""
    kinds, _ = _shapes(operation)
    return list(msgspec.msgpack.decode(body, type=tuple[kinds]))  # type: ignore[valid-type]


def decode_result(operation: str, body: bytes) -> Any:
    """The operation's result."""
    return msgspec.msgpack.decode(body, type=_shapes(operation)[1])


def encode_failure(failure: Failure) -> bytes:
    """A failure of interface.py."""
    return msgspec.msgpack.encode([type(failure).__name__, failure.message, failure.facts])


def decode_failure(body: bytes) -> Failure:
    """The same failure again; one that isn't known is the node's trouble."""
    try: name, message, facts = msgspec.msgpack.decode(body, type=tuple[str, str, dict[str, Any]])
    except msgspec.DecodeError: return interface.NodeDown(reason="it answers nonsense")
    kind: Callable[..., Failure] = _FAILURES.get(name, interface.NodeDown)
    return kind(message, **facts)
