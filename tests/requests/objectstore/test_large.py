"""Large objects, links, versions, temporary URLs and bulk requests."""
from __future__ import annotations

import hmac
import io
import json
import tarfile
import time
from collections.abc import Callable

import httpx

Box = Callable[..., httpx.Response]
Ask = Callable[..., httpx.Response]


def test_a_static_large_object(box: Box, ask: Ask) -> None:
    etags = [box("PUT", f"s{n}", bytes([65 + n]) * 10).headers["etag"] for n in range(3)]
    manifest = [{"path": f"/box/s{n}", "etag": etags[n], "size_bytes": 10} for n in range(3)] + [{"path": "/box/s0", "range": "0-1"}]
    assert box("PUT", "bad?multipart-manifest=put", json.dumps([{"path": "/box/none"}]).encode()).status_code == 400
    made = box("PUT", "big?multipart-manifest=put", json.dumps(manifest).encode(), content_type="text/plain")
    assert made.status_code == 201
    got = box("GET", "big")
    assert got.content == b"A" * 10 + b"B" * 10 + b"C" * 10 + b"AA" and got.headers["content-length"] == "32"
    assert got.headers["etag"] == made.headers["etag"] == box("HEAD", "big").headers["etag"]
    assert box("GET", "big", range="bytes=8-11").content == b"AABB"
    assert box("GET", "big", range="bytes=-3").content == b"CAA"
    line = ask("GET", "/v1/AUTH_one/box?format=json&prefix=big").json()[0]
    assert line["bytes"] == 32 and line["slo_etag"] == made.headers["etag"]
    box("PUT", "s1", b"changed")
    assert box("GET", "big", range="bytes=10-").status_code == 409
    assert box("DELETE", "big?multipart-manifest=delete").status_code == 200
    assert [box("HEAD", name).status_code for name in ("s0", "s1", "s2", "big")] == [404] * 4


def test_a_manifest_with_a_heartbeat(box: Box, ask: Ask) -> None:
    etag = box("PUT", "s", b"abc").headers["etag"]
    path, good = "big?multipart-manifest=put&heartbeat=on", json.dumps([{"path": "/box/s", "etag": etag}]).encode()
    bad = json.dumps([{"path": "/box/s"}, {"path": "none/at-all"}]).encode()
    assert ask("GET", "/info").json()["slo"]["yield_frequency"] == 10
    made = box("PUT", path, good)
    blank, facts = made.text.split("\r\n\r\n")
    assert (made.status_code, blank.strip()) == (202, "")
    found = dict(line.split(": ", 1) for line in facts.splitlines() if ": " in line)
    assert found["Response Status"] == "201 Created" and found["Etag"] == box("HEAD", "big").headers["etag"] and "Last Modified" in found
    told = json.loads(box("PUT", path, good, accept="application/json").text)
    assert (told["Response Body"], told["Errors"], told["Response Status"]) == ("", [], "201 Created")
    refused = box("PUT", path, bad)
    assert refused.status_code == 202
    lines = refused.text.split("\n")
    assert "Response Status: 400 Bad Request" in lines and "Response Body: Bad Request" in lines
    assert [line.strip("/") for line in lines[-3:]] == ["Errors:", "none/at-all, 404 Not Found", ""]
    assert "<response_status>422 Unprocessable Entity</response_status>" in box("PUT", path, good, accept="text/xml", etag="0" * 32).text
    assert box("PUT", path, b"[").status_code == 400  # what needs no segment is said at once


def test_a_dynamic_large_object(box: Box) -> None:
    for n in (2, 1): box("PUT", f"part/{n}", str(n).encode() * 3)
    assert box("PUT", "all", b"", x_object_manifest="box/part/").status_code == 201
    assert box("GET", "all").content == b"111222" and box("HEAD", "all").headers["content-length"] == "6"
    assert box("GET", "all", range="bytes=2-3").content == b"12"
    assert box("GET", "all?multipart-manifest=get").content == b""


def test_links(box: Box) -> None:
    etag = box("PUT", "there", b"hello").headers["etag"]
    assert box("PUT", "soft", x_symlink_target="box/there").status_code == 201
    assert box("PUT", "hard", x_symlink_target="box/there", x_symlink_target_etag=etag).status_code == 201
    assert box("PUT", "wrong", x_symlink_target="box/there", x_symlink_target_etag="0" * 32).status_code == 409
    assert box("GET", "soft").content == box("GET", "hard").content == b"hello"
    assert box("GET", "soft").headers["content-location"] == "/v1/AUTH_one/box/there"
    assert box("HEAD", "soft?symlink=get").headers["x-symlink-target"] == "box/there"
    box("PUT", "there", b"other")
    assert (box("GET", "soft").content, box("GET", "hard").status_code) == (b"other", 409)
    assert box("POST", "soft", x_object_meta_a="1").status_code == 307
    box("PUT", "loop", x_symlink_target="box/pool")
    box("PUT", "pool", x_symlink_target="box/loop")
    assert box("GET", "loop").status_code == 409


