"""Sites, forms, hosts' names, usage, rates, and clients that break off."""
from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from pilvi.core.http.app import Application
from pilvi.objectstore.service import door

Box = Callable[..., httpx.Response]
Ask = Callable[..., httpx.Response]


@pytest.fixture
def options() -> dict[str, Any]:
    return {"storage_domain": "objects.test", "writes_per_second": 50.0}


def test_a_site(box: Box, ask: Ask) -> None:
    for name, text in (("index.html", b"<h1>hi</h1>"), ("404error.html", b"lost"), ("dir/page", b"page")): box("PUT", name, text)
    ask("POST", "/v1/AUTH_one/box", x_container_read=".r:*,.rlistings", x_container_meta_web_index="index.html",
        x_container_meta_web_error="error.html", x_container_meta_web_listings="true")
    base = "/v1/AUTH_one/box"
    assert ask("GET", base, token=None).headers["location"] == f"http://cloud:5001{base}/"
    front = ask("GET", f"{base}/", token=None)
    assert front.text == "<h1>hi</h1>" and "content-security-policy" not in front.headers
    lost = ask("GET", f"{base}/none", token=None)
    assert (lost.status_code, lost.text) == (404, "lost")
    assert '<a href="./page">page</a>' in ask("GET", f"{base}/dir/", token=None).text
    assert ask("GET", base).text.split() == ["404error.html", "dir/page", "index.html"]


def _form(path: str, key: str, files: dict[str, bytes], size: int = 100, count: int = 2) -> tuple[bytes, str]:
    expires = int(time.time()) + 60
    text = "\n".join((path, "", str(size), str(count), str(expires)))
    signature = hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
    fields = {"redirect": "", "max_file_size": str(size), "max_file_count": str(count), "expires": str(expires), "signature": signature}
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]
    parts += [f'--b\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\nContent-Type: text/x\r\n\r\n'.encode() + data
              + b"\r\n" for name, data in files.items()]
    return b"".join(parts) + b"--b--\r\n", "multipart/form-data; boundary=b"


def test_forms(box: Box, ask: Ask) -> None:
    ask("POST", "/v1/AUTH_one/box", x_container_meta_temp_url_key="key")
    path = "/v1/AUTH_one/box/up_"
    body, kind = _form(path, "key", {"a": b"one\r\n--not it", "b": b"two"})
    assert ask("POST", path, body, token=None, content_type=kind).status_code == 201
    assert box("GET", "up_a").content == b"one\r\n--not it" and box("GET", "up_b").headers["content-type"] == "text/x"
    for files, key, status in (({"c": b"x" * 101}, "key", 413), ({"c": b"x"}, "wrong", 401)):
        body, kind = _form(path, key, files)
        assert ask("POST", path, body, token=None, content_type=kind).status_code == status
    assert box("GET", "up_c").status_code == 404


def test_names_of_hosts(box: Box, ask: Ask) -> None:
    box("PUT", "a", b"hello")
    assert ask("GET", "/box/a", host="AUTH-one.objects.test").content == b"hello"
    assert ask("GET", "/a", host="box.auth-one.objects.test:5001").content == b"hello"
    assert ask("GET", "/", host="a.b.c.objects.test").status_code == 400


def test_usage(box: Box, ask: Ask) -> None:
    box("PUT", "a", b"hello")
    box("GET", "a")
    found = ask("GET", "/usage", token="service-x").json()["accounts"]
    assert [(one["project_id"], one["received_bytes"], one["sent_bytes"]) for one in found] == [("one", 5, 5)]
    assert [ask("GET", "/usage", token=token).status_code for token in (None, "member-one")] == [401, 403]


def test_how_the_store_is(box: Box, ask: Ask) -> None:
    box("PUT", "a", b"hello")
    told = ask("GET", "/recon?dispersion=on", token="admin-x").json()
    assert [(one["node"], one["device"], one["mounted"], one["pending"]) for one in told["devices"]] == [("control", "d1", True, 0)]
    assert told["devices"][0]["bytes"] >= told["devices"][0]["free_bytes"] > 0
    assert told["rings"]["object"] == {"version": 1, "partitions": 256, "replicas": 1.0}
    assert told["dispersion"] == {"Policy-0": {"objects": 1, "wanted": 1, "found": 1, "strays": 0, "per_cent": 100.0}}
    assert "dispersion" not in ask("GET", "/recon", token="admin-x").json()
    assert [ask("GET", "/recon", token=token).status_code for token in (None, "member-one", "service-x")] == [401, 403, 403]
    assert ask("PUT", "/recon", token="admin-x").status_code == 405


def test_writes_wait_for_their_turn(box: Box) -> None:
    began = time.monotonic()
    for n in range(6): box("PUT", str(n), b"")
    assert time.monotonic() - began > 0.09


def test_a_client_that_breaks_off_leaves_nothing(application: Application, box: Box, ask: Ask, tmp_path: Path) -> None:
    entry = door(application)
    pieces = iter([{"type": "http.request", "body": b"x" * 70_000, "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(pieces)

    async def send(message: Any) -> None:
        raise AssertionError("there is nobody to answer")

    before = sum(path.is_file() for path in tmp_path.rglob("*"))
    scope = {"type": "http", "method": "PUT", "path": "/v1/AUTH_one/box/a", "raw_path": b"/v1/AUTH_one/box/a", "query_string": b"",
             "headers": [(b"x-auth-token", b"member-one"), (b"content-length", b"100000")], "client": ("127.0.0.1", 1), "scheme": "http"}
    ask.runner.run(asyncio.wait_for(entry(scope, receive, send), 10))  # type: ignore[attr-defined]
    assert box("GET", "a").status_code == 404
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == before
