"""kill -9 right after something was asked of a server that runs: it is done all the same, once, and nothing is left."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.crash.killing import delete, kill, machines, network_of, patiently, request, session, settled, until
from tests.outside.clouds import Cloud

from pilvi.core.errors import Failure
from pilvi.run.furnish import Cloud as Session

pytestmark = pytest.mark.slow
VERBS = {"stop": ({"os-stop": None}, "SHUTOFF"),
         "hard reboot": ({"reboot": {"type": "HARD"}}, "ACTIVE"), "pause": ({"pause": None}, "PAUSED"),
         "suspend": ({"suspend": None}, "SUSPENDED")}


def boot(cloud: Cloud, name: str, **more: Any) -> tuple[Session, Session, dict[str, Any]]:
    """A running server: (its user, the administrator, it)."""
    demo, admin = session(cloud), session(cloud, "admin")
    body = request(demo, name, patiently(lambda: network_of(demo)), **more)
    patiently(lambda: demo.ask("compute", "POST", "/v2.1/servers", body))
    server = settled(demo, name)
    assert server and server["status"] == "ACTIVE", server and server.get("fault")
    return demo, admin, server


def volume_of(demo: Session, name: str) -> str:
    """A volume that is free."""
    made = demo.ask("volume", "POST", "/v3/volumes", {"volume": {"size": 1, "name": name}})["volume"]
    until(lambda: status(demo, made["id"]) == "available", "the volume is there")
    return str(made["id"])


def volume_beside(demo: Session, admin: Session, server: dict[str, Any]) -> str:
    """A free volume on the server's host: users can't choose where one is made, so they are made until one is there."""
    host = patiently(lambda: admin.ask("compute", "GET", f"/v2.1/servers/{server['id']}"))["server"]["OS-EXT-SRV-ATTR:host"]
    for _ in range(20):
        id = volume_of(demo, "extra")
        if admin.ask("volume", "GET", f"/v3/volumes/{id}")["volume"]["os-vol-host-attr:host"].startswith(host + "@"): return id
        demo.ask("volume", "DELETE", f"/v3/volumes/{id}")
    raise AssertionError(f"no volume came to {host}")


def status(demo: Session, volume_id: str) -> str | None:
    """The volume's status; None: it is gone."""
    try: found: str = patiently(lambda: demo.ask("volume", "GET", f"/v3/volumes/{volume_id}"))["volume"]["status"]
    except Failure as failure:
        if failure.status != 404: raise
        return None
    return found


def asked(action: Callable[[], Any]) -> None:
    """A request whose answer may be lost with control."""
    try: action()
    except Failure as failure:
        if failure.status not in (503, 404, 409): raise


@pytest.mark.parametrize("victim", ["control", "agent"])
@pytest.mark.parametrize("verb", VERBS)
def test_power(processes: Cloud, verb: str, victim: str) -> None:
    action, end = VERBS[verb]
    demo, admin, server = boot(processes, f"{verb.replace(' ', '-')}-{victim}")
    demo.ask("compute", "POST", f"/v2.1/servers/{server['id']}/action", action)
    kill(processes.state, victim)
    after = settled(demo, server["name"])
    assert after and after["status"] == end, after
    delete(demo, admin, processes.state, server)


@pytest.mark.parametrize("victim", ["control", "agent"])
def test_rebuild(processes: Cloud, victim: str) -> None:
    demo, admin, server = boot(processes, f"rebuild-{victim}")
    demo.ask("compute", "POST", f"/v2.1/servers/{server['id']}/action", {"rebuild": {"imageRef": server["image"]["id"]}})
    kill(processes.state, victim)
    after = settled(demo, server["name"])
    assert after and after["status"] == "ACTIVE" and len(machines(processes.state, server["id"])) == 1, after
    delete(demo, admin, processes.state, server)


def test_image(processes: Cloud) -> None:
    """It is made or gone, its server is as it was, and another one can be made. With control as victim all may wait for a lease to end."""
    demo, admin, server = boot(processes, "image")
    images = [_image(demo, server)]
    kill(processes.state, "agent")
    after = settled(demo, server["name"], 300)
    assert after and after["status"] == "ACTIVE", after
    images.append(_image(demo, server))
    assert settled(demo, server["name"], 300)
    found = {one["id"]: one["status"] for one in patiently(lambda: demo.ask("image", "GET", "/v2/images"))["images"] if one["id"] in images}
    assert found.get(images[1]) == "active" and set(found.values()) == {"active"}, found
    delete(demo, admin, processes.state, server)
    for id in found: demo.ask("image", "DELETE", f"/v2/images/{id}")
    assert not list((processes.state / "host").rglob("image.qcow2")), "the copy is gone"


def _image(demo: Session, server: dict[str, Any]) -> str:
    """Asks for an image; its id."""
    body = {"createImage": {"name": "kept"}}
    answer = patiently(lambda: demo.ask("compute", "POST", f"/v2.1/servers/{server['id']}/action", body))
    return str(answer["image_id"])


