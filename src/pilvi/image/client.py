"""What other services and agents call of image. Bytes need a connection to the service's address; they do not go through memory at once."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pilvi.core.context import Call
from pilvi.core.errors import NotFound, Unavailable
from pilvi.core.http.client import TRANSPORTS, Message, Reply, failure_of, send

PIECE = 1 << 20


@runtime_checkable
class Carrier(Protocol):
    """A way to the service that carries bodies in pieces."""

    def stream(self, message: Message) -> AbstractContextManager[tuple[Reply, Callable[[int], bytes]]]: ...


def show(call: Call, image_id: str, *, steps: dict[str, str] | None = None) -> dict[str, Any]:
    """The image's facts. Raises NotFound."""
    found: dict[str, Any] = send(call, "image", "GET", f"/v2/images/{image_id}", steps=steps).json()
    return found


def list_images(call: Call, **query: Any) -> Iterator[dict[str, Any]]:
    """The facts of all images that fit, page by page."""
    asked: dict[str, Any] = {"limit": 200, **query}
    while True:
        page = send(call, "image", "GET", "/v2/images", query=asked).json()
        yield from page["images"]
        if "next" not in page: return
        asked["marker"] = page["images"][-1]["id"]


def create(call: Call, values: dict[str, Any]) -> dict[str, Any]:
    """Makes an image that has no bytes yet."""
    made: dict[str, Any] = send(call, "image", "POST", "/v2/images", body=values).json()
    return made


def delete(call: Call, image_id: str) -> None:
    """Deletes an image. Repeatable."""
    try: send(call, "image", "DELETE", f"/v2/images/{image_id}")
    except NotFound: pass


def upload(call: Call, image_id: str, path: Path) -> None:
    """Gives the image the file's bytes. Raises Unavailable when that breaks off; the image is then queued as before."""
    with path.open("rb") as file:
        headers = _headers(call) | {"content-type": "application/octet-stream", "content-length": str(path.stat().st_size)}
        message = Message("PUT", f"/v2/images/{image_id}/file", headers, iter(lambda: file.read(PIECE), b""))
        with _carrier().stream(message) as (reply, read):
            _check(reply, read)


@contextmanager
def download(call: Call, image_id: str, *, offset: int = 0) -> Iterator[tuple[dict[str, str], Callable[[int], bytes]]]:
    """(headers, a function that reads so many bytes, none at the end). Raises Unavailable when the bytes end too early."""
    headers = _headers(call) | ({"range": f"bytes={offset}-"} if offset else {})
    with _carrier().stream(Message("GET", f"/v2/images/{image_id}/file", headers)) as (reply, read):
        _check(reply, read)
        yield reply.headers, _counted(read, int(reply.headers.get("content-length", 0)))


def _carrier() -> Carrier:
    transport = TRANSPORTS["image"]
    if not isinstance(transport, Carrier): raise Unavailable(reason="image bytes can't be carried in process; connect to the address")
    return transport


def _headers(call: Call) -> dict[str, str]:
    grant = {"x-pilvi-grant": call.grant_text} if call.grant_text else {}
    return {"x-auth-token": call.token, "x-openstack-request-id": call.global_request_id or call.request_id, **grant}


def _check(reply: Reply, read: Callable[[int], bytes]) -> None:
    if reply.status < 400: return
    reply.body = read(65_536)
    raise failure_of("image", reply)


def _counted(read: Callable[[int], bytes], left: int) -> Callable[[int], bytes]:
    """http.client ends quietly where a connection ends; the promised length tells whether that was the end."""
    def read_on(length: int) -> bytes:
        nonlocal left
        piece = read(length)
        left -= len(piece)
        if left > 0 and not piece and length: raise Unavailable(reason=f"the image broke off, {left} bytes are missing")
        return piece

    return read_on
