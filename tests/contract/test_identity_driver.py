"""What a domain's users and groups are to their clients: the same whether identity has them itself or an LDAP server does."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.ldap_server import OPTIONS, PEOPLE, Slapd, ldap_server
from tests.requests.identity.cloud import Client, new_identity

from pilvi.core.http.app import Application


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    yield from ldap_server()


@dataclass
class Corp:
    """A domain with the people of the LDAP server, and its identity."""
    application: Application
    admin: Client
    domain_id: str

    def sign_in(self, name: str, password: str | None = None, scope: Any = None) -> Any:
        who = {"name": name, "domain": {"id": self.domain_id}, "password": f"{name}-secret" if password is None else password}
        return Client(self.application).authenticate({"methods": ["password"], "password": {"user": who}}, scope)

    def one(self, kind: str, name: str) -> dict[str, Any]:
        """The user or group of that name."""
        path = f"/v3/{kind}s?domain_id={self.domain_id}&name={name}"
        (found,) = self.admin.get(path)[f"{kind}s"]
        return dict(found)


def of_ldap(admin: Client, slapd: Slapd) -> str:
    domain = admin.make("domain", name="corp")
    config = {"config": {"identity": {"driver": "ldap"}, "ldap": OPTIONS | {"url": slapd.url}}}
    assert admin.ask("PUT", f"/v3/domains/{domain['id']}/config", config).status == 201
    return str(domain["id"])


def of_sql(admin: Client, slapd: Slapd) -> str:
    """The same people, as identity's own."""
    domain = admin.make("domain", name="corp")
    users = {uid: admin.make("user", name=uid, domain_id=domain["id"], email=f"{uid}@corp", password=f"{uid}-secret",
                             enabled=uid != "off")["id"] for uid in PEOPLE}
    for name, members in (("devs", ("jo", "off")), ("ops", ("kim",))):
        group = admin.make("group", name=name, domain_id=domain["id"])
        for uid in members: assert admin.ask("PUT", f"/v3/groups/{group['id']}/users/{users[uid]}").status == 204
    return str(domain["id"])


@pytest.fixture(params=[of_sql, of_ldap], ids=["sql", "ldap"])
def corp(identity: Application, admin: Client, slapd: Slapd, request: pytest.FixtureRequest) -> Corp:
    make: Callable[[Client, Slapd], str] = request.param
    return Corp(identity, admin, make(admin, slapd))


@pytest.fixture
def identity(tmp_path: Any) -> Iterator[Application]:
    application = new_identity(tmp_path)
    yield application
    application.service.stop(application)  # type: ignore[misc]
    application.close()
    application.database.close()


@pytest.fixture
def admin(identity: Application) -> Client:
    return Client(identity, Client(identity).sign_in("admin").headers["X-Subject-Token"])


def test_who_is_there(corp: Corp) -> None:
    users = corp.admin.get(f"/v3/users?domain_id={corp.domain_id}")["users"]
    assert [user["name"] for user in users] == sorted(PEOPLE)
    jo = corp.one("user", "jo")
    assert jo["email"] == "jo@corp" and jo["enabled"] is True and jo["domain_id"] == corp.domain_id and jo["options"] == {}
    assert corp.admin.get(f"/v3/users/{jo['id']}")["user"]["name"] == "jo"
    assert corp.one("user", "off")["enabled"] is False
    assert corp.admin.get(f"/v3/users?domain_id={corp.domain_id}&name=none")["users"] == []
    assert corp.one("group", "devs")["domain_id"] == corp.domain_id
    assert corp.admin.ask("GET", "/v3/users/" + "0" * 64).status == 404


@pytest.mark.parametrize("name", ["star*", "par(en)", "ünï"])
def test_names_are_data(corp: Corp, name: str) -> None:
    quoted = name.replace("*", "%2A").replace("ü", "%C3%BC").replace("ï", "%C3%AF")
    assert corp.one("user", quoted)["name"] == name
    assert corp.sign_in(name).status == 201


@pytest.mark.parametrize("name", ["*", "j*", "jo)(uid=*", "jo)(|(uid=*", "*)(objectClass=*", "\\2a", "jo\\", "(", "", " "])
def test_names_are_no_part_of_a_query(corp: Corp, name: str) -> None:
    for password in ("jo-secret", "kim-secret", "x"): assert corp.sign_in(name, password).status in (400, 401)
    quoted = "".join(f"%{byte:02X}" for byte in name.encode())
    if name: assert corp.admin.get(f"/v3/users?domain_id={corp.domain_id}&name={quoted}")["users"] == []


