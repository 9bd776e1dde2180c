"""Security groups and their rules as clients see them."""
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

World = Any


def kind(answer: tuple[int, Any]) -> tuple[int, str]:
    """(status, error type)"""
    return answer[0], answer[1]["NeutronError"]["type"]


def default_group(world: World, who: str = "member@p1") -> dict[str, Any]:
    found: list[dict[str, Any]] = world.ask(who, "GET", "/security-groups?name=default")[1]["security_groups"]
    group, = found
    return group


def test_each_project_has_a_default_group_that_trusts_itself(world: World) -> None:
    group = default_group(world)
    rules = {(r["direction"], r["ethertype"], r["remote_group_id"]) for r in group["security_group_rules"]}
    assert rules == {("egress", "IPv4", None), ("egress", "IPv6", None), ("ingress", "IPv4", group["id"]), ("ingress", "IPv6", group["id"])}
    assert default_group(world, "member@p2")["id"] != group["id"]


def test_the_default_group_is_made_once_however_many_ask(world: World) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: world.ask("member@p1", "GET", "/security-groups")[1]["security_groups"], range(16)))
    assert {len(groups) for groups in answers} == {1} and len({groups[0]["id"] for groups in answers}) == 1


def test_the_default_group_stays_as_it_is(world: World) -> None:
    path = f"/security-groups/{default_group(world)['id']}"
    assert kind(world.ask("member@p1", "PUT", path, {"security_group": {"name": "x"}})) == (409, "SecurityGroupCannotUpdateDefault")
    assert world.ask("member@p1", "PUT", path, {"security_group": {"description": "x"}})[0] == 200
    assert kind(world.ask("member@p1", "DELETE", path)) == (409, "SecurityGroupCannotRemoveDefault")
    body = {"security_group": {"name": "default"}}
    assert kind(world.ask("member@p1", "POST", "/security-groups", body)) == (409, "SecurityGroupDefaultAlreadyExists")


def test_a_new_group_lets_all_out_and_nothing_in(world: World) -> None:
    group = world.make("security_group", name="web")
    assert {(r["direction"], r["ethertype"]) for r in group["security_group_rules"]} == {("egress", "IPv4"), ("egress", "IPv6")}
    assert group["stateful"] is True and group["shared"] is False


def test_a_group_in_use_stays(world: World) -> None:
    network, _ = world.lan()
    group = world.make("security_group", name="web")
    port = world.make("port", network_id=network["id"], security_groups=[group["id"]])
    path = f"/security-groups/{group['id']}"
    assert kind(world.ask("member@p1", "DELETE", path)) == (409, "SecurityGroupInUse")
    assert kind(world.ask("member@p1", "PUT", path, {"security_group": {"stateful": False}})) == (409, "SecurityGroupInUse")
    world.ask("member@p1", "DELETE", f"/ports/{port['id']}")
    assert world.ask("member@p1", "DELETE", path)[0] == 204


def test_groups_of_one_port_are_of_one_kind(world: World) -> None:
    network, _ = world.lan()
    one, other = world.make("security_group", name="a"), world.make("security_group", name="b", stateful=False)
    both = {"port": {"network_id": network["id"], "security_groups": [one["id"], other["id"]]}}
    assert kind(world.ask("member@p1", "POST", "/ports", both)) == (409, "SecurityGroupConflict")
    twice = {"port": {"network_id": network["id"], "security_groups": [one["id"], one["id"]]}}
    assert kind(world.ask("member@p1", "POST", "/ports", twice)) == (400, "InvalidInput")


def test_several_may_come_each_in_its_envelope(world: World) -> None:
    body = {"security_groups": [{"security_group": {"name": "a"}}, {"security_group": {"name": "b"}}]}
    status, made = world.ask("member@p1", "POST", "/security-groups", body)
    assert status == 201 and [group["name"] for group in made["security_groups"]] == ["a", "b"]


def rule(world: World, **values: Any) -> tuple[int, Any]:
    group = values.pop("group", None) or world.make("security_group", name="web")["id"]
    body = {"security_group_rule": {"security_group_id": group, "direction": "ingress", **values}}
    answer: tuple[int, Any] = world.ask("member@p1", "POST", "/security-group-rules", body)
    return answer


