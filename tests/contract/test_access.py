"""Who may do what, over every route of every service that exists: nobody without a token, strangers nothing, readers only reading.

A new service or route is found by itself. A new kind of thing takes part once `furnish` makes one, or a list shows one.
"""
from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from tests.contract.cloud_in_process import Cloud, running_cloud
from tests.contract.sample_body import each, of_resource

from pilvi.core.http.routes import ANYONE, Route

PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
ABSENT = "0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f"
PROJECT_COLLECTIONS = {"os-quota-sets", "quotas", "os-simple-tenant-usage", "projects"}
"""What comes after these is a project's id."""
OWN = {("identity", "/v3/auth/tokens"), ("compute", "/v2.1/os-keypairs"), ("compute", "/v2.1/os-keypairs/{name}")}
"""What belongs to the caller himself: a reader may write there, and a name means his own thing."""
PUBLIC = {("compute", "/v2.1/os-quota-sets/{id}/defaults")}
"""What is the same for every project, though the path names one."""
READS = {"os-show_image_metadata"}
"""Actions that only tell something."""
ASKS = {("telemetry", f"/v2/query/{what}") for what in ("alarms", "alarms/history")} | {
    ("telemetry", f"/v1/batch/{what}/measures") for what in ("metrics", "resources/metrics")}
"""Paths to which a POST is a question, or with an empty body does nothing."""
HONEST = {501, 503}
"""Not broken: this machine cannot do it, or not now."""
WRITES = {"POST", "PUT", "PATCH", "DELETE"}


class Attempt(NamedTuple):
    """A request and its reply. `hit`: the path names a thing of project one."""
    service: str
    route: Route
    hit: bool
    body: Any
    reply: Any

    def __str__(self) -> str:
        answer = json.dumps(self.reply.body, default=repr)[:300]
        return f"{self.service} {self.route.method} {self.route.path} {json.dumps(self.body)[:100]}: {self.reply.status} {answer}"


class World:
    """A cloud in which project `one` has one of everything."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.furnish()
        projects = cloud.ask("root", "identity", "GET", "/v3/projects").body["projects"]
        self.project = next(project["id"] for project in projects if project["name"] == "one")
        mine, theirs = self.seen_by("member"), self.seen_by("stranger")
        self.secret = {place: [id for id in ids if id not in theirs.get(place, [])] for place, ids in mine.items()}
        """{(service, collection): ids of what project one has and nobody else sees}"""
        self.secret |= {("identity", "projects"): [self.project]}

    def furnish(self) -> None:
        """One of everything that can be made without a host."""
        make, member = self.cloud.make, "member"
        make(member, "telemetry", "/v2/alarms", "", name="a", type="event", event_rule={})
        network = make(member, "network", "/v2.0/networks", "network", name="n")
        subnet = make(member, "network", "/v2.0/subnets", "subnet", network_id=network["id"], cidr="10.9.0.0/24", ip_version=4)
        make(member, "network", "/v2.0/ports", "port", network_id=network["id"])
        router = make(member, "network", "/v2.0/routers", "router", name="r")
        self.cloud.ask(member, "network", "PUT", f"/v2.0/routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]})
        group = make(member, "network", "/v2.0/security-groups", "security_group", name="g")
        make(member, "network", "/v2.0/security-group-rules", "security_group_rule", security_group_id=group["id"], direction="ingress")
        outside = make("root", "network", "/v2.0/networks", "network", name="out", **{"router:external": True})
        make("root", "network", "/v2.0/subnets", "subnet", network_id=outside["id"], cidr="203.0.113.0/24", ip_version=4)
        make(member, "network", "/v2.0/floatingips", "floatingip", floating_network_id=outside["id"])
        image = make(member, "image", "/v2/images", "", name="i", disk_format="raw", container_format="bare")
        reply = self.cloud.ask(member, "image", "PUT", f"/v2/images/{image['id']}/file", raw=b"image",
                               headers={"content-type": "application/octet-stream"})
        assert reply.status == 204
        make(member, "volume", "/v3/volumes", "volume", size=1)
        make("root", "compute", "/v2.1/flavors", "flavor", name="f", id="f", ram=64, vcpus=1, disk=1)
        make(member, "compute", "/v2.1/os-keypairs", "keypair", name="key", public_key="ssh-ed25519 "
             "AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
        make(member, "compute", "/v2.1/os-server-groups", "server_group", name="sg", policy="affinity")
        make(member, "compute", "/v2.1/servers", "server", name="s", flavorRef="f", imageRef=image["id"],
             networks=[{"uuid": network["id"]}])

    def seen_by(self, who: str) -> dict[tuple[str, str], list[str]]:
        """{(service, collection): ids} of all lists that somebody gets."""
        found: dict[tuple[str, str], list[str]] = {}
        for service, route in self.cloud.routes():
            if route.method != "GET" or "{" in route.path or route.stream: continue
            body = self.cloud.ask(who, service, "GET", route.path).body
            items = next((value for value in body.values() if isinstance(value, list)), []) if isinstance(body, dict) else []
            ids = [str(item["id"]) for item in items if isinstance(item, dict) and "id" in item]
            if ids: found.setdefault((service, route.path.removesuffix("/detail").rsplit("/", 1)[1]), []).extend(ids)
        return found

    def path(self, service: str, route: Route) -> tuple[str, bool]:
        """The route's path with things of project one where there are such, and whether there were."""
        hit, before, segments = False, "", []
        for segment in route.path.split("/"):
            if PARAMETER.fullmatch(segment):
                ids = [self.project] if before in PROJECT_COLLECTIONS else self.secret.get((service, before), [])
                segments.append(ids[0] if ids else ABSENT)
                hit = hit or bool(ids)
            else:
                segments.append(segment)
            before = segment
        return "/".join(segments), hit

    def bodies(self, service: str, route: Route) -> list[Any]:
        """Bodies that the route might take."""
        if route.method not in WRITES: return [None]
        version = self.cloud.applications[service].service.microversions
        most = version.most if version else (0, 0)
        if route.body is not None: return each(route.body(most) if callable(route.body) else route.body)
        for resource in self.cloud.applications[service].service.resources:
            if route.path in (resource.path, resource.path + "/{" + resource.key + "}"):
                return [of_resource(resource, "create" if route.method == "POST" else "update", most)]
        return [{}]

    def answers(self, who: str, wanted: Callable[[str, Route], bool] = lambda service, route: True) -> Iterator[Attempt]:
        """What somebody gets for each body of each route that is wanted."""
        for service, route in self.cloud.routes():
            path, hit = self.path(service, route)
            for body in self.bodies(service, route) if wanted(service, route) else ():
                yield Attempt(service, route, hit, body, self.cloud.ask(who, service, route.method, path, body))

    def snapshot(self) -> dict[str, Any]:
        """All that project one has, as its member sees it."""
        return {f"{service} {collection} {id}": self.cloud.ask("member", service, "GET", self.item(service, collection, id)).body
                for (service, collection), ids in self.secret.items() for id in ids if self.item(service, collection, id)}

    def item(self, service: str, collection: str, id: str) -> str:
        """The path of a thing; empty if its kind cannot be shown."""
        for name, route in self.cloud.routes():
            if name == service and route.method == "GET" and re.fullmatch(rf".*/{re.escape(collection)}/{{\w+}}", route.path):
                return PARAMETER.sub(id, route.path)
        return ""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_cloud() as cloud: yield World(cloud)


