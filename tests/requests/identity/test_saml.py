"""People who sign in through a real SAML identity provider (nanoidp), as a browser carries them to and fro."""
from __future__ import annotations

import base64
import html
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from msgspec.structs import replace
from tests.outside.clouds import free_port
from tests.requests.identity.cloud import Client

from pilvi.core.http.app import Application, Request

ROOT = "/v3/OS-FEDERATION"
RULES = [{"local": [{"user": {"name": "{0}", "email": "{1}"}}, {"groups": "{2}", "domain": {"id": "default"}}],
          "remote": [{"type": "MELLON_NAME_ID"}, {"type": "MELLON_email"}, {"type": "MELLON_groups"}]}]
WEBSSO = "/v3/auth/OS-FEDERATION/identity_providers/acme/protocols/saml2/websso"
ORIGIN = "http://cloud/dashboard/websso"
SETTINGS = """
config_version: 1
server: {{host: "127.0.0.1", port: {port}}}
oauth: {{issuer: "http://127.0.0.1:{port}"}}
saml: {{export_groups: true, default_acs_url: ""}}
"""
USERS = """
config_version: 1
users:
  jo: {password: "jo-secret", email: "jo@acme", groups: [devs, unknown], roles: [USER], tenant: default}
  kim: {password: "kim-secret", email: "kim@acme", groups: [other], roles: [USER], tenant: default}
"""


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a provider that runs."""
    folder, port = tmp_path_factory.mktemp("nanoidp"), free_port()
    (folder / "config").mkdir()
    (folder / "config" / "settings.yaml").write_text(SETTINGS.format(port=port))
    (folder / "config" / "users.yaml").write_text(USERS)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "nanoidp", "--config", str(folder / "config"), "--port", str(port)], cwd=folder,
                                   stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(1200):
            assert process.poll() is None, (folder / "log").read_text()
            try:
                if httpx.get(f"{url}/saml/metadata", timeout=30).is_success: break
            except httpx.TransportError: time.sleep(0.1)
        else: raise TimeoutError((folder / "log").read_text())
        yield url
    finally:
        process.terminate()
        process.wait(60)


@dataclass
class Acme:
    """The provider, known to this identity as `acme`, and a browser."""
    application: Application
    url: str

    def asked(self, path: str = WEBSSO, origin: str = ORIGIN) -> Any:
        return Client(self.application).ask("GET", f"{path}?{urlencode({'origin': origin})}")

    def answer(self, name: str, location: str) -> dict[str, str]:
        """The form that the provider gives to somebody who was sent there and signs in."""
        with httpx.Client(timeout=60) as browser:
            page = browser.get(location).text
            form = _fields(page) | {"username": name, "password": f"{name}-secret"}
            return _fields(browser.post(f"{self.url}/saml/sso", data=form).text)

    def bring(self, form: dict[str, str], path: str = WEBSSO, base: str = "http://cloud/identity") -> tuple[int, str]:
        """(status, body) of what identity says to an answer."""
        headers = {"content-type": "application/x-www-form-urlencoded"}
        reply = self.application.handle(Request("POST", path, "", headers, urlencode(form).encode(), base=base))
        return reply.status, reply.payload().decode()

    def sign_in(self, name: str) -> Client:
        status, page = self.bring(self.answer(name, self.asked().headers["location"]))
        assert status == 200, page
        assert f'action="{ORIGIN}"' in page
        return Client(self.application, _fields(page)["token"])


def _fields(page: str) -> dict[str, str]:
    tags = [dict(re.findall(r'(\w+)="([^"]*)"', tag)) for tag in re.findall(r"<input\b[^>]*>", page)]
    return {tag["name"]: html.unescape(tag.get("value", "")) for tag in tags if "name" in tag}


@pytest.fixture
def acme(identity: Application, admin: Client, provider: str, tmp_path: Path) -> Acme:
    identity.state["federation_directory"] = tmp_path
    identity.config = replace(identity.config, trusted_dashboards=[ORIGIN])
    (tmp_path / "acme.toml").write_text('[saml]\nmetadata = "acme.xml"\n')
    (tmp_path / "acme.xml").write_bytes(httpx.get(f"{provider}/saml/metadata", timeout=60).content)
    for path, body in (("identity_providers/acme", {"identity_provider": {
                            "enabled": True, "domain_id": "default", "remote_ids": [f"{provider}/saml"]}}),
                       ("mappings/people", {"mapping": {"rules": RULES}}),
                       ("identity_providers/acme/protocols/saml2", {"protocol": {"mapping_id": "people"}})):
        reply = admin.ask("PUT", f"{ROOT}/{path}", body)
        assert reply.status == 201, reply.body
    return Acme(identity, provider)


@pytest.mark.slow
def test_somebody_comes_with_groups_and_goes_on_to_a_project(acme: Acme, admin: Client) -> None:
    devs = admin.make("group", name="devs")
    admin.ask("PUT", f"/v3/projects/home/groups/{devs['id']}/roles/role-member")
    jo = acme.sign_in("jo")
    facts = jo.ask("GET", "/v3/auth/tokens", x_subject_token=jo.token).body["token"]
    assert facts["user"]["name"] == "jo@acme" and facts["methods"] == ["saml2"]
    assert facts["user"]["OS-FEDERATION"] == {"identity_provider": {"id": "acme"}, "protocol": {"id": "saml2"},
                                              "groups": [{"id": devs["id"]}]}
    scoped = jo.authenticate({"methods": ["token"], "token": {"id": jo.token}}, {"project": {"id": "home"}})
    assert {role["name"] for role in scoped.body["token"]["roles"]} == {"member", "reader"}
    again = acme.sign_in("jo")
    assert again.ask("GET", "/v3/auth/tokens", x_subject_token=again.token).body["token"]["user"]["id"] == facts["user"]["id"]
    kim = acme.sign_in("kim")
    assert kim.get("/v3/auth/projects")["projects"] == []
    records = [each["record"] for each in admin.get("/v3/pilvi-audit")["records"]]
    assert sum('"authenticate"' in each and facts["user"]["id"] in each and "saml2" in each for each in records) == 3
    by_protocol = acme.asked("/v3/auth/OS-FEDERATION/websso/saml2")
    assert by_protocol.status == 302 and by_protocol.headers["location"].startswith(f"{acme.url}/saml/sso?")
    assert acme.asked("/v3/auth/OS-FEDERATION/websso/openid").status == 404


@pytest.mark.slow
def test_what_is_refused(acme: Acme, admin: Client, tmp_path: Path) -> None:
    assert acme.asked(origin="http://evil/").status == 401
    form = acme.answer("jo", acme.asked().headers["location"])
    genuine = base64.b64decode(form["SAMLResponse"]).decode()

    def changed(text: str) -> dict[str, str]:
        return form | {"SAMLResponse": base64.b64encode(text.encode()).decode()}

    name = re.search(r"NameID[^>]*>jo@acme<", genuine)
    assert name is not None
    assert acme.bring(changed(genuine.replace(name[0], name[0].replace("jo@", "kim@"))))[0] == 401
    assert acme.bring(changed(re.sub(r"<ds:Signature.*</ds:Signature>", "", genuine, flags=re.S)))[0] == 401
    assert acme.bring(changed("<!DOCTYPE x [<!ENTITY a 'b'>]>" + genuine.partition("?>")[2]))[0] == 401
    assert acme.bring({})[0] == 401 and acme.bring({"SAMLResponse": "x"})[0] == 401
    other = WEBSSO.replace("saml2", "other")
    admin.ask("PUT", f"{ROOT}/identity_providers/acme/protocols/other", {"protocol": {"mapping_id": "people"}})
    assert acme.bring(form, other)[0] == 401, "it was given to another address"
    assert acme.bring(form, base="http://evil/identity")[0] == 200, "who is meant does not hang on the Host header"
    status, page = acme.bring(form)
    assert status == 401 and "no question that is open" in page, "an answer is good once"
    form = acme.answer("jo", acme.asked().headers["location"])
    (tmp_path / "acme.toml").write_text('[saml]\nmetadata = "acme.xml"\naddress = "http://moved/identity"\n')
    assert acme.bring(form)[0] == 401, "an answer for another cloud"
    (tmp_path / "acme.toml").write_text('[saml]\nmetadata = "acme.xml"\n')
    admin.ask("PATCH", f"{ROOT}/identity_providers/acme", {"identity_provider": {"enabled": False}})
    assert acme.bring(form)[0] == 403
    records = [each["record"] for each in admin.get("/v3/pilvi-audit")["records"]]
    assert sum('"authenticate"' in each and '"failure"' in each for each in records) >= 8


@pytest.mark.slow
def test_the_service_providers_metadata_and_what_is_not_offered(acme: Acme, tmp_path: Path) -> None:
    nobody = Client(acme.application)
    path = f"{ROOT}/identity_providers/acme/protocols/saml2"
    told = acme.application.handle(Request("GET", f"{path}/metadata", "", {}, b"", base="http://evil/identity")).payload().decode()
    assert f'Location="http://cloud/identity{WEBSSO}"' in told and "evil" not in told
    assert nobody.ask("POST", f"{path}/auth").status == 501, "no ECP"
    for method, where in (("GET", f"{ROOT}/saml2/metadata"), ("POST", "/v3/auth/OS-FEDERATION/saml2"),
                          ("POST", "/v3/auth/OS-FEDERATION/saml2/ecp")):
        assert nobody.ask(method, where, {} if method == "POST" else None).status == 501
    (tmp_path / "acme.xml").unlink()
    assert "acme.xml" in acme.asked().body["error"]["message"]
    assert urlsplit(WEBSSO).path == WEBSSO
