"""Images over HTTP: what may be said of them, who sees which, lists, patches, tags."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from pilvi.core.http.app import Application
from pilvi.image.resources.image import Image

Ask = Callable[..., Any]
PATCH = "application/openstack-images-v2.1-json-patch"


def make(ask: Ask, name: str = "i", *, token: str = "one", **values: Any) -> str:
    made = ask("POST", "/v2/images", {"name": name} | values, token=token)
    assert made.status == 201, made.body
    return str(made.body["id"])


def patch(ask: Ask, id: str, *changes: dict[str, Any], token: str = "one") -> Any:
    return ask("PATCH", f"/v2/images/{id}", list(changes), token=token, content_type=PATCH)


def replace(name: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": f"/{name}", "value": value}


def names(ask: Ask, query: str = "", token: str = "one") -> list[str]:
    reply = ask("GET", f"/v2/images?{query}", token=token)
    assert reply.status == 200, reply.body
    return sorted(one["name"] for one in reply.body["images"])


def test_a_new_image_is_queued_and_shared_with_nobody(ask: Ask) -> None:
    made = ask("POST", "/v2/images", {"name": "a", "disk_format": "raw", "container_format": "bare", "tags": ["x", "x"], "os_distro": "d"})
    id = made.body["id"]
    expected = {"name": "a", "status": "queued", "visibility": "shared", "owner": "one", "size": None, "checksum": None, "tags": ["x"],
                "os_distro": "d", "min_disk": 0, "protected": False, "os_hidden": False, "self": f"/v2/images/{id}",
                "file": f"/v2/images/{id}/file", "schema": "/v2/schemas/image"}
    assert {key: made.body[key] for key in expected} == expected
    assert made.body["updated_at"] == made.body["created_at"]
    assert (made.headers["Location"], made.headers["OpenStack-image-import-methods"]) == (f"/v2/images/{id}", "glance-direct")
    assert ask("GET", f"/v2/images/{id}").body == made.body


def test_an_id_may_be_chosen_once(ask: Ask) -> None:
    id = str(uuid4())
    assert make(ask, id=id) == id
    assert ask("POST", "/v2/images", {"id": id}).status == 409
    ask("DELETE", f"/v2/images/{id}")
    assert ask("POST", "/v2/images", {"id": id}).status == 409


@pytest.mark.parametrize(("values", "status"), [
    ({"status": "active"}, 403), ({"size": 5}, 403), ({"checksum": "x"}, 403), ({"self": "x"}, 403), ({"deleted": "x"}, 403),
    ({"os_glance_x": "x"}, 403), ({"locations": []}, 403), ({"owner": "two"}, 403), ({"visibility": "public"}, 403),
    ({"disk_format": "floppy"}, 400), ({"container_format": "box"}, 400), ({"visibility": "x"}, 400), ({"protected": "yes"}, 400),
    ({"min_disk": -1}, 400), ({"colour": 5}, 400), ({"colour": None}, 400), ({"tags": ["x" * 256]}, 400), ({"name": "x" * 256}, 400),
    ({"id": "x"}, 400), ({f"p{number}": "v" for number in range(129)}, 413), ({"tags": [str(number) for number in range(129)]}, 413)])
def test_what_may_not_be_said(ask: Ask, values: dict[str, Any], status: int) -> None:
    assert ask("POST", "/v2/images", values).status == status


def test_readers_make_nothing(ask: Ask) -> None:
    assert ask("POST", "/v2/images", {"name": "a"}, token="reader-one").status == 403
    id = make(ask)
    assert ask("GET", f"/v2/images/{id}", token="reader-one").status == 200
    assert patch(ask, id, replace("name", "b"), token="reader-one").status == 403
    assert ask("DELETE", f"/v2/images/{id}", token="reader-one").status == 403


def test_a_system_scoped_administrator_has_no_part_in_images(ask: Ask) -> None:
    id = make(ask, token="admin", visibility="public")
    assert ask("GET", "/v2/images", token="system").status == 403
    assert ask("POST", "/v2/images", {"name": "a"}, token="system").status == 403
    for method in ("GET", "DELETE"): assert ask(method, f"/v2/images/{id}", token="system").status == 404


def test_who_sees_what(ask: Ask) -> None:
    for visibility in ("private", "shared", "community"): make(ask, visibility, visibility=visibility)
    make(ask, "public", token="admin", visibility="public")
    assert names(ask) == ["community", "private", "public", "shared"]
    assert names(ask, token="two") == ["public"]
    assert names(ask, "visibility=all", token="two") == ["community", "public"]
    assert names(ask, "visibility=community", token="two") == ["community"]
    for visibility in ("private", "shared"): assert names(ask, f"visibility={visibility}", token="two") == []
    for visibility in ("private", "shared", "public"): assert names(ask, f"visibility={visibility}") == [visibility]
    assert names(ask, token="admin") == ["community", "private", "public", "shared"]
    assert ask("GET", "/v2/images?visibility=odd").status == 400
    by_name = {one["name"]: one["id"] for one in ask("GET", "/v2/images", token="admin").body["images"]}
    assert {name: ask("GET", f"/v2/images/{id}", token="two").status for name, id in by_name.items()} == {
        "private": 404, "shared": 404, "community": 200, "public": 200}
    assert ask("DELETE", f"/v2/images/{by_name['public']}", token="two").status == 403


def test_hidden_images_are_listed_only_when_asked_for(ask: Ask) -> None:
    make(ask, "a", os_hidden=True)
    make(ask, "b")
    assert (names(ask), names(ask, "os_hidden=true")) == (["b"], ["a"])


def test_filters(application: Application, ask: Ask) -> None:
    for name, values in {"a": {"disk_format": "raw", "tags": ["x"], "os_distro": "debian", "min_ram": 5}, "b": {"tags": ["x", "y"]},
                         'c"d': {"os_distro": "deb", "protected": True}}.items(): make(ask, name, **values)
    with application.database.write() as db: db.query(Image).where(Image.name == "a").update({"size": 100})
    everything = ["a", "b", 'c"d']
    expected = {"name=a": ["a"], "name=in:a,b": ["a", "b"], 'name=in:"a"': ["a"], "disk_format=raw": ["a"], "tag=x": ["a", "b"],
                "tag=x&tag=y": ["b"], "os_distro=debian": ["a"], "os_distro=DEBIAN": [], "os_distro=deb": ['c"d'],
                "protected=true": ['c"d'], "protected=False": ["a", "b"], "size_min=50": ["a"], "size_max=50": [],
                "status=queued": everything, "status=in:active,saving": [], "min_ram=5": ["a"], "owner=one": everything, "owner=two": [],
                "created_at=gt:2020-01-01T00:00:00Z": everything, "created_at=lt:2020-01-01T00:00:00Z": [], "nothing=x": [], "tag=": []}
    assert {query: names(ask, query) for query in expected} == expected
    for query in ("size_min=x", "created_at=gt:x", "limit=x", "sort_key=x", "sort=name&sort_key=name", "member_status=x", "marker=x"):
        assert ask("GET", f"/v2/images?{query}").status == 400


def test_pages_and_order(ask: Ask) -> None:
    for name in "cab": make(ask, name)
    listed = [one["name"] for one in ask("GET", "/v2/images").body["images"]]
    assert listed == ["b", "a", "c"]
    first = ask("GET", "/v2/images?limit=2&sort=name:asc").body
    assert [one["name"] for one in first["images"]] == ["a", "b"]
    assert (first["first"], first["schema"]) == ("/v2/images?limit=2&sort=name%3Aasc", "/v2/schemas/images")
    second = ask("GET", first["next"]).body
    assert ([one["name"] for one in second["images"]], "next" in second) == (["c"], False)
    assert [one["name"] for one in ask("GET", "/v2/images?sort_key=name").body["images"]] == ["c", "b", "a"]
    assert ask("GET", "/v2/images?limit=0").body["images"] == []


def test_a_page_has_25_images_unless_more_are_asked_for(ask: Ask) -> None:
    for _ in range(26): make(ask)
    assert len(ask("GET", "/v2/images").body["images"]) == 25
    assert len(ask("GET", "/v2/images?limit=100").body["images"]) == 26


def test_patches(ask: Ask) -> None:
    id = make(ask, os_distro="debian")
    changed = patch(ask, id, replace("name", "b"), {"op": "add", "path": "/colour~1shade", "value": "red"},
                    {"op": "remove", "path": "/os_distro"}, replace("tags", ["q", "p"]), replace("disk_format", "raw")).body
    assert (changed["name"], changed["colour/shade"], changed["tags"], changed["disk_format"]) == ("b", "red", ["p", "q"], "raw")
    assert "os_distro" not in changed
    old = ask("PATCH", f"/v2/images/{id}", [{"replace": "/name", "value": "c"}], content_type=PATCH.replace("2.1", "2.0"))
    assert old.body["name"] == "c"


@pytest.mark.parametrize(("change", "status"), [
    (replace("status", "active"), 403), (replace("id", "x"), 403), (replace("size", 1), 403), ({"op": "remove", "path": "/name"}, 403),
    (replace("absent", "x"), 409), ({"op": "remove", "path": "/absent"}, 409), (replace("os_glance_a", "x"), 403),
    (replace("owner", "two"), 403), (replace("visibility", "public"), 403), (replace("min_disk", "many"), 400),
    (replace("protected", "x"), 400), ({"op": "add", "path": "/p", "value": 5}, 400), ({"op": "move", "path": "/a"}, 400),
    ({"op": "add", "path": "/a"}, 400),
    ({"op": "add", "path": "a", "value": "b"}, 400), ({"op": "add", "path": "/a/b", "value": "b"}, 400), ({"path": "/a"}, 400)])
def test_patches_that_are_refused(ask: Ask, change: dict[str, Any], status: int) -> None:
    assert patch(ask, make(ask), change).status == status


def test_a_patch_changes_all_or_nothing_and_wants_its_type(ask: Ask) -> None:
    id = make(ask)
    assert patch(ask, id, replace("name", "b"), replace("absent", "x")).status == 409
    assert ask("GET", f"/v2/images/{id}").body["name"] == "i"
    assert ask("PATCH", f"/v2/images/{id}", [], content_type="application/json").status == 415
    assert ask("PATCH", f"/v2/images/{id}", {}, content_type=PATCH).status == 400


def test_formats_are_fixed_once_there_are_bytes(ask: Ask, stream: Ask) -> None:
    id = make(ask, disk_format="raw", container_format="bare")
    stream("PUT", f"/v2/images/{id}/file", b"x")
    assert patch(ask, id, replace("disk_format", "qcow2")).status == 403
    assert patch(ask, id, replace("disk_format", "raw")).status == 200


def test_protected_images_stay(ask: Ask) -> None:
    id = make(ask, protected=True)
    assert ask("DELETE", f"/v2/images/{id}").status == 403
    patch(ask, id, replace("protected", False))
    assert ask("DELETE", f"/v2/images/{id}").status == 204
    for method in ("GET", "DELETE"): assert ask(method, f"/v2/images/{id}").status == 404
    assert names(ask, token="admin") == []


def test_an_empty_id_names_no_image(ask: Ask) -> None:
    for method in ("GET", "DELETE"): assert ask(method, "/v2/images/").status == 404
    assert ask("DELETE", "/v2/images").status == 405


def test_tags(ask: Ask) -> None:
    id = make(ask)
    for _ in range(2): assert ask("PUT", f"/v2/images/{id}/tags/x").status == 204
    assert ask("GET", f"/v2/images/{id}").body["tags"] == ["x"]
    assert ask("DELETE", f"/v2/images/{id}/tags/x").status == 204
    assert ask("DELETE", f"/v2/images/{id}/tags/x").status == 404
    assert ask("PUT", f"/v2/images/{uuid4()}/tags/x").status == 404
    assert ask("PUT", f"/v2/images/{id}/tags/{'x' * 256}").status == 400


def test_documents_that_clients_ask_for(ask: Ask) -> None:
    for name in ("image", "images", "member", "members"): assert ask("GET", f"/v2/schemas/{name}").body["name"] == name
    assert "disk_format" in ask("GET", "/v2/schemas/image").body["properties"]
    assert ask("GET", "/v2/info/import").body["import-methods"]["value"] == ["glance-direct"]
    assert ask("GET", "/v2/info/stores").status == 404
    listed = ask("GET", "/")
    assert (listed.status, listed.body["versions"][0]["id"]) == (300, "v2.9")
    assert listed.body["versions"][0]["links"] == [{"rel": "self", "href": "http://cloud/image/v2/"}]
    assert ask("GET", "/versions").status == 200