def test_project_one_has_things_of_many_kinds(world: World) -> None:
    kinds = {collection for (_, collection), ids in world.secret.items() if ids}
    assert {"networks", "subnets", "ports", "routers", "security-groups", "security-group-rules", "floatingips", "images", "volumes",
            "servers",
            "os-server-groups", "projects"} <= kinds


def test_without_a_token_nobody_gets_in(world: World) -> None:
    for service, route in world.cloud.routes():
        if route.policy == ANYONE: continue
        for token in ("", "gAAAAABgarbage"):
            reply = world.cloud.ask("", service, route.method, world.path(service, route)[0], {}, headers={"x-auth-token": token})
            assert reply.status == 401, (service, route.method, route.path, reply.status)


def test_a_stranger_sees_and_changes_nothing(world: World) -> None:
    before, wrong = world.snapshot(), []
    secrets = {id for ids in world.secret.values() for id in ids}
    for attempt in world.answers("stranger"):
        status = attempt.reply.status
        if status >= 500 and status not in HONEST: wrong.append(str(attempt))
        if (attempt.service, attempt.route.path) in OWN | PUBLIC: continue
        shown = secrets & set(re.findall(r"[0-9a-f]{32}|[0-9a-f-]{36}", json.dumps(attempt.reply.body, default=repr)))
        if status < 300 and (attempt.hit or shown): wrong.append(str(attempt))
    assert not wrong, "\n".join(wrong)
    assert {key: value for key, value in world.snapshot().items() if value != before[key]} == {}


