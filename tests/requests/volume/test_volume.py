"""Volumes over the API: made, shown, listed, changed, grown, removed."""
from __future__ import annotations

from typing import Any

import pytest


def message(body: Any) -> str:
    return str(next(iter(body.values()))["message"])


def test_a_volume_is_made_shown_and_removed(world: Any) -> None:
    status, body = world.ask("POST", "/volumes", {"volume": {"size": 2, "name": "data", "description": "d", "metadata": {"k": "v"}}})
    volume = body["volume"]
    assert (status, volume["status"], volume["size"], volume["bootable"], volume["volume_type"]) == (202, "creating", 2, "false",
                                                                                                     "__DEFAULT__")
    assert volume["links"][0]["href"] == f"http://cloud/block-storage/v3/volumes/{volume['id']}"
    world.until(volume["id"], "available")
    assert world.driver.size_gib(volume["id"]) == 2
    status, body = world.ask("GET", f"/volumes/{volume['id']}", who="admin")
    assert status == 200 and body["volume"]["os-vol-host-attr:host"] == "node1@simulated#simulated"
    assert body["volume"]["os-vol-tenant-attr:tenant_id"] == "a" * 32 and body["volume"]["metadata"] == {"k": "v"}
    assert world.ask("DELETE", f"/volumes/{volume['id']}") == (202, None)
    world.until(volume["id"], None)
    assert world.driver.volumes() == []
    status, body = world.ask("GET", f"/volumes/{volume['id']}")
    assert (status, body) == (404, {"itemNotFound": {"code": 404, "message": f"Volume {volume['id']} could not be found."}})


def test_the_body_shown_grows_with_the_microversion(world: Any) -> None:
    id = world.make()
    def keys(version: str | None, who: str = "member") -> set[str]: return set(world.ask("GET", f"/volumes/{id}", version=version,
                                                                                         who=who)[1]["volume"])
    first = keys(None)
    assert first == {"id", "status", "size", "availability_zone", "created_at", "updated_at", "name", "description", "volume_type",
                     "snapshot_id",
                     "source_volid", "metadata", "links", "user_id", "bootable", "encrypted", "replication_status", "consistencygroup_id",
                     "multiattach",
                     "attachments", "os-vol-tenant-attr:tenant_id"}
    assert keys("3.13") - first == {"group_id"}
    assert keys("3.48") - keys("3.47") == {"shared_targets", "service_uuid"}
    assert keys("3.63") - keys("3.62") == {"volume_type_id"}
    assert keys("3.65") - keys("3.64") == {"consumes_quota"}
    assert keys("3.61", "admin") - keys("3.60", "admin") == {"cluster_name"}
    assert "os-vol-host-attr:host" not in keys("3.71") and "imageRef" not in keys("3.71", "admin")


def test_who_may_what(world: Any) -> None:
    id = world.make()
    assert world.ask("GET", f"/volumes/{id}", who="")[0] == 401
    assert world.ask("GET", f"/volumes/{id}", who="other")[0] == 404
    assert world.ask("DELETE", f"/volumes/{id}", who="other")[0] == 404
    assert world.act(id, "os-extend", {"new_size": 2}, who="other")[0] == 404
    assert world.ask("GET", f"/volumes/{id}", who="reader")[0] == 200
    for method, path, body in [("DELETE", f"/volumes/{id}", None), ("PUT", f"/volumes/{id}", {"volume": {"name": "x"}}),
                               ("POST", "/volumes", {"volume": {"size": 1}}),
                               ("POST", f"/volumes/{id}/action", {"os-extend": {"new_size": 2}}),
                               ("POST", f"/volumes/{id}/metadata", {"metadata": {"a": "b"}})]:
        assert world.ask(method, path, body, who="reader")[0] == 403, (method, path)
    assert world.act(id, "os-reset_status", {"status": "error"})[0] == 403
    assert world.ask("DELETE", f"/volumes/{id}?force=true")[0] == 403


def test_the_projects_id_in_the_path(world: Any) -> None:
    id = world.make()
    assert world.ask("GET", f"/{'a' * 32}/volumes/{id}")[0] == 200
    assert world.ask("GET", f"/{'b' * 32}/volumes/{id}")[0] == 400
    assert world.ask("GET", f"/{'b' * 32}/volumes/{id}", who="admin")[0] == 200