def test_versions(box: Box, ask: Ask) -> None:
    box("PUT", "a", b"before")
    assert ask("POST", "/v1/AUTH_one/box", x_versions_enabled="true").status_code == 204
    ids = [box("PUT", "a", text).headers["x-object-version-id"] for text in (b"one", b"two")]
    assert box("GET", "a").content == b"two" and box("GET", f"a?version-id={ids[0]}").content == b"one"
    assert box("DELETE", "a").status_code == 204 and box("GET", "a").status_code == 404
    lines = ask("GET", "/v1/AUTH_one/box?versions").json()
    assert [line["bytes"] for line in lines] == [0, 3, 3, 6] and [line["is_latest"] for line in lines] == [True, False, False, False]
    assert box("PUT", f"a?version-id={ids[0]}").status_code == 201 and box("GET", "a").content == b"one"
    assert box("DELETE", f"a?version-id={ids[0]}").status_code == 204 and box("GET", "a").status_code == 404
    assert ask("GET", "/v1/AUTH_one").text == "box\n"
    assert box("GET", f"a?version-id={ids[1]}", token="reader-one").status_code == 403


def test_the_older_kind_of_versions(box: Box, ask: Ask) -> None:
    ask("PUT", "/v1/AUTH_one/old")
    assert ask("POST", "/v1/AUTH_one/box", x_versions_location="old").status_code == 204
    for text in (b"one", b"two"): box("PUT", "a", text)
    assert ask("GET", "/v1/AUTH_one/old").text.startswith("001a/")
    assert box("DELETE", "a").status_code == 204 and box("GET", "a").content == b"one"
    assert ask("GET", "/v1/AUTH_one/old").status_code == 204


def _signed(key: str, method: str, path: str, digest: str = "sha256", expires: int | None = None) -> str:
    at = expires or int(time.time()) + 60
    text = "\n".join((method, str(at), path))
    return f"temp_url_sig={hmac.new(key.encode(), text.encode(), digest).hexdigest()}&temp_url_expires={at}"


def test_temporary_urls(box: Box, ask: Ask) -> None:
    box("PUT", "a", b"hello", x_object_meta_secret="1")
    assert ask("POST", "/v1/AUTH_one/box", x_container_meta_temp_url_key="key").status_code == 204
    path = "/v1/AUTH_one/box/a"
    for digest in ("sha1", "sha256", "sha512"):
        got = ask("GET", f"{path}?{_signed('key', 'GET', path, digest)}", token=None)
        assert got.content == b"hello" and "x-object-meta-secret" not in got.headers
    assert got.headers["content-disposition"] == "attachment; filename=\"a\"; filename*=UTF-8''a"
    assert ask("HEAD", f"{path}?{_signed('key', 'GET', path)}", token=None).status_code == 200
    assert ask("PUT", f"{path}?{_signed('key', 'GET', path)}", b"", token=None).status_code == 401
    assert ask("PUT", f"{path}?{_signed('key', 'PUT', path)}", b"new", token=None).status_code == 201
    assert ask("GET", f"{path}?{_signed('key', 'GET', path, expires=1)}", token=None).status_code == 401
    assert ask("GET", f"{path}?{_signed('wrong', 'GET', path)}", token=None).status_code == 401


def test_large_objects_of_large_objects_have_an_end(box: Box, ask: Ask) -> None:
    box("PUT", "level0", b"x" * 10)
    answers = []
    for level in range(1, 7):
        entries = [{"path": f"/box/level{level - 1}"}] * 1000
        answers.append(ask("PUT", f"/v1/AUTH_one/box/level{level}?multipart-manifest=put", json.dumps(entries).encode()).status_code)
    assert answers == [201] * 5 + [413]
    many = b"[" + b",".join([b'{"data":"QQ=="}'] * 30_000) + b"]"
    assert ask("PUT", "/v1/AUTH_one/box/many?multipart-manifest=put", many).status_code == 413


def test_bulk(ask: Ask) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name in ("one/a", "one/b", "two/c"):
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
    done = ask("PUT", "/v1/AUTH_one?extract-archive=tar.gz", data.getvalue(), accept="application/json").json()
    assert done["Number Files Created"] == 3 and done["Response Status"] == "201 Created"
    assert ask("GET", "/v1/AUTH_one/one").text == "a\nb\n"
    broken = ask("PUT", "/v1/AUTH_one?extract-archive=tar.gz", data.getvalue()[:40], accept="application/json").json()
    assert broken["Response Status"] == "400 Bad Request"
    gone = ask("POST", "/v1/AUTH_one?bulk-delete", b"one/a\none/b\none\ntwo/none\n", accept="application/json").json()
    assert (gone["Number Deleted"], gone["Number Not Found"]) == (3, 1)
    assert ask("GET", "/v1/AUTH_one").text == "two\n"


def test_cors(box: Box, ask: Ask) -> None:
    box("PUT", "a", b"hello")
    ask("POST", "/v1/AUTH_one/box", x_container_meta_access_control_allow_origin="http://page.example")
    asked = {"origin": "http://page.example", "access_control_request_method": "GET"}
    assert ask("OPTIONS", "/v1/AUTH_one/box/a", token=None, **asked).headers["access-control-allow-origin"] == "http://page.example"
    assert ask("OPTIONS", "/v1/AUTH_one/box/a", token=None, **asked | {"origin": "http://evil.example"}).status_code == 401
    assert "access-control-allow-origin" not in box("GET", "a", origin="http://evil.example").headers
