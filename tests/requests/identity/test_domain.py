"""Domains, and the documents that need no token."""
from __future__ import annotations

from tests.requests.identity.cloud import Client


def test_a_domain_lives(admin: Client, demo: Client) -> None:
    made = admin.make("domain", name="d", description="e")
    path = f"/v3/domains/{made['id']}"
    assert made["enabled"] is True and made["tags"] == [] and made["options"] == {}
    assert admin.ask("POST", "/v3/domains", {"domain": {"name": "d"}}).status == 409
    assert [found["id"] for found in admin.get("/v3/domains?name=d")["domains"]] == [made["id"]]
    assert demo.get("/v3/domains/default")["domain"]["name"] == "Default"
    assert demo.ask("GET", path).status == demo.ask("GET", "/v3/domains").status == demo.ask("PATCH", path,
                                                                                             {"domain": {"name": "x"}}).status == 403
    assert admin.ask("DELETE", path).status == 403
    assert admin.ask("PATCH", path, {"domain": {"enabled": False}}).status == 200 and admin.ask("DELETE", path).status == 204


def test_the_default_domain_stays(nobody: Client) -> None:
    token = nobody.sign_in("admin", scope={"system": {"all": True}}).headers["X-Subject-Token"]
    assert Client(nobody.application, token).ask("DELETE", "/v3/domains/default").status == 403


def test_versions(nobody: Client) -> None:
    every = nobody.ask("GET", "/")
    assert every.status == 300 and every.body["versions"]["values"][0]["id"] == "v3.14"
    assert nobody.get("/v3")["version"]["links"] == [{"rel": "self", "href": "http://cloud/identity/v3/"}]
    assert nobody.get("/v3/")["version"]["status"] == "stable"
