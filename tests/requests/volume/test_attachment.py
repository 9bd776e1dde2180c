"""Attachments: a server reserves a volume, connects it, uses it, lets it go; and what an agent may do with its grant."""
from __future__ import annotations

from typing import Any

import pytest

from pilvi.core.context import Call
from pilvi.core.errors import Conflict, Invalid, NotFound
from pilvi.volume import client
from pilvi.volume.drivers.file import Files

SERVER, OTHER_SERVER = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
CONNECTOR = {"host": "node1", "mountpoint": "/dev/vdb"}


def message(body: Any) -> str:
    return str(next(iter(body.values()))["message"])


def reserve(world: Any, volume_id: str, server_id: str = SERVER, **more: Any) -> Any:
    return world.ask("POST", "/attachments", {"attachment": {"volume_uuid": volume_id, "instance_uuid": server_id} | more})


def test_from_reserved_to_in_use_and_back(world: Any) -> None:
    id = world.make()
    status, body = reserve(world, id)
    held = body["attachment"]
    assert (status, held["status"], held["instance"], held["volume_id"]) == (200, "reserved", SERVER, id)
    assert world.status(id) == "reserved"
    path = f"/attachments/{held['id']}"
    status, body = world.ask("PUT", path, {"attachment": {"connector": CONNECTOR}}, who="admin")
    info = body["attachment"]["connection_info"]
    assert status == 200 and info["driver"] == "simulated" and info["access_mode"] == "rw" and info["attachment_id"] == held["id"]
    assert world.status(id) == "attaching" and world.ask("GET",
                                                         path)[1]["attachment"]["connection_info"] == {}, "hosts' matters stay hidden"
    assert world.ask("POST", path + "/action", {"os-complete": {}}) == (204, None)
    assert world.status(id) == "in-use"
    shown = world.ask("GET", f"/volumes/{id}")[1]["volume"]["attachments"]
    assert [(one["server_id"], one["device"], one["attachment_id"], one["host_name"]) for one in shown] == [(SERVER, "/dev/vdb",
                                                                                                             held["id"], None)]
    status, body = world.ask("DELETE", path)
    assert status == 409 and message(body) == f"Detach volume from instance {SERVER} using the Compute API"
    assert world.ask("DELETE", path, who="admin") == (200, {"attachments": []})
    assert world.status(id) == "available" and world.ask("GET", path)[0] == 404


def test_a_volume_that_is_taken_is_not_given_away(world: Any) -> None:
    id = world.make()
    held = reserve(world, id)[1]["attachment"]
    status, body = reserve(world, id, OTHER_SERVER)
    assert status == 400 and message(body) == (f"Invalid volume: Volume {id} status must be available or downloading to reserve, but the "
                                               "current status is reserved.")
    assert reserve(world, id)[0] == 200, "the same server may: it moves to another host"
    for request in [("DELETE", f"/volumes/{id}", None), ("POST", f"/volumes/{id}/action", {"os-extend": {"new_size": 3}}),
                    ("POST", "/snapshots", {"snapshot": {"volume_id": id}}), ("POST", "/volumes", {"volume": {"source_volid": id}})]:
        assert world.ask(*request)[0] == 400, request
    for one in world.ask("GET", f"/attachments?instance_id={SERVER}")[1]["attachments"]: world.ask("DELETE", f"/attachments/{one['id']}")
    assert world.status(id) == "available" and world.ask("GET", f"/attachments/{held['id']}")[0] == 404


def test_deleting_one_of_two_leaves_the_volume_in_use(world: Any) -> None:
    id = world.make()
    first = reserve(world, id, connector=CONNECTOR)[1]["attachment"]["id"]
    world.ask("POST", f"/attachments/{first}/action", {"os-complete": {}})
    second = reserve(world, id)[1]["attachment"]["id"]
    assert world.ask("DELETE", f"/attachments/{second}")[1] == {
        "attachments": [{"id": first, "status": "attached", "instance": SERVER, "volume_id": id}]}
    assert world.status(id) == "in-use"


