"""Accounts and containers: listings in three formats, metadata, who may do what, quotas."""
from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

Box = Callable[..., httpx.Response]
Ask = Callable[..., httpx.Response]


@pytest.fixture
def full(box: Box) -> Box:
    for name in ("a", "b/1", "b/2", "c"): assert box("PUT", name, b"xy").status_code == 201
    return box


@pytest.mark.parametrize(("query", "names"), [
    ("", ["a", "b/1", "b/2", "c"]), ("?limit=2", ["a", "b/1"]), ("?marker=b/1", ["b/2", "c"]), ("?end_marker=b/2", ["a", "b/1"]),
    ("?prefix=b/", ["b/1", "b/2"]), ("?delimiter=/", ["a", "b/", "c"]), ("?reverse=true", ["c", "b/2", "b/1", "a"]),
    ("?path=b", ["b/1", "b/2"]), ("?marker=z", [])])
def test_listing(full: Box, ask: Ask, query: str, names: list[str]) -> None:
    text = ask("GET", f"/v1/AUTH_one/box{query}")
    assert text.status_code == (200 if names else 204) and text.text.split() == names
    lines = ask("GET", f"/v1/AUTH_one/box{query}", accept="application/json").json()
    assert [line.get("name") or line["subdir"] for line in lines] == names


def test_listing_as_xml_and_by_accept(full: Box, ask: Ask) -> None:
    xml = ask("GET", "/v1/AUTH_one/box?format=xml&delimiter=/")
    assert xml.headers["content-type"].startswith("application/xml")
    assert '<container name="box"><object><name>a</name>' in xml.text and '<subdir name="b/"><name>b/</name></subdir>' in xml.text
    assert ask("GET", "/v1/AUTH_one/box", accept="image/png").status_code == 406
    assert ask("GET", "/v1/AUTH_one/box?limit=10001").status_code == 412
    assert ask("GET", "/v1/AUTH_one").text == "box\n"


def test_a_container_that_is_not_empty_stays(full: Box, ask: Ask) -> None:
    head = ask("HEAD", "/v1/AUTH_one/box")
    assert (head.status_code, head.headers["x-container-object-count"], head.headers["x-container-bytes-used"]) == (204, "4", "8")
    assert ask("DELETE", "/v1/AUTH_one/box").status_code == 409


def test_metadata_are_merged_and_removed(box: Box, ask: Ask) -> None:
    for path in ("/v1/AUTH_one/box", "/v1/AUTH_one"):
        kind = "container" if path.endswith("box") else "account"
        assert ask("POST", path, **{f"x_{kind}_meta_a": "1", f"x_{kind}_meta_b": "2"}).status_code == 204
        assert ask("POST", path, **{f"x_remove_{kind}_meta_a": "x"}).status_code == 204
        headers = ask("HEAD", path).headers
        assert headers[f"x-{kind}-meta-b"] == "2" and f"x-{kind}-meta-a" not in headers


def test_who_may(full: Box, ask: Ask) -> None:
    path = "/v1/AUTH_one/box/a"
    assert ask("GET", path, token=None).status_code == 401
    assert ask("GET", path, token="member-two").status_code == 403
    assert ask("GET", path, token="reader-one").status_code == 200
    assert ask("PUT", path, b"", token="reader-one").status_code == 403
    assert ask("PUT", path, b"xy", token="reseller-two").status_code == 201
    assert ask("DELETE", "/v1/AUTH_one", token="member-one").status_code == 403


@pytest.mark.parametrize(("read", "token", "object_status", "list_status"), [
    (".r:*", None, 200, 401), (".r:*,.rlistings", None, 200, 200), ("two:*", "member-two", 200, 200),
    ("*:user-of-member-two", "member-two", 200, 200),
    ("two:someone", "member-two", 403, 403), ("guest", "guest-two", 200, 200), (".r:.example.com", None, 401, 401)])
def test_read_acl(full: Box, ask: Ask, read: str, token: str | None, object_status: int, list_status: int) -> None:
    assert ask("POST", "/v1/AUTH_one/box", x_container_read=read).status_code == 204
    assert ask("GET", "/v1/AUTH_one/box/a", token=token).status_code == object_status
    assert ask("GET", "/v1/AUTH_one/box", token=token).status_code == list_status
    assert "x-container-read" not in ask("HEAD", "/v1/AUTH_one/box", token="reader-one").headers


def test_write_acl_and_its_form(full: Box, ask: Ask) -> None:
    assert ask("POST", "/v1/AUTH_one/box", x_container_write=".r:*").status_code == 400
    assert ask("POST", "/v1/AUTH_one/box", x_container_write="two:*").status_code == 204
    assert ask("PUT", "/v1/AUTH_one/box/new", b"", token="member-two").status_code == 201
    assert ask("GET", "/v1/AUTH_one/box/new", token="member-two").status_code == 403


def test_quotas(box: Box, ask: Ask) -> None:
    assert ask("POST", "/v1/AUTH_one/box", x_container_meta_quota_bytes="many").status_code == 400
    assert ask("POST", "/v1/AUTH_one/box", x_container_meta_quota_bytes="10", x_container_meta_quota_count="2").status_code == 204
    assert box("PUT", "a", b"x" * 11).status_code == 413
    assert [box("PUT", name, b"x").status_code for name in "abc"] == [201, 201, 413]
    assert ask("POST", "/v1/AUTH_one", x_account_quota_bytes="1").status_code == 403
    assert ask("POST", "/v1/AUTH_one", x_account_quota_bytes="1", token="reseller-x").status_code == 204
    assert ask("HEAD", "/v1/AUTH_one").headers["x-account-quota-bytes"] == "1"


def test_tempauth_and_account_acls(ask: Ask) -> None:
    assert ask("GET", "/auth/v1.0", token=None, x_auth_user="test:tester", x_auth_key="wrong").status_code == 401
    tokens = {user: ask("GET", "/auth/v1.0", token=None, x_auth_user=user, x_auth_key=key).headers["x-auth-token"]
              for user, key in (("test:tester", "testing"), ("test:tester3", "testing3"))}
    assert ask("PUT", "/v1/AUTH_test/c", token=tokens["test:tester"]).status_code == 201
    assert ask("PUT", "/v1/AUTH_test/c/o", b"", token=tokens["test:tester3"]).status_code == 403
    wanted = '{"read-write": ["test:tester3"]}'
    assert ask("POST", "/v1/AUTH_test", token=tokens["test:tester"], x_account_access_control=wanted).status_code == 204
    assert ask("PUT", "/v1/AUTH_test/c/o", b"", token=tokens["test:tester3"]).status_code == 201


def test_info_and_health(ask: Ask) -> None:
    info = ask("GET", "/info", token=None).json()
    assert info["swift"]["max_file_size"] == 5368709122 and {"slo", "dlo", "tempurl", "symlink", "bulk_delete"} <= info.keys()
    assert ask("GET", "/healthcheck", token=None).text == "OK"
    assert [ask("GET", path).status_code for path in ("/", "/v1", "/v2/AUTH_one", "/v1//c/o")] == [412, 412, 400, 404]
