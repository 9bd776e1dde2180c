"""Objects: bytes and metadata, ranges and conditions, copies, and what is refused."""
from __future__ import annotations

from collections.abc import Callable
from hashlib import md5

import httpx
import pytest

Box = Callable[..., httpx.Response]


def test_bytes_come_back(box: Box) -> None:
    put = box("PUT", "a", b"hello", content_type="text/plain", x_object_meta_color="blue")
    assert put.status_code == 201 and put.headers["etag"] == md5(b"hello").hexdigest()
    got = box("GET", "a")
    assert (got.status_code, got.content, got.headers["x-object-meta-color"]) == (200, b"hello", "blue")
    assert got.headers["content-security-policy"] == "sandbox" and got.headers["x-trans-id"].startswith("tx")
    head = box("HEAD", "a")
    assert head.headers["content-length"] == "5" and not head.content
    assert box("DELETE", "a").status_code == 204
    assert box("GET", "a").status_code == 404


@pytest.mark.parametrize(("asked", "status", "body", "told"), [
    ("bytes=0-1", 206, b"he", "bytes 0-1/5"), ("bytes=-2", 206, b"lo", "bytes 3-4/5"), ("bytes=3-", 206, b"lo", "bytes 3-4/5"),
    ("bytes=9-", 416, None, "bytes */5"), ("lines=1-2", 200, b"hello", None), ("bytes=3-1", 200, b"hello", None)])
def test_ranges(box: Box, asked: str, status: int, body: bytes | None, told: str | None) -> None:
    box("PUT", "a", b"hello")
    got = box("GET", "a", range=asked)
    assert got.status_code == status and got.headers.get("content-range") == told
    if body is not None: assert got.content == body


def test_several_ranges_come_in_parts(box: Box) -> None:
    box("PUT", "a", b"hello", content_type="text/plain")
    got = box("GET", "a", range="bytes=0-0,4-4")
    assert got.status_code == 206 and int(got.headers["content-length"]) == len(got.content)
    assert b"Content-Range: bytes 0-0/5\r\n\r\nh\r\n" in got.content and b"Content-Range: bytes 4-4/5\r\n\r\no\r\n" in got.content


def test_conditions(box: Box) -> None:
    etag = box("PUT", "a", b"hello").headers["etag"]
    assert box("GET", "a", if_none_match=f'"{etag}"').status_code == 304
    assert box("GET", "a", if_match='"other"').status_code == 412
    assert box("PUT", "a", b"again", if_none_match="*").status_code == 412
    assert box("GET", "a").content == b"hello"


def test_a_wrong_etag_or_length_leaves_nothing(box: Box) -> None:
    assert box("PUT", "a", b"hello", etag="0" * 32).status_code == 422
    assert box("GET", "a").status_code == 404
    assert box("PUT", "big", b"", content_length=str(5 * 1024**3 + 3)).status_code == 413


def test_posting_replaces_metadata(box: Box) -> None:
    box("PUT", "a", b"hello", x_object_meta_old="1")
    assert box("POST", "a", x_object_meta_new="2").status_code == 202
    headers = box("HEAD", "a").headers
    assert headers["x-object-meta-new"] == "2" and "x-object-meta-old" not in headers


@pytest.mark.parametrize(("headers", "status"), [
    ({"x_object_meta_" + "k" * 129: "v"}, 400), ({"x_object_meta_a": "v" * 257}, 400), ({"x_delete_at": "soon"}, 400),
    ({"x_delete_after": "-1"}, 400), ({f"x_object_meta_{n}": "v" for n in range(91)}, 400), ({"x_object_manifest": "nothing"}, 400)])
def test_limits_of_metadata(box: Box, headers: dict[str, str], status: int) -> None:
    assert box("PUT", "a", b"", **headers).status_code == status


def test_copies(box: Box) -> None:
    box("PUT", "a b", b"hello", x_object_meta_color="blue", content_type="text/plain")
    copied = box("COPY", "a%20b", destination="box/c", x_object_meta_size="L")
    assert copied.status_code == 201 and copied.headers["x-copied-from"] == "box/a%20b"
    got = box("GET", "c")
    assert got.content == b"hello" and (got.headers["x-object-meta-color"], got.headers["x-object-meta-size"]) == ("blue", "L")
    assert box("PUT", "d", x_copy_from="/box/none").status_code == 404
    assert box("COPY", "c").status_code == 412


@pytest.mark.parametrize("name", ["a%00b", "%ff"])
def test_names_that_are_no_text(box: Box, name: str) -> None:
    assert box("PUT", name, b"").status_code == 412


@pytest.mark.parametrize("name", ["..", "a/../b", "%20", "☃/☃", "a//b", "x" * 1024, "%2e%2e/%2e%2e/etc/passwd"])
def test_strange_names_are_just_names(box: Box, name: str) -> None:
    if name == "..": name = "%2e%2e"
    assert box("PUT", name, b"body").status_code == 201
    assert box("GET", name).content == b"body"
    assert box("PUT", "x" * 1025, b"").status_code == 400


def test_expired_objects_are_gone(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    assert box("PUT", "a", b"hello", x_delete_after="1000").status_code == 201
    at = int(box("HEAD", "a").headers["x-delete-at"])
    monkeypatch.setattr("pilvi.core.clock.now", lambda: at + 1.0)
    assert box("GET", "a").status_code == 404
    assert box("GET", "a", x_open_expired="true").status_code == 200
