"""Credentials, EC2 pairs, and the tokens that signed requests get."""
from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from sqlalchemy import select
from tests.requests.identity.cloud import Client

from pilvi.core import clock
from pilvi.identity.resources.credential import Credential
from pilvi.identity.signature import aws

EC2 = "/v3/users/user-demo/credentials/OS-EC2"


@pytest.fixture
def agent(nobody: Client) -> Client:
    """A service's user."""
    return Client(nobody.application, nobody.sign_in("agent").headers["X-Subject-Token"])


def pair(client: Client) -> dict[str, Any]:
    reply = client.ask("POST", EC2, {"tenant_id": "home"})
    assert reply.status == 201, reply.body
    made: dict[str, Any] = reply.body["credential"]
    return made


def signed(made: dict[str, Any], text: bytes = b"GET\n\n\n\n/bucket", **more: Any) -> dict[str, Any]:
    given = {"access": made["access"], "token": base64.urlsafe_b64encode(text).decode(), "signature": aws.of_string(made["secret"], text)}
    return {"credentials": given | more}


def test_a_secret_is_kept_for_its_user_and_encrypted(admin: Client, demo: Client, watcher: Client) -> None:
    made = demo.make("credential", type="cert", blob="a private thing", user_id="user-demo", colour="red")
    path = f"/v3/credentials/{made['id']}"
    assert demo.get(path)["credential"]["blob"] == "a private thing" and demo.get(path)["credential"]["colour"] == "red"
    with demo.application.database.read() as db: assert "private" not in str(db.scalar(select(Credential.sealed)))
    assert watcher.ask("GET", path).status == watcher.ask("DELETE", path).status == watcher.ask("GET", "/v3/credentials/no").status == 403
    assert watcher.get("/v3/credentials")["credentials"] == [] and len(admin.get("/v3/credentials?type=cert")["credentials"]) == 1
    assert demo.ask("PATCH", path, {"credential": {"blob": "new"}}).body["credential"]["blob"] == "new"
    assert demo.ask("PATCH", path, {"credential": {"user_id": "user-watcher"}}).status == 403
    assert watcher.ask("POST", "/v3/credentials", {"credential": {"type": "t", "blob": "b", "user_id": "user-demo"}}).status == 403
    assert demo.ask("DELETE", path).status == 204 and admin.ask("GET", path).status == 404


def test_an_ec2_pair_has_the_hash_of_its_access_key_as_id(demo: Client) -> None:
    blob = json.dumps({"access": "key", "secret": "s"})
    made = demo.make("credential", type="ec2", blob=blob, user_id="user-demo", project_id="home")
    assert made["id"] == hashlib.sha256(b"key").hexdigest() and demo.get(f"{EC2}/key")["credential"]["secret"] == "s"
    body = {"type": "ec2", "blob": blob, "user_id": "user-demo", "project_id": "home"}
    assert demo.ask("POST", "/v3/credentials", {"credential": body}).status == 409
    for bad in ({"blob": "{}"}, {"blob": "no JSON"}, {"project_id": None}):
        assert demo.ask("POST", "/v3/credentials", {"credential": body | bad}).status == 400, bad
    path = f"/v3/credentials/{made['id']}"
    assert demo.ask("PATCH", path, {"credential": {"blob": json.dumps({"access": "key", "secret": "t"})}}).status == 200
    assert demo.ask("PATCH", path, {"credential": {"blob": json.dumps({"access": "key", "trust_id": "t"})}}).status == 400


def test_pairs_are_made_listed_and_removed(admin: Client, demo: Client, watcher: Client) -> None:
    made = pair(demo)
    assert [each["access"] for each in demo.get(EC2)["credentials"]] == [made["access"]] and made["tenant_id"] == "home"
    assert watcher.ask("POST", EC2, {"tenant_id": "home"}).status == 403 and demo.ask("POST", EC2, {"tenant_id": "no"}).status == 404
    assert watcher.ask("GET", f"{EC2}/{made['access']}").status == 403 and admin.ask("GET", f"{EC2}/no").status == 404
    assert demo.ask("DELETE", f"{EC2}/{made['access']}").status == 204 and demo.get(EC2)["credentials"] == []