@pytest.mark.parametrize("size", [0, -1, "", "#$%", 1.5, "1.5", [], None])
def test_a_size_that_is_none(world: Any, size: Any) -> None:
    assert world.ask("POST", "/volumes", {"volume": {"size": size}})[0] == 400


@pytest.mark.parametrize("values, reason", [
    ({"volume_type": "nope"}, 404), ({"snapshot_id": "b6ab9b5d-9a0e-4b0f-8c8e-1d1c3e3c5e11"}, 404),
    ({"source_volid": "b6ab9b5d-9a0e-4b0f-8c8e-1d1c3e3c5e11"}, 404), ({"imageRef": "b6ab9b5d-9a0e-4b0f-8c8e-1d1c3e3c5e11"}, 400),
    ({"availability_zone": "mars"}, 400), ({"multiattach": True}, 400), ({"foo": "bar"}, 400), ({"metadata": {"k": 1}}, 400),
    ({"name": "n" * 256}, 400),
    ({"group_id": "b6ab9b5d-9a0e-4b0f-8c8e-1d1c3e3c5e11"}, 400)])
def test_what_cannot_be_made(world: Any, values: dict[str, Any], reason: int) -> None:
    status, body = world.ask("POST", "/volumes", {"volume": {"size": 1} | values})
    assert status == reason, body
    assert world.ask("GET", "/volumes")[1] == {"volumes": []}


def test_nulls_mean_not_given(world: Any) -> None:
    status, body = world.ask("POST", "/volumes", {"volume": {
        "size": "1", "name": None, "description": None, "imageRef": None, "snapshot_id": None, "source_volid": None, "volume_type": None,
        "availability_zone": None, "metadata": None, "consistencygroup_id": None, "backup_id": None, "multiattach": None}})
    assert status == 202 and body["volume"]["availability_zone"] == "nova" and body["volume"]["metadata"] == {}


def test_lists_page_filter_and_sort(world: Any) -> None:
    ids = [world.make(name=f"v{number}", metadata={"n": str(number)}) for number in range(4)]
    world.make(who="other", name="foreign")
    assert {v["id"] for v in world.ask("GET", "/volumes")[1]["volumes"]} == set(ids)
    assert set(world.ask("GET", "/volumes")[1]["volumes"][0]) == {"id", "name", "links"}
    assert [v["name"] for v in world.ask("GET", "/volumes?sort=name:asc")[1]["volumes"]] == ["v0", "v1", "v2", "v3"]
    assert [v["id"] for v in world.ask("GET", "/volumes/detail")[1]["volumes"]] == ids[::-1], "newest first"
    first = world.ask("GET", "/volumes?limit=3&sort_key=name&sort_dir=desc")[1]
    assert [v["name"] for v in first["volumes"]] == ["v3", "v2", "v1"]
    link = first["volumes_links"][0]
    assert link["rel"] == "next"
    second = world.ask("GET", link["href"].removeprefix("http://cloud/block-storage/v3"))[1]
    assert [v["name"] for v in second["volumes"]] == ["v0"] and "volumes_links" not in second
    def names(query: str, who: str = "member") -> list[str]: return sorted(v["name"] for v in world.ask("GET", f"/volumes/detail?{query}",
                                                                                                        who=who)[1]["volumes"])
    assert names("name=v2") == ["v2"] and names("status=available") == ["v0", "v1", "v2", "v3"] and names("status=null") == []
    assert names("metadata={'n': '1'}") == ["v1"] and names("metadata={'n': '9'}") == []
    assert names("bootable=true") == [] and names("all_tenants=1") == ["v0", "v1", "v2", "v3"]
    assert names("all_tenants=1", "admin") == ["foreign", "v0", "v1", "v2", "v3"] and names("", "admin") == []
    assert names(f"all_tenants=1&project_id={'b' * 32}", "admin") == ["foreign"]
    assert names("created_at=gt:2020-01-01T00:00:00") == ["v0", "v1", "v2", "v3"] and names("created_at=lt:2020-01-01T00:00:00") == []
    assert world.ask("GET", "/volumes?limit=1&with_count=True")[1]["count"] == 4
    assert world.ask("GET", "/volumes?limit=-1")[0] == 400 and world.ask("GET", "/volumes?marker=nope")[0] == 400
    assert world.ask("GET", "/volumes/summary")[1] == {"volume-summary": {"total_count": 4, "total_size": 4,
                                                                          "metadata": {"n": ["0", "1", "2", "3"]}}}
    assert world.ask("GET", "/volumes/summary", version="3.11")[0] == 404


