"""Encryption at rest: what lies on disk is unreadable, what clients see is unchanged, secrets rotate."""
from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from pilvi.core.http.app import Application
from pilvi.objectstore.proxy.cipher import Keyring

Box = Callable[..., httpx.Response]
SECRET, NEXT = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


@pytest.fixture
def options() -> dict[str, Any]:
    return {"encryption_root_secrets": {"a": SECRET}}


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_clients_see_nothing_of_it(box: Box, ask: Box, tmp_path: Path) -> None:
    body = b"a very secret text " * 1000
    put = box("PUT", "a", body, x_object_meta_color="ultramarine")
    got = box("GET", "a")
    assert got.content == body and got.headers["etag"] == put.headers["etag"] and got.headers["x-object-meta-color"] == "ultramarine"
    assert box("GET", "a", range="bytes=1001-1050").content == body[1001:1051]
    assert box("GET", "a", if_none_match=put.headers["etag"]).status_code == 304
    assert ask("GET", "/v1/AUTH_one/box?format=json").json()[0]["hash"] == put.headers["etag"]
    assert box("POST", "a", x_object_meta_color="vermilion").status_code == 202
    assert box("HEAD", "a").headers["x-object-meta-color"] == "vermilion"
    stored = on_disk(tmp_path / "objects")
    assert not any(text in stored for text in (b"secret text", b"ultramarine", b"vermilion", put.headers["etag"].encode()))


def test_a_wrong_etag_leaves_nothing(box: Box) -> None:
    assert box("PUT", "a", b"hello", etag="0" * 32).status_code == 422
    assert box("GET", "a").status_code == 404


def test_large_objects_and_copies(box: Box, ask: Box) -> None:
    box("PUT", "s", b"hello")
    manifest = json.dumps([{"path": "/box/s"}, {"path": "/box/s", "range": "1-2"}]).encode()
    assert box("PUT", "big?multipart-manifest=put", manifest).status_code == 201
    assert box("GET", "big").content == b"helloel"
    assert ask("GET", "/v1/AUTH_one/box?format=json&prefix=big").json()[0]["bytes"] == 7
    assert box("COPY", "s", destination="box/t").status_code == 201 and box("GET", "t").content == b"hello"


def test_secrets_rotate(box: Box, ask: Box, application: Application) -> None:
    box("PUT", "a", b"hello")
    rotated = Keyring({"a": SECRET, "b": NEXT})
    assert rotated.open(Keyring({"a": SECRET}).seal("text", "/p"), "/p") == "text"
    assert rotated.newest == "b" and rotated.seal("text", "/p") != rotated.seal("text", "/p")


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32"): Keyring({"a": base64.b64encode(b"short").decode()})
