"""Snapshots over the API."""
from __future__ import annotations

from typing import Any


def message(body: Any) -> str:
    return str(next(iter(body.values()))["message"])


def test_made_shown_and_removed(world: Any) -> None:
    volume_id = world.make(size=2)
    status, body = world.ask("POST", "/snapshots",
                             {"snapshot": {"volume_id": volume_id, "name": "s", "description": "d", "metadata": {"k": "v"},
                                                                 "force": True}})
    snapshot = body["snapshot"]
    assert (status, snapshot["status"], snapshot["size"], snapshot["volume_id"]) == (202, "creating", 2, volume_id)
    world.until(snapshot["id"], "available", kind="snapshots")
    shown = world.ask("GET", f"/snapshots/{snapshot['id']}")[1]["snapshot"]
    assert shown["os-extended-snapshot-attributes:progress"] == "100%" and shown["user_id"] == "u1" and shown["metadata"] == {"k": "v"}
    assert shown["os-extended-snapshot-attributes:project_id"] == "a" * 32
    assert "user_id" not in world.ask("GET", f"/snapshots/{snapshot['id']}", version="3.40")[1]["snapshot"]
    status, body = world.ask("DELETE", f"/volumes/{volume_id}")
    assert status == 400 and "have snapshots" in message(body)
    assert world.ask("PUT", f"/snapshots/{snapshot['id']}", {"snapshot": {"name": "t"}})[1]["snapshot"]["name"] == "t"
    assert world.ask("DELETE", f"/snapshots/{snapshot['id']}") == (202, None)
    world.until(snapshot["id"], None, kind="snapshots")
    assert world.ask("GET", f"/snapshots/{snapshot['id']}")[1] == {
        "itemNotFound": {"code": 404, "message": f"Snapshot {snapshot['id']} could not be found."}}
    assert world.ask("DELETE", f"/volumes/{volume_id}")[0] == 202


def test_a_volume_takes_its_snapshots_along_when_asked(world: Any) -> None:
    volume_id = world.make()
    ids = [world.snapshot(volume_id), world.snapshot(volume_id)]
    assert world.ask("DELETE", f"/volumes/{volume_id}?cascade=True") == (202, None)
    world.until(volume_id, None)
    assert [world.status(id, "snapshots") for id in ids] == [None, None]
    assert world.ask("GET", "/limits")[1]["limits"]["absolute"]["totalGigabytesUsed"] == 0


def test_lists_and_words(world: Any) -> None:
    first, second = world.make(), world.make()
    one, two = world.snapshot(first, name="one", metadata={"a": "1"}), world.snapshot(second, name="two")
    def names(query: str) -> list[str]: return sorted(s["name"] for s in world.ask("GET", f"/snapshots/detail?{query}")[1]["snapshots"])
    assert names("") == ["one", "two"] and names(f"volume_id={first}") == ["one"] and names("metadata={'a': '1'}") == ["one"]
    assert names("status=error") == [] and names("name=two") == ["two"]
    assert world.ask("GET", "/snapshots", who="other")[1] == {"snapshots": []} and world.ask("GET", f"/snapshots/{one}",
                                                                                             who="other")[0] == 404
    assert [s["id"] for s in world.ask("GET", "/snapshots?limit=1&sort_key=created_at&sort_dir=asc")[1]["snapshots"]] == [one]
    path = f"/snapshots/{two}/metadata"
    assert world.ask("POST", path, {"metadata": {"b": "2"}})[1] == {"metadata": {"b": "2"}}
    assert world.ask("DELETE", path + "/b")[0] == 200 and world.ask("GET", path)[1] == {"metadata": {}}


def test_what_is_refused(world: Any) -> None:
    id = world.make()
    assert world.ask("POST", "/snapshots", {"snapshot": {"volume_id": "b6ab9b5d-9a0e-4b0f-8c8e-1d1c3e3c5e11"}})[0] == 404
    assert world.ask("POST", "/snapshots", {"snapshot": {}})[0] == 400
    assert world.ask("POST", "/snapshots", {"snapshot": {"volume_id": id, "force": False}})[0] == 400
    assert world.ask("POST", "/snapshots", {"snapshot": {"volume_id": id, "force": False}}, version="3.65")[0] == 202
    assert world.ask("POST", "/snapshots", {"snapshot": {"volume_id": id}}, who="other")[0] == 404
    assert world.ask("POST", "/snapshots", {"snapshot": {"volume_id": id}}, who="reader")[0] == 403


def test_in_use_neither_made_nor_removed(world: Any) -> None:
    id = world.make()
    snapshot_id = world.snapshot(id)
    world.act(id, "os-attach", {"instance_uuid": "11111111-1111-1111-1111-111111111111", "mountpoint": "/dev/vdb"})
    status, body = world.ask("POST", "/snapshots", {"snapshot": {"volume_id": id, "force": True}})
    assert status == 400 and "has to be detached first" in message(body)
    status, body = world.ask("DELETE", f"/snapshots/{snapshot_id}")
    assert status == 400 and "has to be detached first" in message(body)


def test_administrators_force_things(world: Any) -> None:
    snapshot_id = world.snapshot(world.make())
    path = f"/snapshots/{snapshot_id}/action"
    assert world.ask("POST", path, {"os-reset_status": {"status": "error"}})[0] == 403
    assert world.ask("POST", path, {"os-reset_status": {"status": "creating"}}, who="admin")[0] == 202
    assert world.status(snapshot_id, "snapshots") == "creating" and world.ask("DELETE", f"/snapshots/{snapshot_id}")[0] == 400
    assert world.ask("POST", path, {"os-force_delete": {}}, who="admin")[0] == 202
    world.until(snapshot_id, None, kind="snapshots")
