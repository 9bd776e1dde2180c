"""Bytes in and out: whole or not at all, ranges, what is refused, staging and import, what goes when."""
from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pilvi.core import clock, crypto
from pilvi.core.context import Call
from pilvi.core.errors import Conflict, NotFound, Unavailable
from pilvi.core.http.app import Application
from pilvi.image import client
from pilvi.image.image import actions
from pilvi.image.image.intake import begin
from pilvi.image.resources.image import Image

Ask = Callable[..., Any]
DATA = os.urandom(3_500_000)
QCOW2_WITH_BACKING = b"QFI\xfb" + (3).to_bytes(4, "big") + (1000).to_bytes(8, "big") + bytes(4096)


def make(ask: Ask, **values: Any) -> str:
    return str(ask("POST", "/v2/images", {"name": "i", "disk_format": "raw", "container_format": "bare"} | values).body["id"])


def files(application: Application) -> list[str]:
    """All files of the store, partial ones included."""
    folder: Path = application.state["image_directory"]
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def test_what_went_in_comes_out_with_its_hashes(ask: Ask, stream: Ask) -> None:
    id = make(ask)
    assert stream("GET", f"/v2/images/{id}/file").status_code == 204
    assert stream("PUT", f"/v2/images/{id}/file", DATA).status_code == 204
    shown = ask("GET", f"/v2/images/{id}").body
    assert (shown["status"], shown["size"], shown["virtual_size"]) == ("active", len(DATA), len(DATA))
    assert shown["checksum"] == hashlib.md5(DATA).hexdigest()
    assert (shown["os_hash_algo"], shown["os_hash_value"]) == ("sha512", hashlib.sha512(DATA).hexdigest())
    got = stream("GET", f"/v2/images/{id}/file")
    assert got.content == DATA
    assert (got.headers["content-security-policy"], got.headers["x-content-type-options"]) == ("sandbox", "nosniff")
    assert stream("PUT", f"/v2/images/{id}/file", DATA).status_code == 409


@pytest.mark.parametrize(("asked", "first", "end"), [("bytes=0-9", 0, 10), ("bytes=100-", 100, None), ("bytes=-7", -7, None),
                                                     ("bytes=5-99999999", 5, None), ("bytes=0-1,5-6", 0, None)])
def test_a_range(ask: Ask, stream: Ask, asked: str, first: int, end: int | None) -> None:
    id = make(ask)
    stream("PUT", f"/v2/images/{id}/file", DATA)
    got = stream("GET", f"/v2/images/{id}/file", Range=asked)
    assert got.content == DATA[first:end]
    assert got.status_code == (200 if "," in asked else 206)


@pytest.mark.parametrize("asked", ["bytes=9999999-", "bytes=9-5", "bytes=-", "octets=1-2"])
def test_a_range_that_is_none(ask: Ask, stream: Ask, asked: str) -> None:
    id = make(ask)
    stream("PUT", f"/v2/images/{id}/file", b"abc")
    assert stream("GET", f"/v2/images/{id}/file", Range=asked).status_code == 416


def test_refused_bytes_leave_nothing_and_the_image_queued(application: Application, ask: Ask, stream: Ask) -> None:
    id = make(ask, disk_format="qcow2")
    refused = stream("PUT", f"/v2/images/{id}/file", QCOW2_WITH_BACKING)
    assert (refused.status_code, "backing file" in refused.text) == (415, True)
    assert stream("PUT", f"/v2/images/{id}/file", DATA).status_code == 415
    assert ask("GET", f"/v2/images/{id}").body["status"] == "queued"
    assert files(application) == []


def test_uploads_need_formats_a_type_and_a_writer(ask: Ask, stream: Ask) -> None:
    bare = str(ask("POST", "/v2/images", {"name": "i"}).body["id"])
    assert stream("PUT", f"/v2/images/{bare}/file", b"x").status_code == 400
    id = make(ask, visibility="community")
    assert stream("PUT", f"/v2/images/{id}/file", b"x", **{"content-type": "application/json"}).status_code == 415
    assert stream("PUT", f"/v2/images/{id}/file", b"x", token="two").status_code == 403
    assert stream("PUT", f"/v2/images/{id}/file", b"x", token="reader-one").status_code == 403
    assert stream("PUT", f"/v2/images/{make(ask)}/file", b"x", token="two").status_code == 404