@pytest.mark.parametrize("values, shown", [
    ({"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}, {"protocol": "tcp", "port_range_min": 22, "ethertype": "IPv4"}),
    ({"protocol": 6}, {"protocol": "6"}), ({"protocol": "TCP"}, {"protocol": "tcp"}), ({"protocol": "any"}, {"protocol": None}),
    ({"protocol": "icmp", "port_range_min": 8}, {"port_range_min": 8, "port_range_max": None}),
    ({"protocol": "icmp", "ethertype": "IPv6"}, {"protocol": "ipv6-icmp"}),
    ({"remote_ip_prefix": "10.1.2.3/8"}, {"remote_ip_prefix": "10.1.2.3/8", "normalized_cidr": "10.0.0.0/8"}),
    ({"port_range_min": "80", "port_range_max": "90", "protocol": "udp"}, {"port_range_min": 80, "port_range_max": 90}),
])
def test_rules_are_kept_in_one_form(world: World, values: dict[str, Any], shown: dict[str, Any]) -> None:
    status, body = rule(world, **values)
    assert status == 201, body
    assert {name: body["security_group_rule"][name] for name in shown} == shown


@pytest.mark.parametrize("values, error", [
    ({"protocol": "tcp", "port_range_min": 90, "port_range_max": 80}, "SecurityGroupInvalidPortRange"),
    ({"protocol": "tcp", "port_range_min": 0, "port_range_max": 80}, "SecurityGroupInvalidPortValue"),
    ({"protocol": "tcp", "port_range_min": 80, "port_range_max": 65536}, "SecurityGroupInvalidPortValue"),
    ({"port_range_min": 80, "port_range_max": 80}, "SecurityGroupProtocolRequiredWithPorts"),
    ({"protocol": "nonsense"}, "SecurityGroupRuleInvalidProtocol"), ({"protocol": "256"}, "SecurityGroupRuleInvalidProtocol"),
    ({"protocol": "icmp", "port_range_min": 256}, "SecurityGroupInvalidIcmpValue"),
    ({"protocol": "icmp", "port_range_max": 0}, "SecurityGroupMissingIcmpType"),
    ({"remote_ip_prefix": "2001:db8::/64"}, "SecurityGroupRuleParameterConflict"), ({"remote_ip_prefix": "ten"}, "InvalidInput"),
    ({"protocol": "ipv6-icmp"}, "SecurityGroupEthertypeConflictWithProtocol"),
    ({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": "0" * 32}, "SecurityGroupRemoteGroupAndRemoteIpPrefix"),
])
def test_contradictions_are_refused(world: World, values: dict[str, Any], error: str) -> None:
    assert kind(rule(world, **values)) == (400, error)


def test_a_rule_is_there_once(world: World) -> None:
    group = world.make("security_group", name="web")["id"]
    ssh = {"group": group, "protocol": "tcp", "port_range_min": 22, "port_range_max": 22}
    made = rule(world, **ssh)[1]["security_group_rule"]
    status, body = rule(world, **ssh, description="again")
    assert status == 409 and body["NeutronError"]["type"] == "SecurityGroupRuleExists" and made["id"] in body["NeutronError"]["message"]
    assert rule(world, **{**ssh, "protocol": "6"})[0] == 409
    assert rule(world, **ssh, remote_ip_prefix="10.0.0.0/8")[0] == 201
    with ThreadPoolExecutor(4) as threads: answers = list(threads.map(lambda _: rule(world, group=group, protocol="udp")[0], range(8)))
    assert sorted(answers) == [201] + [409] * 7


def test_rules_belong_to_their_groups(world: World) -> None:
    group = world.make("security_group", name="web")
    other = world.make("security_group", name="db")
    made = rule(world, group=other["id"], remote_group_id=group["id"])[1]["security_group_rule"]
    assert world.ask("member@p2", "GET", f"/security-group-rules/{made['id']}")[0] == 404
    foreign = {"security_group_rule": {"security_group_id": group["id"], "direction": "ingress"}}
    assert kind(world.ask("member@p2", "POST", "/security-group-rules", foreign)) == (404, "SecurityGroupNotFound")
    listed = world.ask("member@p1", "GET", f"/security-group-rules?security_group_id={other['id']}&direction=ingress")[1]
    assert [one["id"] for one in listed["security_group_rules"]] == [made["id"]]
    assert world.ask("member@p1", "DELETE", f"/security-groups/{group['id']}")[0] == 204
    assert world.ask("member@p1", "GET", f"/security-group-rules/{made['id']}")[0] == 404


def test_a_rules_coming_and_going_shows_in_its_groups_revision(world: World) -> None:
    group = world.make("security_group", name="web")
    made = rule(world, group=group["id"])[1]["security_group_rule"]
    world.ask("member@p1", "DELETE", f"/security-group-rules/{made['id']}")
    assert world.ask("member@p1", "GET", f"/security-groups/{group['id']}")[1]["security_group"]["revision_number"] == 2