def test_lists(world: Any) -> None:
    ids = [world.make(), world.make()]
    for id, server in zip(ids, (SERVER, OTHER_SERVER), strict=True): reserve(world, id, server)
    found = world.ask("GET", "/attachments")[1]["attachments"]
    assert len(found) == 2 and set(found[0]) == {"id", "status", "instance", "volume_id"}
    detail = world.ask("GET", f"/attachments/detail?instance_id={SERVER}")[1]["attachments"]
    assert [one["volume_id"] for one in detail] == ids[:1] and detail[0]["attach_mode"] == "null"
    assert [one["instance"] for one in world.ask("GET", f"/attachments?volume_id={ids[1]}")[1]["attachments"]] == [OTHER_SERVER]
    assert world.ask("GET", "/attachments", who="other")[1] == {"attachments": []}
    assert world.ask("GET", f"/attachments/{found[0]['id']}", who="other")[0] == 404
    assert len(world.ask("GET", "/attachments?all_tenants=1", who="admin")[1]["attachments"]) == 2


def test_what_is_refused(world: Any) -> None:
    id = world.make()
    assert reserve(world, "b6ab9b5d-9a0e-4b0f-8c8e-1d1c3e3c5e11")[0] == 404
    assert world.ask("POST", "/attachments", {"attachment": {"volume_uuid": id}}, who="reader")[0] == 403
    assert world.ask("POST", "/attachments", {"attachment": {"volume_uuid": id}}, version="3.26")[0] == 404
    world.act(id, "os-reset_status", {"status": "error"}, who="admin")
    status, body = reserve(world, id)
    assert status == 400 and "error state" in message(body)
    world.act(id, "os-reset_status", {"status": "available"}, who="admin")
    held = reserve(world, id)[1]["attachment"]["id"]
    assert world.ask("PUT", f"/attachments/{held}", {"attachment": {"connector": {"ip": "1.2.3.4"}}})[0] == 400
    assert world.ask("POST", f"/attachments/{held}/action", {"os-complete": {}})[0] == 409, "nobody has connected it"


def test_the_older_way_of_attaching(world: Any) -> None:
    id = world.make()
    assert world.act(id, "os-reserve") == (202, None) and world.status(id) == "attaching"
    status, body = world.act(id, "os-reserve")
    assert status == 400 and message(body) == "Invalid volume: Volume status must be available to reserve, but the status is attaching."
    assert world.act(id, "os-unreserve")[0] == 202 and world.status(id) == "available"
    assert world.act(id, "os-attach", {"instance_uuid": SERVER, "mountpoint": "/dev/vdc"})[0] == 202 and world.status(id) == "in-use"
    assert world.ask("DELETE", f"/volumes/{id}")[0] == 400
    assert world.act(id, "os-begin_detaching")[0] == 202 and world.status(id) == "detaching"
    assert world.act(id, "os-roll_detaching")[0] == 202 and world.status(id) == "in-use"
    assert world.act(id, "os-detach")[0] == 202 and world.status(id) == "available"
    assert world.act(id, "os-begin_detaching")[0] == 400
    world.act(id, "os-attach", {"instance_uuid": SERVER, "mountpoint": "/dev/vdc"})
    assert world.act(id, "os-force_detach")[0] == 403 and world.act(id, "os-force_detach", who="admin")[0] == 202
    assert world.status(id) == "available"


# -- what compute and its agents do


def agent_call(world: Any, **things: list[str]) -> Call:
    return Call(token="agent", grant_text=world.grant(things))


