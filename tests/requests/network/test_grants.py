"""What an agent may do: the role `service` opens nothing by itself, a grant opens what it names."""
from __future__ import annotations

from typing import Any

import pytest

World = Any
AGENT = "service@services"


@pytest.fixture
def errand(world: World) -> dict[str, Any]:
    """A network of p1 and the grant for a server there."""
    network, _ = world.lan()
    grant = {"server": ["vm"], "project": ["p1"], "network": [network["id"]], "port": [], "security_group": []}
    return {"network": network, "grant": grant}


def wish(errand: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {"port": {"network_id": errand["network"]["id"], "project_id": "p1", "device_id": "vm", "device_owner": "compute:nova",
                     "binding:host_id": "h1", **values}}


def test_without_a_grant_nothing_is_there(world: World, errand: dict[str, Any]) -> None:
    world.make("port", network_id=errand["network"]["id"], device_id="vm")
    assert world.ask(AGENT, "GET", "/ports?device_id=vm")[1]["ports"] == []
    assert world.ask(AGENT, "GET", f"/networks/{errand['network']['id']}")[0] == 404
    assert world.ask(AGENT, "POST", "/ports", wish(errand))[0] in (403, 404)


def test_a_grant_lets_it_make_change_and_delete_the_servers_ports(world: World, errand: dict[str, Any]) -> None:
    status, body = world.ask(AGENT, "POST", "/ports", wish(errand), errand["grant"])
    assert status == 201, body
    port = body["port"]
    assert port["binding:vif_type"] == "ovs" and port["project_id"] == "p1"
    group, = world.ask("member@p1", "GET", "/security-groups")[1]["security_groups"]
    assert port["security_groups"] == [group["id"]]
    assert [one["id"] for one in world.ask(AGENT, "GET", "/ports?device_id=vm", None, errand["grant"])[1]["ports"]] == [port["id"]]
    path = f"/ports/{port['id']}"
    moved = world.ask(AGENT, "PUT", path, {"port": {"binding:host_id": "h2"}}, errand["grant"])[1]["port"]
    assert moved["binding:host_id"] == "h2"
    assert world.ask(AGENT, "GET", f"/networks/{errand['network']['id']}", None, errand["grant"])[0] == 200
    assert world.ask(AGENT, "GET", f"/subnets?network_id={errand['network']['id']}", None, errand["grant"])[1]["subnets"]
    assert world.ask(AGENT, "DELETE", path, None, errand["grant"])[0] == 204


@pytest.mark.parametrize("change", [{"device_id": "another"}, {"project_id": "p2"}])
def test_a_grant_ends_at_what_it_names(world: World, errand: dict[str, Any], change: dict[str, str]) -> None:
    assert world.ask(AGENT, "POST", "/ports", wish(errand, **change), errand["grant"])[0] == 403


def test_other_networks_and_ports_stay_closed(world: World, errand: dict[str, Any]) -> None:
    other, _ = world.lan("10.7.0.0/24")
    assert world.ask(AGENT, "POST", "/ports", wish(errand, network_id=other["id"]), errand["grant"])[0] == 404
    port = world.make("port", network_id=errand["network"]["id"], device_id="someone")
    for method, body in (("GET", None), ("PUT", {"port": {"device_id": "vm"}}), ("DELETE", None)):
        assert world.ask(AGENT, method, f"/ports/{port['id']}", body, errand["grant"])[0] == 404
    named = errand["grant"] | {"port": [port["id"]]}
    assert world.ask(AGENT, "PUT", f"/ports/{port['id']}", {"port": {"binding:host_id": "h1"}}, named)[0] == 200


def test_what_a_grant_shows_is_not_to_be_changed(world: World, errand: dict[str, Any]) -> None:
    group = world.make("security_group", name="web")
    grant = errand["grant"] | {"security_group": [group["id"]]}
    for path, body in ((f"/networks/{errand['network']['id']}", {"network": {"name": "x"}}),
                       (f"/security-groups/{group['id']}", {"security_group": {"name": "x"}})):
        assert world.ask(AGENT, "GET", path, None, grant)[0] == 200
        assert world.ask(AGENT, "PUT", path, body, grant)[0] == 403
        assert world.ask(AGENT, "DELETE", path, None, grant)[0] == 403
        assert world.ask(AGENT, "PUT", path + "/tags", {"tags": ["x"]}, grant)[0] == 403


def test_a_false_grant_is_none(world: World, errand: dict[str, Any]) -> None:
    world.application.grant_key = b"x" * 32
    assert world.ask(AGENT, "POST", "/ports", wish(errand), errand["grant"])[0] in (403, 404)