def test_a_stranger_builds_on_nothing(world: World) -> None:
    """What another project has can't be named in what one makes oneself."""
    def theirs(service: str, collection: str) -> str:
        return world.secret[service, collection][0]

    network, port, group = theirs("network", "networks"), theirs("network", "ports"), theirs("network", "security-groups")
    make = world.cloud.make
    image = make("stranger", "image", "/v2/images", "", name="i", disk_format="raw", container_format="bare")["id"]
    world.cloud.ask("stranger", "image", "PUT", f"/v2/images/{image}/file", raw=b"x", headers={"content-type": "application/octet-stream"})
    lan = make("stranger", "network", "/v2.0/networks", "network", name="n")["id"]
    make("stranger", "network", "/v2.0/subnets", "subnet", network_id=lan, cidr="10.8.0.0/24", ip_version=4)
    router = make("stranger", "network", "/v2.0/routers", "router", name="r")["id"]
    outside = next(each["id"] for each in world.cloud.ask("stranger", "network", "GET", "/v2.0/networks").body["networks"]
                   if each["id"] != lan)
    server = {"name": "s", "flavorRef": "f", "imageRef": image, "networks": [{"uuid": lan}]}
    tries: list[tuple[str, str, str, dict[str, Any]]] = [
        ("network", "POST", "/v2.0/ports", {"port": {"network_id": network}}),
        ("network", "POST", "/v2.0/ports", {"port": {"network_id": lan, "security_groups": [group]}}),
        ("network", "POST", "/v2.0/subnets", {"subnet": {"network_id": network, "cidr": "10.7.0.0/24", "ip_version": 4}}),
        ("network", "POST", "/v2.0/security-group-rules", {"security_group_rule": {"security_group_id": group, "direction": "ingress"}}),
        ("network", "PUT", f"/v2.0/routers/{router}/add_router_interface", {"subnet_id": theirs("network", "subnets")}),
        ("network", "PUT", f"/v2.0/routers/{router}/add_router_interface", {"port_id": port}),
        ("network", "POST", "/v2.0/floatingips", {"floatingip": {"floating_network_id": outside, "port_id": port}}),
        ("network", "POST", "/v2.0/rbac-policies", {"rbac_policy": {
            "object_type": "network", "object_id": network, "action": "access_as_shared", "target_tenant": "*"}}),
        ("volume", "POST", "/v3/volumes", {"volume": {"size": 1, "imageRef": theirs("image", "images")}}),
        ("volume", "POST", "/v3/volumes", {"volume": {"size": 1, "source_volid": theirs("volume", "volumes")}}),
        ("volume", "POST", "/v3/snapshots", {"snapshot": {"volume_id": theirs("volume", "volumes")}}),
        ("compute", "POST", "/v2.1/servers", {"server": server | {"networks": [{"uuid": network}]}}),
        ("compute", "POST", "/v2.1/servers", {"server": server | {"networks": [{"port": port}]}}),
        ("compute", "POST", "/v2.1/servers", {"server": server | {"imageRef": theirs("image", "images")}}),
        ("compute", "POST", "/v2.1/servers", {"server": server | {"key_name": "key"}}),
        ("compute", "POST", "/v2.1/servers", {"server": server | {"security_groups": [{"name": group}]}}),
        ("compute", "POST", "/v2.1/servers", {"server": server, "os:scheduler_hints": {"group": theirs("compute", "os-server-groups")}}),
        ("compute", "POST", "/v2.1/servers", {"server": {"name": "s", "flavorRef": "f", "networks": "none", "block_device_mapping_v2": [{
            "uuid": theirs("volume", "volumes"), "source_type": "volume", "destination_type": "volume", "boot_index": 0}]}})]
    assert world.cloud.ask("stranger", "compute", "POST", "/v2.1/servers",
                           {"server": server}).status == 202, "it would do without the theft"
    for service, method, path, body in tries:
        reply = world.cloud.ask("stranger", service, method, path, body)
        assert 400 <= reply.status < 500, (path, body, reply.status, reply.body)


def test_a_reader_only_reads(world: World) -> None:
    before, wrong = world.snapshot(), []
    def writes(service: str, route: Route) -> bool:
        return route.method in WRITES and route.policy != ANYONE and (service, route.path) not in OWN | ASKS

    for attempt in world.answers("reader", writes):
        reads = isinstance(attempt.body, dict) and READS & attempt.body.keys()
        if not 400 <= attempt.reply.status < 500 and not reads: wrong.append(str(attempt))
    assert not wrong, "\n".join(wrong)
    assert {key: value for key, value in world.snapshot().items() if value != before[key]} == {}


def test_a_member_does_nothing_that_is_for_administrators(world: World) -> None:
    """What identity and placement keep, quotas and services are the administrators'."""
    wrong = []

    def ruled(service: str, route: Route) -> bool:
        theirs = service == "placement" or (service == "identity" and "/auth/" not in route.path) or "quota" in route.path
        return theirs and route.method in WRITES and route.policy != ANYONE

    for attempt in world.answers("member", ruled):
        if not 400 <= attempt.reply.status < 500: wrong.append(str(attempt))
    assert not wrong, "\n".join(wrong)


def test_nothing_breaks_for_a_member_or_an_administrator(world: World) -> None:
    """Last, because an administrator may delete."""
    wrong = []
    for who in ("reader", "member", "root"):
        for service, route in world.cloud.routes():
            if (service, route.path, route.method) == ("identity", "/v3/auth/tokens", "DELETE"): continue
            for body in ([None] if route.method not in WRITES else [None, [], "x", {}, *world.bodies(service, route)]):
                reply = world.cloud.ask(who, service, route.method, world.path(service, route)[0], body)
                if reply.status >= 500 and reply.status not in HONEST: wrong.append(f"{who} {Attempt(service, route, True, body, reply)}")
    assert not wrong, "\n".join(wrong)