@pytest.mark.parametrize("victim", ["control", "agent"])
@pytest.mark.parametrize("word", ["confirmResize", "revertResize"])
def test_resize(processes: Cloud, word: str, victim: str) -> None:
    demo, admin, server = boot(processes, f"{word.lower()}-{victim}")
    flavor = next(one["id"] for one in demo.ask("compute", "GET", "/v2.1/flavors")["flavors"] if one["name"] == "m1.micro")
    held = allocated(admin, server["id"])
    for action, end in (({"resize": {"flavorRef": flavor}}, "VERIFY_RESIZE"), ({word: None}, "ACTIVE")):
        demo.ask("compute", "POST", f"/v2.1/servers/{server['id']}/action", action)
        kill(processes.state, victim)
        after = settled(demo, server["name"])
        assert after and after["status"] == end, after
    assert (allocated(admin, server["id"]) == held) == (word == "revertResize")
    delete(demo, admin, processes.state, server)


def allocated(admin: Session, server_id: str) -> Any:
    """What placement holds for the server."""
    held = patiently(lambda: admin.ask("placement", "GET", f"/allocations/{server_id}"))["allocations"]
    return [provider["resources"] for provider in held.values()]


@pytest.mark.parametrize("victim", ["control", "agent"])
def test_volume_comes_and_goes(processes: Cloud, victim: str) -> None:
    demo, admin, server = boot(processes, f"attach-{victim}")
    id, path = volume_beside(demo, admin, server), f"/v2.1/servers/{server['id']}/os-volume_attachments"
    demo.ask("compute", "POST", path, {"volumeAttachment": {"volumeId": id}})
    kill(processes.state, victim)
    until(lambda: status(demo, id) == "in-use", lambda: f"the volume is in use: {status(demo, id)}")
    until(lambda: _detached(demo, path, id), "it may be detached")
    kill(processes.state, victim)
    until(lambda: status(demo, id) == "available", lambda: f"the volume is free: {status(demo, id)}")
    assert not patiently(lambda: demo.ask("compute", "GET", path))["volumeAttachments"]
    delete(demo, admin, processes.state, server)
    patiently(lambda: demo.ask("volume", "DELETE", f"/v3/volumes/{id}"))
    until(lambda: status(demo, id) is None, "the volume is gone")


def _detached(demo: Session, path: str, id: str) -> bool:
    """Asks for it; refused while the attachment is still being made."""
    try: patiently(lambda: demo.ask("compute", "DELETE", f"{path}/{id}"))
    except Failure as failure:
        if failure.status not in (400, 409): raise
        return False
    return True


@pytest.mark.parametrize("victim", ["control", "agent"])
def test_boot_with_volumes_then_delete(processes: Cloud, victim: str) -> None:
    """A volume of its own goes with the server, one that was brought stays; killed while it boots and while it is deleted."""
    demo, admin = session(processes), session(processes, "admin")
    brought, name = volume_of(demo, "brought"), f"volumes-{victim}"
    devices = [{"source_type": "blank", "destination_type": "volume", "volume_size": 1, "delete_on_termination": True, "boot_index": -1},
               {"source_type": "volume", "destination_type": "volume", "uuid": brought, "boot_index": -1}]
    image = {"source_type": "image", "destination_type": "local", "boot_index": 0}
    body = request(demo, name, patiently(lambda: network_of(demo)))
    body["server"]["block_device_mapping_v2"] = [{**image, "uuid": body["server"]["imageRef"]}, *devices]
    demo.ask("compute", "POST", "/v2.1/servers", body)
    kill(processes.state, victim)
    server = settled(demo, name)
    assert server and server["status"] == "ACTIVE", server and server.get("fault")
    volumes = [one["id"] for one in server["os-extended-volumes:volumes_attached"]]
    assert len(volumes) == 2 and brought in volumes and len(machines(processes.state, server["id"])) == 1
    asked(lambda: demo.ask("compute", "DELETE", f"/v2.1/servers/{server['id']}"))
    kill(processes.state, victim)
    delete(demo, admin, processes.state, server)
    own = next(id for id in volumes if id != brought)
    until(lambda: status(demo, own) is None and status(demo, brought) == "available",
          lambda: f"{status(demo, own)} {status(demo, brought)}")
    patiently(lambda: demo.ask("volume", "DELETE", f"/v3/volumes/{brought}"))


@pytest.mark.parametrize("victim", ["control", "agent"])
def test_card_comes_and_goes(processes: Cloud, victim: str) -> None:
    demo, admin, server = boot(processes, f"card-{victim}")
    path = f"/v2.1/servers/{server['id']}/os-interface"
    net = network_of(demo)
    port = demo.ask("compute", "POST", path, {"interfaceAttachment": {"net_id": net}})["interfaceAttachment"]["port_id"]
    kill(processes.state, victim)
    until(lambda: len(_cards(demo, server)) == 2, lambda: f"two cards: {_cards(demo, server)}")
    until(lambda: _detached(demo, path, port), "it may be detached")
    kill(processes.state, victim)
    until(lambda: len(_cards(demo, server)) == 1, lambda: f"one card: {_cards(demo, server)}")
    delete(demo, admin, processes.state, server)


def _cards(demo: Session, server: dict[str, Any]) -> list[Any]:
    found = patiently(lambda: demo.ask("compute", "GET", f"/v2.1/servers/{server['id']}"))["server"]["addresses"]
    return [address for addresses in found.values() for address in addresses]
