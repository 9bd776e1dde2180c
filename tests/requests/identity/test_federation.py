"""Identity providers and what belongs to them over the API, and people who sign in through a real one."""
from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from msgspec.structs import replace
from oidc_provider_mock import run_server_in_thread
from tests.requests.identity.cloud import Client

from pilvi.core.http.app import Application, Request
from pilvi.identity.federation import openid

ROOT = "/v3/OS-FEDERATION"
RULES = [{"local": [{"user": {"name": "{0}"}}, {"groups": "{1}", "domain": {"id": "default"}}],
          "remote": [{"type": "OIDC-email"}, {"type": "OIDC-groups"}]}]


def put(client: Client, path: str, body: Any, status: int = 201) -> Any:
    reply = client.ask("PUT", f"{ROOT}/{path}", body)
    assert reply.status == status, reply.body
    return reply.body


def test_a_provider_gets_a_domain_of_its_own(admin: Client) -> None:
    made = put(admin, "identity_providers/acme", {"identity_provider": {"remote_ids": ["https://acme"]}})["identity_provider"]
    assert made["id"] == "acme" and made["enabled"] is False and made["remote_ids"] == ["https://acme"]
    assert made["links"]["protocols"].endswith("/identity_providers/acme/protocols")
    assert admin.get(f"/v3/domains/{made['domain_id']}")["domain"]["enabled"]
    assert put(admin, "identity_providers/acme", {"identity_provider": {}}, 409)
    assert "acme" in put(admin, "identity_providers/twin", {"identity_provider": {"remote_ids": ["https://acme"]}}, 409)["error"]["message"]
    changed = admin.ask("PATCH", f"{ROOT}/identity_providers/acme", {"identity_provider": {"enabled": True, "remote_ids": []}})
    assert changed.status == 200 and changed.body["identity_provider"]["remote_ids"] == []
    assert [one["id"] for one in admin.get(f"{ROOT}/identity_providers?enabled=true")["identity_providers"]] == ["acme"]
    assert admin.ask("DELETE", f"{ROOT}/identity_providers/acme").status == 204
    assert admin.ask("GET", f"{ROOT}/identity_providers/acme").status == 404


@pytest.mark.parametrize(("path", "body"), [
    ("identity_providers/a b", {"identity_provider": {}}), ("identity_providers/x", {"identity_provider": {"remote_ids": "x"}}),
    ("mappings/x", {"mapping": {}}), ("mappings/x", {"mapping": {"rules": []}}), ("mappings/x", {"mapping": {"rules": [{"local": []}]}}),
    ("mappings/x", {"mapping": {"rules": [{"local": [{"user": {"name": "{3}"}}], "remote": [{"type": "A"}]}]}}),
    ("service_providers/x", {"service_provider": {"auth_url": "ftp://x", "sp_url": "https://y"}}), ("service_providers/x", {}),
    ("mappings/x", {"mapping": {"rules": RULES, "created_at": -1}}), ("identity_providers/x", {"identity_provider": {"x": "y"}})])
def test_bad_input(admin: Client, path: str, body: Any) -> None:
    assert put(admin, path.replace(" ", "%20"), body, 400)["error"]["code"] == 400


def test_protocols_and_mappings(admin: Client, demo: Client) -> None:
    put(admin, "identity_providers/acme", {"identity_provider": {}})
    path = "identity_providers/acme/protocols/openid"
    assert put(admin, path, {"protocol": {"mapping_id": "people"}}, 400)
    assert put(admin, "mappings/people", {"mapping": {"rules": RULES, "id": "people"}})["mapping"]["schema_version"] == "1.0"
    assert put(admin, "mappings/others", {"mapping": {"rules": RULES, "id": "people"}}, 400)
    made = put(admin, path, {"protocol": {"mapping_id": "people"}})["protocol"]
    assert made["id"] == "openid" and made["links"]["identity_provider"].endswith("/identity_providers/acme")
    assert put(admin, path, {"protocol": {"mapping_id": "people"}}, 409)
    assert admin.get(f"{ROOT}/identity_providers/acme/protocols")["protocols"] == [made]
    assert put(admin, "identity_providers/none/protocols/openid", {"protocol": {"mapping_id": "people"}}, 404)
    assert admin.ask("PATCH", f"{ROOT}/{path}", {"protocol": {"mapping_id": "none"}}).status == 400
    assert demo.ask("GET", f"{ROOT}/{path}").status == 403
    assert admin.ask("DELETE", f"{ROOT}/{path}").status == 204
    assert admin.ask("GET", f"{ROOT}/{path}").status == 404


def test_service_providers(admin: Client) -> None:
    body = {"auth_url": "https://other/auth", "sp_url": "https://other/sp", "enabled": True}
    made = put(admin, "service_providers/other", {"service_provider": body})["service_provider"]
    assert made["relay_state_prefix"] == "ss:mem:" and made["enabled"]
    assert admin.get(f"{ROOT}/service_providers")["service_providers"] == [made]


# -- people who come from a provider

