"""Resource types of the identity service: made, changed in place, ended."""
from __future__ import annotations

from typing import Any

from tests.requests.orchestration.types.conftest import Bench

PROJECT, USER, GROUP, ROLE, DOMAIN = (f"OS::Keystone::{kind}" for kind in ("Project", "User", "Group", "Role", "Domain"))


def roles_of(admin: Bench, actor: str, id: Any) -> set[tuple[str, str]]:
    """{(role's id, where)}"""
    found = admin.ask("identity", "GET", "/v3/role_assignments", **{f"{actor}.id": id})["role_assignments"]
    return {(one["role"]["id"], next(iter(one["scope"].values()))["id"]) for one in found}


def test_people(admin: Bench) -> None:
    project = admin.make(PROJECT, "team", tags=["a"])
    project = admin.change(PROJECT, project, name="team", description="words", tags=["b"])
    shown = admin.get(PROJECT, project, "show")
    assert (shown["name"], shown["description"], shown["tags"]) == ("team", "words", ["b"])
    role = admin.make(ROLE, "role")
    role = admin.change(ROLE, role, name="cook")
    group = admin.make(GROUP, "group", name="cooks", roles=[{"role": "cook", "project": "team"}])
    assert roles_of(admin, "group", group.physical_id) == {(role.physical_id, project.physical_id)}
    group = admin.change(GROUP, group, name="cooks", description="words", roles=[{"role": "cook", "domain": "default"}])
    assert roles_of(admin, "group", group.physical_id) == {(role.physical_id, "default")}
    user = admin.make(USER, "user", name="remy", password="secret", default_project="team", groups=["cooks"],
                      roles=[{"role": "cook", "project": "team"}])
    assert admin.get(USER, user, "default_project_id") == project.physical_id
    assert [one["name"] for one in admin.ask("identity", "GET", f"/v3/users/{user.physical_id}/groups")["groups"]] == ["cooks"]
    user = admin.change(USER, user, name="remy", password="other", default_project="team", email="r@example.org", enabled=False)
    assert roles_of(admin, "user", user.physical_id) == set() and admin.get(USER, user, "enabled") is False
    assert admin.ask("identity", "GET", f"/v3/users/{user.physical_id}/groups")["groups"] == []
    for kind, actor, work in (("UserRoleAssignment", "user", user), ("GroupRoleAssignment", "group", group)):
        own = admin.make(f"OS::Keystone::{kind}", **{actor: work.physical_id, "roles": [{"role": "cook", "project": "team"}]})
        assert (role.physical_id, project.physical_id) in roles_of(admin, actor, work.physical_id)
        own = admin.change(f"OS::Keystone::{kind}", own, **{actor: work.physical_id, "roles": [{"role": "reader", "project": "team"}]})
        assert (role.physical_id, project.physical_id) not in roles_of(admin, actor, work.physical_id)
        admin.end(f"OS::Keystone::{kind}", own)
    for kind, work in ((USER, user), (GROUP, group), (ROLE, role), (PROJECT, project)):
        admin.end(kind, work)
        assert admin.gone(kind, work)


def test_domain(admin: Bench) -> None:
    domain = admin.make(DOMAIN, "realm")
    domain = admin.change(DOMAIN, domain, name="kingdom", description="words")
    group = admin.make(GROUP, "group", domain="kingdom")
    assert admin.get(GROUP, group, "show")["domain_id"] == domain.physical_id
    admin.end(GROUP, group)
    admin.end(DOMAIN, domain)
    assert admin.gone(DOMAIN, domain)


def test_catalogue(admin: Bench) -> None:
    region = admin.make("OS::Keystone::Region", id="north")
    inner = admin.make("OS::Keystone::Region", "inner", parent_region="north")
    inner = admin.change("OS::Keystone::Region", inner, parent_region="north", description="words")
    service = admin.make("OS::Keystone::Service", type="weather")
    service = admin.change("OS::Keystone::Service", service, type="weather", name="rain")
    endpoint = admin.make("OS::Keystone::Endpoint", service="rain", interface="public", url="http://192.0.2.1/", region="north")
    endpoint = admin.change("OS::Keystone::Endpoint", endpoint, service="rain", interface="public", url="http://192.0.2.2/", region="north")
    shown = admin.get("OS::Keystone::Endpoint", endpoint, "show")
    assert (shown["url"], shown["region_id"], shown["service_id"]) == ("http://192.0.2.2/", "north", service.physical_id)
    for kind, work in (("Endpoint", endpoint), ("Service", service), ("Region", inner), ("Region", region)):
        admin.end(f"OS::Keystone::{kind}", work)
        assert admin.gone(f"OS::Keystone::{kind}", work)