def test_a_signed_s3_request_gets_its_users_facts(agent: Client, demo: Client, nobody: Client) -> None:
    made = pair(demo)
    day = b"20261122/RegionOne/s3/aws4_request"
    for text in (b"GET\n\n\n\n/bucket", b"AWS4-HMAC-SHA256\n20261122T000000Z\n" + day + b"\n" + b"0" * 64):
        reply = agent.ask("POST", "/v3/s3tokens", signed(made, text))
        assert reply.status == 200 and reply.body["token"]["user"]["id"] == "user-demo" and "X-Subject-Token" not in reply.headers
        assert reply.body["token"]["project"]["id"] == "home" and reply.body["token"]["methods"] == ["ec2credential"]
    assert agent.ask("POST", "/v3/s3tokens", signed(made, signature="wrong")).status == 401
    assert agent.ask("POST", "/v3/s3tokens", signed(made, token="?")).status == 401
    assert agent.ask("POST", "/v3/s3tokens", signed(made, access="absent")).status == 404
    assert agent.ask("POST", "/v3/s3tokens", {"credentials": {}}).status == 401 and agent.ask("POST", "/v3/s3tokens", {}).status == 400
    assert demo.ask("POST", "/v3/s3tokens", signed(made)).status == 403 and nobody.ask("POST", "/v3/s3tokens", signed(made)).status == 401


def test_a_signed_ec2_request_gets_a_token(admin: Client, agent: Client, demo: Client, nobody: Client) -> None:
    made = pair(demo)

    def ask(**more: Any) -> Any:
        request: dict[str, Any] = {"verb": "GET", "host": "ec2.example:8773", "path": "/", "params": {
            "SignatureVersion": "2", "SignatureMethod": "HmacSHA256", "Timestamp": clock.iso(clock.now())}}
        for part in ("params",): request[part] |= more.pop(part, {})
        signature = aws.of_query(made["secret"], request | {"host": "ec2.example"})  # a client that leaves the port out
        return agent.ask("POST", "/v3/ec2tokens", {"credentials": request | {"access": made["access"], "signature": signature} | more})

    reply = ask()
    assert reply.status == 200 and reply.body["token"]["project"]["id"] == "home" and nobody.alive(reply.headers["X-Subject-Token"])
    assert ask(signature="x").status == ask(params={"Timestamp": "2001-01-01T00:00:00Z"}).status == 401
    log = [json.loads(row["record"]) for row in admin.get("/v3/pilvi-audit")["records"]]
    told = [each for each in log if each["action"] == "authenticate" and each["attachments"][0]["content"] == "ec2credential"]
    assert [(each["outcome"], each["initiator"]["id"], each.get("reason", {}).get("reasonCode")) for each in told] == [
        ("success", "user-demo", None), ("failure", made["access"], "401"), ("failure", made["access"], "401")]
    assert admin.ask("PATCH", "/v3/users/user-demo", {"user": {"enabled": False}}).status == 200 and ask().status == 401


def test_a_pair_gives_no_more_than_what_it_was_made_with(demo: Client, agent: Client, nobody: Client) -> None:
    def robot(**values: Any) -> Client:
        made = demo.ask("POST", "/v3/users/user-demo/application_credentials", {"application_credential": values}).body
        given = {"id": made["application_credential"]["id"], "secret": made["application_credential"]["secret"]}
        reply = nobody.authenticate({"methods": ["application_credential"], "application_credential": given})
        return Client(nobody.application, reply.headers["X-Subject-Token"])

    assert robot(name="tied").ask("POST", EC2, {"tenant_id": "home"}).status == 403
    free = robot(name="free", unrestricted=True, roles=[{"name": "member"}])
    reply = agent.ask("POST", "/v3/s3tokens", signed(pair(free)))
    assert reply.status == 200 and reply.body["token"]["application_credential"]["name"] == "free"
    assert {role["name"] for role in reply.body["token"]["roles"]} == {"member", "reader"}
    assert demo.ask("DELETE", free.get("/v3/users/user-demo/application_credentials?name=free")["application_credentials"][0]["links"]
                    ["self"].removeprefix("http://cloud/identity")).status == 204


def test_it_goes_with_its_user_and_project(admin: Client, demo: Client) -> None:
    made = demo.make("credential", type="t", blob="b", user_id="user-demo")
    assert admin.ask("DELETE", "/v3/users/user-demo").status == 204
    assert admin.ask("GET", f"/v3/credentials/{made['id']}").status == 404