@dataclass
class Acme:
    """A provider that runs, known to this identity as `acme`."""
    url: str

    def token(self, subject: str, kind: str = "access_token") -> str:
        """What its user gets there by signing in with a browser."""
        with httpx.Client() as browser:
            query = {"response_type": "code", "client_id": "pilvi", "redirect_uri": "http://x/", "scope": "openid email", "state": "s"}
            back = browser.post(f"{self.url}/oauth2/authorize", params=query, data={"sub": subject})
            code = parse_qs(urlsplit(back.headers["location"]).query)["code"][0]
            answer = browser.post(f"{self.url}/oauth2/token", auth=("pilvi", "secret"), data={
                "grant_type": "authorization_code", "code": code, "redirect_uri": "http://x/"}).json()
            return str(answer[kind])

    def knows(self, subject: str, **claims: Any) -> None:
        """Gives its user these claims."""
        assert httpx.put(f"{self.url}/users/{subject}", json=claims | {"userinfo": claims}).is_success


@pytest.fixture
def acme(identity: Application, admin: Client, tmp_path: Path) -> Iterator[Acme]:
    openid._KNOWN.clear()
    with run_server_in_thread() as server:
        url = f"http://127.0.0.1:{server.server_port}"
        identity.state["federation_directory"] = tmp_path
        identity.config = replace(identity.config, trusted_dashboards=["http://cloud/dashboard/websso"])
        (tmp_path / "acme.toml").write_text(f'[openid]\nissuer = "{url}"\nclient_id = "pilvi"\nclient_secret = "secret"\n')
        put(admin, "identity_providers/acme", {"identity_provider": {"enabled": True, "domain_id": "default"}})
        put(admin, "mappings/people", {"mapping": {"rules": RULES}})
        put(admin, "identity_providers/acme/protocols/openid", {"protocol": {"mapping_id": "people"}})
        yield Acme(url)


AUTH = f"{ROOT}/identity_providers/acme/protocols/openid/auth"


def test_somebody_comes_with_groups_and_goes_on_to_a_project(acme: Acme, nobody: Client, admin: Client) -> None:
    devs = admin.make("group", name="devs")
    admin.ask("PUT", f"/v3/projects/home/groups/{devs['id']}/roles/role-member")
    acme.knows("jo", email="jo@acme", groups=["devs", "unknown"])
    reply = nobody.ask("POST", AUTH, authorization=f"Bearer {acme.token('jo')}")
    assert reply.status == 201, reply.body
    person = reply.body["token"]["user"]
    assert person["name"] == "jo@acme" and person["OS-FEDERATION"]["groups"] == [{"id": devs["id"]}]
    jo = Client(nobody.application, reply.headers["X-Subject-Token"])
    assert [one["id"] for one in jo.get("/v3/auth/projects")["projects"]] == ["home"]
    scoped = jo.authenticate({"methods": ["token"], "token": {"id": jo.token}}, {"project": {"id": "home"}})
    assert {role["name"] for role in scoped.body["token"]["roles"]} == {"member", "reader"}
    again = nobody.ask("GET", AUTH, authorization=f"Bearer {acme.token('jo')}")
    assert again.body["token"]["user"]["id"] == person["id"], "the same person is the same user"
    acme.knows("jo", email="jo@acme", groups=["other"])
    later = nobody.ask("POST", AUTH, authorization=f"Bearer {acme.token('jo')}")
    refused = jo.authenticate({"methods": ["token"], "token": {"id": later.headers["X-Subject-Token"]}}, {"project": {"id": "home"}})
    assert refused.status == 401, "who is not in the group any more has lost its role"


def test_an_id_token_is_checked_with_the_providers_keys(acme: Acme, nobody: Client, tmp_path: Path) -> None:
    acme.knows("jo", email="jo@acme", groups=[])
    good = acme.token("jo", "id_token")
    claims = openid.claims_of(openid.OpenId(acme.url, "pilvi"), good)
    assert claims["sub"] == "jo"
    head, body, seal = good.split(".")
    for bad in (f"{head}.{body}.{seal[:-6]}AAAAAA", f"{head}.{body[:-4]}AAAA.{seal}", "a.b.c", "x"):
        assert nobody.ask("POST", AUTH, authorization=f"Bearer {bad}").status == 401
    (tmp_path / "acme.toml").write_text(f'[openid]\nissuer = "{acme.url}"\nclient_id = "another"\n')
    assert nobody.ask("POST", AUTH, authorization=f"Bearer {good}").status == 401, "it is for another audience"


def test_who_is_not_let_in(acme: Acme, nobody: Client, admin: Client, tmp_path: Path) -> None:
    acme.knows("jo", email="jo@acme", groups=[])
    bearer = f"Bearer {acme.token('jo')}"
    assert nobody.ask("POST", AUTH).status == 401
    assert nobody.ask("POST", AUTH.replace("openid", "saml2"), authorization=bearer).status == 404
    admin.ask("PATCH", f"{ROOT}/identity_providers/acme", {"identity_provider": {"remote_ids": ["https://another"]}})
    assert nobody.ask("POST", AUTH, authorization=bearer).status == 403
    admin.ask("PATCH", f"{ROOT}/identity_providers/acme", {"identity_provider": {"remote_ids": [acme.url], "enabled": False}})
    assert nobody.ask("POST", AUTH, authorization=bearer).status == 403
    (tmp_path / "acme.toml").unlink()
    assert "acme.toml is missing" in nobody.ask("POST", AUTH, authorization=bearer).body["error"]["message"]