def test_names_change_and_words_are_kept(world: Any) -> None:
    id = world.make(metadata={"a": "1"})
    assert world.ask("PUT", f"/volumes/{id}",
                     {"volume": {"name": "new", "description": "text", "metadata": {"b": "2"}}})[1]["volume"]["name"] == "new"
    path = f"/volumes/{id}/metadata"
    assert world.ask("GET", path)[1] == {"metadata": {"b": "2"}}
    assert world.ask("POST", path, {"metadata": {"c": "3"}}) == (200, {"metadata": {"b": "2", "c": "3"}})
    assert world.ask("PUT", path, {"metadata": {"d": "4"}}) == (200, {"metadata": {"d": "4"}})
    assert world.ask("PUT", path + "/d", {"meta": {"d": "5"}}) == (200, {"meta": {"d": "5"}})
    assert world.ask("PUT", path + "/d", {"meta": {"e": "5"}})[0] == 400
    assert world.ask("GET", path + "/d")[1] == {"meta": {"d": "5"}}
    assert world.ask("DELETE", path + "/d") == (200, None) and world.ask("DELETE", path + "/d")[0] == 404
    assert world.ask("GET", path + "/d")[0] == 404 and world.ask("GET", path)[1] == {"metadata": {}}


def test_extend(world: Any) -> None:
    id = world.make()
    status, body = world.act(id, "os-extend", {"new_size": 1})
    assert status == 400 and message(body) == ("Invalid input received: New size for extend must be greater than current size. "
                                               "(current: 1, extended: 1).")
    for wrong in (None, "huge", ""): assert world.act(id, "os-extend", {"new_size": wrong})[0] == 400
    assert world.act(id, "os-extend", {"new_size": 3}) == (202, None)
    world.until(id, "available")
    assert world.ask("GET", f"/volumes/{id}")[1]["volume"]["size"] == 3 and world.driver.size_gib(id) == 3


def test_flags(world: Any) -> None:
    id = world.make()
    assert world.act(id, "os-set_bootable", {"bootable": True})[0] == 200
    assert world.act(id, "os-update_readonly_flag", {"readonly": True})[0] == 202
    volume = world.ask("GET", f"/volumes/{id}")[1]["volume"]
    assert volume["bootable"] == "true" and volume["metadata"] == {"readonly": "True"}
    assert world.act(id, "os-set_bootable", {"bootable": "maybe"})[0] == 400
    assert world.act(id, "os-set_image_metadata", {"metadata": {"os": "x"}})[1] == {"metadata": {"os": "x"}}
    assert world.act(id, "os-show_image_metadata")[1] == {"metadata": {"os": "x"}}
    assert world.act(id, "os-unset_image_metadata", {"key": "os"})[0] == 200 and world.act(id, "os-unset_image_metadata",
                                                                                           {"key": "os"})[0] == 404
    assert world.ask("POST", f"/volumes/{id}/action", {"os-nope": {}})[0] == 400


def test_administrators_force_things(world: Any) -> None:
    id = world.make()
    assert world.act(id, "os-reset_status", {"status": "error"}, who="admin")[0] == 202 and world.status(id) == "error"
    assert world.act(id, "os-extend", {"new_size": 5})[0] == 400
    assert world.act(id, "os-reset_status", {"status": "nonsense"}, who="admin")[0] == 400
    world.act(id, "os-reset_status", {"status": "maintenance"}, who="admin")
    status, body = world.ask("DELETE", f"/volumes/{id}")
    assert status == 400 and message(body).startswith("Invalid volume: Volume status must be available or error")
    assert world.act(id, "os-force_delete", who="admin")[0] == 202
    world.until(id, None)


def test_a_volume_that_no_host_can_take_is_an_error_with_a_message(world: Any) -> None:
    world.ask("PUT", "/os-services/disable", {"host": "node1@simulated", "binary": "cinder-volume"}, who="admin")
    id = world.make(until="error")
    found = world.ask("GET", f"/messages?resource_uuid={id}")[1]["messages"]
    assert [one["user_message"] for one in found] == ["create: No valid backend was found. node1: it is disabled"]
    assert world.ask("GET", "/messages", who="other")[1] == {"messages": []}
    assert world.ask("DELETE", f"/messages/{found[0]['id']}") == (204, None)
    assert world.ask("DELETE", f"/volumes/{id}") == (202, None) and world.status(id) is None, "it lies nowhere, so it goes at once"