def test_a_full_store_refuses_uploads_and_still_deletes(application: Application, ask: Ask, stream: Ask,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    full, id = make(ask), make(ask)
    stream("PUT", f"/v2/images/{full}/file", DATA)
    # a full disk can't be had for a test
    monkeypatch.setattr(application.state["image_store"], "free_bytes", lambda: -1)
    assert stream("PUT", f"/v2/images/{id}/file", DATA).status_code == 413
    assert ask("GET", f"/v2/images/{id}").body["status"] == "queued"
    assert ask("DELETE", f"/v2/images/{full}").status == 204
    assert files(application) == []


def test_a_client_that_breaks_off_leaves_the_image_queued(application: Application, ask: Ask, address: str) -> None:
    id, parts = make(ask), urlsplit(address)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
        connection.sendall(f"PUT /image/v2/images/{id}/file HTTP/1.1\r\nHost: x\r\nX-Auth-Token: one\r\n"
                           f"Content-Type: application/octet-stream\r\nContent-Length: {len(DATA)}\r\n\r\n".encode() + DATA[:2_000_000])
        wait_for(lambda: ask("GET", f"/v2/images/{id}").body["status"] == "saving")
    wait_for(lambda: ask("GET", f"/v2/images/{id}").body["status"] == "queued")
    assert files(application) == []


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_delete_overtakes_an_upload(application: Application, ask: Ask, stream: Ask) -> None:
    id = make(ask)

    async def pieces() -> AsyncIterator[bytes]:
        yield DATA
        assert ask("DELETE", f"/v2/images/{id}").status == 204
        yield DATA

    assert stream("PUT", f"/v2/images/{id}/file", pieces()).status_code == 410
    assert ask("GET", f"/v2/images/{id}").status == 404
    assert files(application) == []


def upload_of(application: Application, id: str) -> Any:
    from_client = Call(application=application, token="one", request=None)
    from_client.identity = application.authenticator.identify("one", "test")
    from_client.request = type("R", (), {"headers": {"content-type": "application/octet-stream"}})()
    return begin(from_client, id, "upload")


def test_an_upload_without_life_is_given_up_and_can_write_nothing_more(application: Application, ask: Ask, stream: Ask) -> None:
    id = make(ask)
    lost = upload_of(application, id)
    lost.take(b"old")
    with application.database.write() as db: db.query(Image).where(Image.id == id).update({"lease_until": clock.now() - 1})
    actions.free_abandoned(application)
    assert ask("GET", f"/v2/images/{id}").body["status"] == "queued"
    assert stream("PUT", f"/v2/images/{id}/file", b"new").status_code == 204
    with pytest.raises(Exception, match="deleted during the upload"): lost.finish()
    lost.give_up()
    assert stream("GET", f"/v2/images/{id}/file").content == b"new"
    assert len(files(application)) == 1


def test_the_sweep_takes_what_belongs_to_nothing_but_never_strangers(application: Application, ask: Ask, stream: Ask) -> None:
    kept, gone = make(ask), make(ask)
    for id in (kept, gone): stream("PUT", f"/v2/images/{id}/file", DATA)
    [left] = [name for name in files(application) if name.startswith(gone)]
    ask("DELETE", f"/v2/images/{gone}")
    folder: Path = application.state["image_directory"]
    for name in (left, f"{kept}.lost", "00000000-0000-4000-8000-000000000000.stranger"): (folder / name).write_bytes(b"x")
    actions.sweep(application)
    assert sorted(name.partition(".")[0] for name in files(application)) == sorted([kept, "00000000-0000-4000-8000-000000000000"])
    assert stream("GET", f"/v2/images/{kept}/file").content == DATA


def test_staged_bytes_become_the_image_when_imported(ask: Ask, stream: Ask) -> None:
    id = make(ask)
    imported = {"method": {"name": "glance-direct"}}
    assert ask("POST", f"/v2/images/{id}/import", imported).status == 400
    assert stream("PUT", f"/v2/images/{id}/stage", DATA).status_code == 204
    shown = ask("GET", f"/v2/images/{id}").body
    assert (shown["status"], shown["size"]) == ("uploading", None)
    assert ask("POST", f"/v2/images/{id}/import", {"method": {"name": "telepathy"}}).status == 400
    assert ask("POST", f"/v2/images/{id}/import", imported).status == 202
    assert ask("GET", f"/v2/images/{id}").body["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    assert stream("GET", f"/v2/images/{id}/file").content == DATA


def test_staged_bytes_that_lie_are_dropped_at_import(application: Application, ask: Ask, stream: Ask) -> None:
    id = make(ask, disk_format="qcow2")
    stream("PUT", f"/v2/images/{id}/stage", QCOW2_WITH_BACKING)
    assert ask("POST", f"/v2/images/{id}/import", {"method": {"name": "glance-direct"}}).status == 415
    assert ask("GET", f"/v2/images/{id}").body["status"] == "queued"
    assert files(application) == []


def test_a_deactivated_image_gives_bytes_to_administrators_only(ask: Ask, stream: Ask) -> None:
    id = make(ask)
    assert ask("POST", f"/v2/images/{id}/actions/deactivate").status == 403
    stream("PUT", f"/v2/images/{id}/file", DATA)
    for _ in range(2): assert ask("POST", f"/v2/images/{id}/actions/deactivate").status == 204
    assert stream("GET", f"/v2/images/{id}/file").status_code == 403
    assert stream("GET", f"/v2/images/{id}/file", token="admin").content == DATA
    assert ask("POST", f"/v2/images/{id}/actions/reactivate").status == 204
    assert stream("GET", f"/v2/images/{id}/file").content == DATA


def test_lost_bytes_are_said_to_be_lost(application: Application, ask: Ask, stream: Ask) -> None:
    id = make(ask)
    stream("PUT", f"/v2/images/{id}/file", DATA)
    path = application.state["image_directory"] / files(application)[0]
    path.write_bytes(DATA[:-1])
    assert stream("GET", f"/v2/images/{id}/file").status_code == 503
    path.unlink()
    assert stream("GET", f"/v2/images/{id}/file").status_code == 503


def test_the_client_uploads_and_downloads(address: str, call: Call, tmp_path: Path) -> None:
    made = client.create(call, {"name": "c", "disk_format": "raw", "container_format": "bare"})
    (tmp_path / "bytes").write_bytes(DATA)
    client.upload(call, made["id"], tmp_path / "bytes")
    assert client.show(call, made["id"])["status"] == "active"
    assert [one["id"] for one in client.list_images(call, name="c")] == [made["id"]]
    with client.download(call, made["id"]) as (headers, read):
        got = b"".join(iter(lambda: read(1 << 20), b""))
    assert (got, headers["content-length"]) == (DATA, str(len(DATA)))
    with client.download(call, made["id"], offset=3_000_000) as (_, read): assert read(10) == DATA[3_000_000:3_000_010]
    with pytest.raises(Conflict): client.upload(call, made["id"], tmp_path / "bytes")
    client.delete(call, made["id"])
    client.delete(call, made["id"])
    with pytest.raises(NotFound), client.download(call, made["id"]): pass


def test_the_client_notices_bytes_that_end_too_early(application: Application, ask: Ask, address: str, call: Call, stream: Ask,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    id = make(ask)
    stream("PUT", f"/v2/images/{id}/file", DATA)
    # a store that breaks off can't be had otherwise
    monkeypatch.setattr(application.state["image_store"], "read", lambda name, offset, length: iter([DATA[:1000]]))
    with pytest.raises(Unavailable), client.download(call, id) as (_, read):
        while read(1 << 20): pass


def test_an_agent_reads_what_its_grant_names_and_changes_nothing(application: Application, ask: Ask, stream: Ask) -> None:
    id, other = make(ask), make(ask)
    stream("PUT", f"/v2/images/{id}/file", DATA)
    grant = crypto.sign(application.grant_key, {"things": {"image": [id]}, "expires": clock.now() + 60})
    assert stream("GET", f"/v2/images/{id}/file", token="service").status_code == 404
    assert stream("GET", f"/v2/images/{id}/file", token="service", **{"x-pilvi-grant": grant}).content == DATA
    assert stream("GET", f"/v2/images/{other}/file", token="service", **{"x-pilvi-grant": grant}).status_code == 404
    assert ask("DELETE", f"/v2/images/{id}", token="service", x_pilvi_grant=grant).status == 403