def test_a_provider_that_is_away(acme: Acme, nobody: Client, tmp_path: Path) -> None:
    (tmp_path / "acme.toml").write_text('[openid]\nissuer = "http://127.0.0.1:1"\n')
    assert nobody.ask("POST", AUTH, authorization="Bearer x").status == 503


def test_signing_in_with_a_browser(acme: Acme, nobody: Client) -> None:
    acme.knows("jo", email="jo@acme", groups=[])
    path = "/v3/auth/OS-FEDERATION/identity_providers/acme/protocols/openid/websso"
    assert nobody.ask("GET", f"{path}?origin=http://evil/").status == 401
    sent = nobody.ask("GET", f"{path}?origin=http://cloud/dashboard/websso")
    assert sent.status == 302
    back = httpx.post(sent.headers["location"], data={"sub": "jo"}).headers["location"]
    assert back.startswith(f"http://cloud/identity{path}?")
    reply = nobody.application.handle(_request(path, back))
    page = reply.payload().decode()
    assert reply.status == 200 and 'action="http://cloud/dashboard/websso"' in page
    token = re.search(r'name="token" value="([^"]+)"', page)
    assert token is not None
    facts = Client(nobody.application, token[1]).ask("GET", "/v3/auth/tokens", x_subject_token=token[1]).body
    assert facts["token"]["user"]["name"] == "jo@acme"
    assert nobody.ask("GET", f"{path}?code=x&state=forged").status == 400


def test_only_the_clouds_own_dashboard_is_trusted_unasked(acme: Acme, nobody: Client) -> None:
    path = "/v3/auth/OS-FEDERATION/identity_providers/acme/protocols/openid/websso"
    receiver, ticket = "http://cloud/dashboard/auth/websso", "0123456789abcdef" * 4
    assert nobody.ask("GET", f"{path}?origin={receiver}/{ticket}").status == 401, "there is no dashboard"
    nobody.application.state["dashboard_receiver"] = receiver
    for bad in ("", "/", "/" + ticket[1:], f"/{ticket}0", f"/{ticket}/", f"/{ticket}?x", f"/{ticket}%0A", f"/../{ticket}", f"evil/{ticket}",
                f"/{ticket.upper()}"):
        assert nobody.ask("GET", f"{path}?origin={receiver}{bad}").status == 401, bad
    for bad in ("https://cloud/dashboard/auth/websso", "http://cloud.evil.test/dashboard/auth/websso", "//cloud/dashboard/auth/websso"):
        assert nobody.ask("GET", f"{path}?origin={bad}/{ticket}").status == 401, bad
    disguised = Request("GET", path, f"origin=http://evil.test/dashboard/auth/websso/{ticket}", {}, base="http://evil.test/identity")
    assert nobody.application.handle(disguised).status == 401, "a request's own address proves nothing"
    sent = nobody.ask("GET", f"{path}?origin={receiver}/{ticket}")
    back = httpx.post(sent.headers["location"], data={"sub": "jo"}).headers["location"]
    page = nobody.application.handle(_request(path, back)).payload().decode()
    assert f'action="{receiver}/{ticket}"' not in page, "she has no e-mail address here, so the mapping does not know her"
    acme.knows("jo", email="jo@acme", groups=[])
    back = httpx.post(sent.headers["location"], data={"sub": "jo"}).headers["location"]
    assert f'action="{receiver}/{ticket}"' in nobody.application.handle(_request(path, back)).payload().decode()


def test_people_are_told_in_a_page(acme: Acme, nobody: Client) -> None:
    path = "/v3/auth/OS-FEDERATION/identity_providers/acme/protocols/openid/websso"
    for query in ("origin=<script>", "error=<script>"):
        seen = nobody.application.handle(Request("GET", path, query, {"accept": "text/html,*/*"}, base="http://cloud/identity"))
        page = seen.payload().decode()
        assert seen.status == 401 and "&lt;script&gt;" in page and "<script" not in page and 'href="http://cloud/"' in page
        assert "default-src 'none'" in seen.headers["content-security-policy"]
    told = nobody.ask("GET", f"{path}?error=access_denied", accept="application/json")
    assert "access_denied" in told.body["error"]["message"]


def _request(path: str, back: str) -> Any:
    return Request("GET", path, urlsplit(back).query, {}, b"", base="http://cloud/identity")


def test_first_visits_at_once_make_one_user(acme: Acme, nobody: Client) -> None:
    acme.knows("jo", email="jo@acme", groups=[])
    tokens, ids = [acme.token("jo") for _ in range(4)], []

    def come(token: str) -> None:
        ids.append(nobody.ask("POST", AUTH, authorization=f"Bearer {token}").body["token"]["user"]["id"])

    threads = [threading.Thread(target=come, args=[token]) for token in tokens]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert len(ids) == 4 and len(set(ids)) == 1
