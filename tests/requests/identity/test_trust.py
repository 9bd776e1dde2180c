"""Trusts: who may give what to whom, how often it is used, and what ends it."""
from __future__ import annotations

from typing import Any

from tests.requests.identity.cloud import Client

from pilvi.core import clock

PATH = "/v3/OS-TRUST/trusts"
GIVEN = {"trustor_user_id": "user-demo", "trustee_user_id": "user-watcher", "project_id": "home", "impersonation": True,
         "roles": [{"name": "member"}]}


def make(client: Client, **values: Any) -> dict[str, Any]:
    reply = client.ask("POST", PATH, {"trust": GIVEN | values})
    assert reply.status == 201, reply.body
    made: dict[str, Any] = reply.body["trust"]
    return made


def use(client: Client, trust: dict[str, Any], user: str = "watcher") -> Any:
    return client.sign_in(user, scope={"OS-TRUST:trust": {"id": trust["id"]}})


def acting(client: Client, trust: dict[str, Any], user: str = "watcher") -> Client:
    reply = use(client, trust, user)
    assert reply.status == 201, reply.body
    return Client(client.application, reply.headers["X-Subject-Token"])


def test_a_trustee_acts_as_the_trustor(demo: Client, nobody: Client) -> None:
    trust = make(demo)
    assert trust["roles"][0]["name"] == "member" and trust["redelegation_count"] == 0 and trust["expires_at"] is None
    token = use(nobody, trust).body["token"]
    assert token["user"]["id"] == "user-demo" and {role["name"] for role in token["roles"]} == {"member", "reader"}
    assert token["OS-TRUST:trust"] == {"id": trust["id"], "impersonation": True, "trustor_user": {"id": "user-demo"},
                                       "trustee_user": {"id": "user-watcher"}}
    plain = make(demo, impersonation=False)
    assert use(nobody, plain).body["token"]["user"]["id"] == "user-watcher"
    assert use(nobody, trust, "agent").status == 403 and use(nobody, {"id": "absent"}).status == 401
    assert nobody.rescope(acting(nobody, trust).token, "home").status == 403


def test_only_what_the_trustor_has_can_be_given(demo: Client, admin: Client) -> None:
    assert demo.ask("POST", PATH, {"trust": GIVEN | {"roles": [{"name": "admin"}]}}).status == 404
    assert demo.ask("POST", PATH, {"trust": GIVEN | {"roles": []}}).status == 403
    assert demo.ask("POST", PATH, {"trust": GIVEN | {"trustee_user_id": "absent"}}).status == 404
    assert admin.ask("POST", PATH, {"trust": GIVEN}).status == 403
    for bad in ({"expires_at": "bad.123Z"}, {"expires_at": "2001-01-01T00:00:00Z"}, {"remaining_uses": 0}, {"impersonation": "yes"},
                {"allow_redelegation": True, "remaining_uses": 2}):
        assert demo.ask("POST", PATH, {"trust": GIVEN | bad}).status == 400, bad


def test_limited_uses(demo: Client, nobody: Client) -> None:
    trust = make(demo, remaining_uses=2)
    first, second = acting(nobody, trust), acting(nobody, trust)
    assert use(nobody, trust).status == 401 and demo.ask("GET", f"{PATH}/{trust['id']}").status == 404
    assert nobody.alive(first.token) and nobody.alive(second.token)


def test_it_expires_and_its_tokens_with_it(demo: Client, nobody: Client) -> None:
    trust = make(demo, expires_at=clock.iso(clock.now() + 60))
    token = use(nobody, trust).body["token"]
    assert token["expires_at"] <= trust["expires_at"]


def test_it_ends_with_its_deletion_its_roles_and_its_people(admin: Client, demo: Client, nobody: Client) -> None:
    trust, other = make(demo), make(demo)
    token, kept = acting(nobody, trust), acting(nobody, other)
    assert demo.ask("DELETE", f"{PATH}/{trust['id']}").status == 204 and not nobody.alive(token.token) and nobody.alive(kept.token)
    assert demo.ask("GET", f"{PATH}/{trust['id']}").status == 404
    assert admin.ask("DELETE", "/v3/projects/home/users/user-demo/roles/role-member").status == 204
    assert not nobody.alive(kept.token) and use(nobody, other).status == 403
    assert admin.ask("PUT", "/v3/projects/home/users/user-demo/roles/role-member").status == 204 and nobody.alive(kept.token)
    assert admin.ask("PATCH", "/v3/users/user-demo", {"user": {"enabled": False}}).status == 200 and not nobody.alive(kept.token)
    assert admin.ask("DELETE", "/v3/users/user-demo").status == 204 and use(nobody, other).status == 401


def test_handing_on(demo: Client, nobody: Client) -> None:
    first = make(demo, allow_redelegation=True, expires_at=clock.iso(clock.now() + 600))
    assert first["redelegation_count"] == 3
    watcher = acting(nobody, first)
    second = make(watcher, trustee_user_id="user-agent", allow_redelegation=True)
    assert second["redelegated_trust_id"] == first["id"] and second["redelegation_count"] == 2
    assert second["expires_at"] == first["expires_at"]
    agent = acting(nobody, second, "agent")
    last = make(agent, trustee_user_id="user-admin")
    assert last["redelegation_count"] == 0
    final = acting(nobody, last, "admin")
    assert final.ask("POST", PATH, {"trust": GIVEN}).status == 403  # no depth left
    for bad in ({"roles": [{"name": "manager"}]}, {"expires_at": clock.iso(clock.now() + 6000)}, {"remaining_uses": 1}):
        assert watcher.ask("POST", PATH, {"trust": GIVEN | bad}).status in (403, 404), bad
    once = acting(nobody, make(demo))
    assert once.ask("POST", PATH, {"trust": GIVEN}).status == 403
    assert demo.ask("DELETE", f"{PATH}/{first['id']}").status == 204
    assert not nobody.alive(agent.token) and not nobody.alive(final.token)


def test_who_sees_them(admin: Client, demo: Client, watcher: Client) -> None:
    trust = make(demo)
    for client, query, status in ((demo, "?trustor_user_id=user-demo", 200), (demo, "", 403), (admin, "", 200),
                                  (watcher, "?trustee_user_id=user-watcher", 200), (watcher, "?trustor_user_id=user-demo", 403)):
        reply = client.ask("GET", PATH + query)
        assert reply.status == status and (status != 200 or [each["id"] for each in reply.body["trusts"]] == [trust["id"]]), query
    role = trust["roles"][0]["id"]
    assert watcher.get(f"{PATH}/{trust['id']}/roles/{role}")["role"]["name"] == "member"
    assert watcher.ask("GET", f"{PATH}/{trust['id']}/roles/role-admin").status == 404
    assert watcher.ask("DELETE", f"{PATH}/{trust['id']}").status == 403