def test_an_agent_serves_the_server_of_its_grant(world: Any) -> None:
    id, foreign = world.make(), world.make()
    held = client.reserve(Call(token="member"), id, SERVER)
    other = client.reserve(Call(token="member"), foreign, OTHER_SERVER)
    call = agent_call(world, server=[SERVER])
    assert [one["id"] for one in client.attachments(call, instance_id=SERVER)] == [held["id"]]
    assert client.attachments(call, instance_id=OTHER_SERVER) == []
    assert client.connect(call, held["id"], CONNECTOR)["driver"] == "simulated"
    assert client.connect(call, held["id"], CONNECTOR)["driver"] == "simulated", "may be repeated"
    client.complete(call, held["id"])
    client.complete(call, held["id"])
    assert world.status(id) == "in-use"
    for act in (lambda: client.connect(call, other["id"], CONNECTOR), lambda: client.complete(call, other["id"]),
                lambda: client.show(call, foreign), lambda: client.reserve(call, foreign, SERVER)):
        with pytest.raises(NotFound): act()
    client.detach(call, other["id"])
    assert world.status(foreign) == "reserved", "for this agent it does not exist"
    client.detach(call, held["id"])
    client.detach(call, held["id"])
    assert world.status(id) == "available"


def test_an_agent_makes_volumes_where_its_grant_says(world: Any) -> None:
    call = agent_call(world, project=["a" * 32], server=[SERVER])
    mark = {"pilvi_device": "7"}
    made = client.create(call, {"size": 1, "metadata": mark, "project_id": "a" * 32, "host": "node1"})
    assert [one["id"] for one in client.made_for(call, "a" * 32, mark)] == [made["id"]]
    world.until(made["id"], "available")
    assert client.host_of(client.show(call, made["id"])) == "node1" and world.ask("GET",
                                                                                  f"/volumes/{made['id']}")[0] == 200, "the project's"
    held = client.reserve(call, made["id"], SERVER)
    assert client.connect(call, held["id"], CONNECTOR)["driver"] == "simulated"
    assert world.ask("POST", f"/{'b' * 32}/volumes", {"volume": {"size": 1}}, who="agent", grant={"project": ["a" * 32]})[0] == 403
    assert world.ask("POST", "/volumes", {"volume": {"size": 1}}, who="agent")[0] == 403
    nowhere = client.create(call, {"size": 1, "project_id": "a" * 32, "host": "node9"})
    world.until(nowhere["id"], "error")


def test_an_agent_makes_volumes_of_what_the_project_has(world: Any) -> None:
    mine, foreign = world.snapshot(world.make()), world.make(who="other")
    call = agent_call(world, project=["a" * 32])
    made = client.create(call, {"snapshot_id": mine, "project_id": "a" * 32})
    world.until(made["id"], "available")
    with pytest.raises(NotFound): client.create(call, {"source_volid": foreign, "project_id": "a" * 32})


def test_a_role_without_a_grant_opens_nothing(world: Any) -> None:
    id = world.make()
    held = reserve(world, id)[1]["attachment"]["id"]
    assert world.ask("GET", "/volumes/detail", who="agent") == (200, {"volumes": []})
    assert world.ask("GET", "/attachments/detail?all_tenants=1", who="agent") == (200, {"attachments": []})
    for method, path, body in [("GET", f"/volumes/{id}", None), ("DELETE", f"/volumes/{id}", None), ("GET", f"/attachments/{held}", None),
                               ("DELETE", f"/attachments/{held}", None),
                               ("PUT", f"/attachments/{held}", {"attachment": {"connector": CONNECTOR}})]:
        assert world.ask(method, path, body, who="agent")[0] == 404, (method, path)


def test_a_file_volume_serves_its_own_host_only(make_world: Any, tmp_path: Any) -> None:
    world = make_world(Files(tmp_path / "files"))
    id = world.make()
    held = client.reserve(Call(token="member"), id, SERVER)
    call = agent_call(world, server=[SERVER])
    with pytest.raises(Invalid, match="file on host node1 and cannot be opened from host node2"): client.connect(call, held["id"],
                                                                                                                 {"host": "node2"})
    opened = client.connect(call, held["id"], CONNECTOR)
    assert (opened["driver"], opened["format"]) == ("file", "qcow2") and opened["path"].endswith(f"volume-{id}.qcow2")
    with pytest.raises(Conflict): client.detach(Call(token="member"), held["id"])