def test_groups_and_members(corp: Corp) -> None:
    devs, jo = corp.one("group", "devs"), corp.one("user", "jo")
    members = corp.admin.get(f"/v3/groups/{devs['id']}/users")["users"]
    assert [user["name"] for user in members] == ["jo", "off"]
    assert [group["name"] for group in corp.admin.get(f"/v3/users/{jo['id']}/groups")["groups"]] == ["devs"]
    assert corp.admin.ask("HEAD", f"/v3/groups/{devs['id']}/users/{jo['id']}").status == 204
    assert corp.admin.ask("HEAD", f"/v3/groups/{corp.one('group', 'ops')['id']}/users/{jo['id']}").status == 404


def test_passwords(corp: Corp) -> None:
    reply = corp.sign_in("jo")
    assert reply.status == 201 and reply.body["token"]["user"]["name"] == "jo" and reply.body["token"]["methods"] == ["password"]
    told = [corp.sign_in(*attempt) for attempt in (
        ("jo", "wrong"), ("jo", ""), ("nobody", "x"), ("nobody", ""), ("off",), ("robot",), ("jo", "jo-secret "))]
    assert [each.status for each in told] == [401] * len(told)
    assert len({each.body["error"]["message"] for each in told}) == 1, "nobody learns who is there"
    by_id = {"id": corp.one("user", "jo")["id"], "password": "jo-secret"}
    assert Client(corp.application).authenticate({"methods": ["password"], "password": {"user": by_id}}, None).status == 201


def test_roles_of_a_user_and_of_its_groups(corp: Corp) -> None:
    jo, devs = corp.one("user", "jo"), corp.one("group", "devs")
    wish = {"project": {"id": "home"}}
    assert corp.sign_in("jo", scope=wish).status == 401
    assert corp.admin.ask("PUT", f"/v3/projects/home/groups/{devs['id']}/roles/role-reader").status == 204
    by_group = corp.sign_in("jo", scope=wish)
    assert {role["name"] for role in by_group.body["token"]["roles"]} == {"reader"}
    assert corp.admin.ask("PUT", f"/v3/projects/home/users/{jo['id']}/roles/role-member").status == 204
    own = corp.sign_in("jo", scope=wish)
    assert {role["name"] for role in own.body["token"]["roles"]} == {"member", "reader"}
    assert corp.sign_in("kim", scope=wish).status == 401
    client = Client(corp.application, own.headers["X-Subject-Token"])
    assert [project["id"] for project in client.get("/v3/auth/projects")["projects"]] == ["home"]
    assert client.get(f"/v3/users/{jo['id']}")["user"]["name"] == "jo"
    assert client.ask("GET", "/v3/users").status == 403
    effective = corp.admin.get(f"/v3/role_assignments?effective&user.id={jo['id']}")["role_assignments"]
    assert {each["role"]["id"] for each in effective} == {"role-member", "role-reader"}


def test_a_user_hands_on_its_authority(corp: Corp) -> None:
    jo = corp.one("user", "jo")
    corp.admin.ask("PUT", f"/v3/projects/home/users/{jo['id']}/roles/role-member")
    client = Client(corp.application, corp.sign_in("jo", scope={"project": {"id": "home"}}).headers["X-Subject-Token"])
    made = client.ask("POST", f"/v3/users/{jo['id']}/application_credentials", {"application_credential": {"name": "robot"}})
    assert made.status == 201, made.body
    given = {key: made.body["application_credential"][key] for key in ("id", "secret")}
    robot = Client(corp.application).authenticate({"methods": ["application_credential"], "application_credential": given}, None)
    assert robot.body["token"]["user"]["id"] == jo["id"]
    trust = client.ask("POST", "/v3/OS-TRUST/trusts", {"trust": {
        "trustor_user_id": jo["id"], "trustee_user_id": "user-demo", "project_id": "home", "impersonation": True,
        "roles": [{"name": "member"}]}})
    assert trust.status == 201, trust.body
    demo = Client(corp.application).sign_in("demo", scope={"OS-TRUST:trust": {"id": trust.body["trust"]["id"]}})
    assert demo.body["token"]["user"]["id"] == jo["id"]


def test_a_domain_goes_with_all_its_users(corp: Corp) -> None:
    jo = corp.one("user", "jo")
    corp.admin.ask("PUT", f"/v3/projects/home/users/{jo['id']}/roles/role-member")
    token = corp.sign_in("jo").headers["X-Subject-Token"]
    assert corp.admin.ask("PATCH", f"/v3/domains/{corp.domain_id}", {"domain": {"enabled": False}}).status == 200
    assert corp.admin.ask("GET", "/v3/auth/tokens", x_subject_token=token).status == 404
    assert corp.sign_in("jo").status == 401
    assert corp.admin.ask("DELETE", f"/v3/domains/{corp.domain_id}").status == 204
    assert corp.admin.ask("GET", f"/v3/users/{jo['id']}").status == 404
    assert not corp.admin.get(f"/v3/role_assignments?user.id={jo['id']}")["role_assignments"]
