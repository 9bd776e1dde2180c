"""keystoneauth and openstacksdk, unmodified, with every way to sign in that clouds.yaml has here, and with users of a real LDAP server."""
from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openstack
import pytest
import yaml
from keystoneauth1.exceptions import MissingAuthMethods, Unauthorized
from keystoneauth1.identity import v3
from keystoneauth1.session import Session
from openstack.config import OpenStackConfig
from tests.ldap_server import OPTIONS, PEOPLE, Slapd, ldap_server
from tests.outside.clouds import Cloud, free_port

from pilvi.identity.signature import passcode

pytestmark = pytest.mark.slow
SEED = base64.b32encode(b"a seed of 20 letters").decode()


@pytest.fixture(scope="module")
def cloud(cloud_at: Callable[[str], Cloud]) -> Iterator[Cloud]:
    made = cloud_at("identity")
    done = made.pilvi("up", "--simulated", "--empty", "--listen", f"127.0.0.1:{free_port()}", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    yield made
    made.pilvi("down")


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    yield from ldap_server()


def connect(path: Path, name: str) -> Any:
    return openstack.connection.Connection(config=OpenStackConfig(config_files=[str(path)]).get_one(name))


def code() -> str:
    return passcode.of(SEED, int(time.time()) // 30)


def test_clouds_yaml_of_each_kind(cloud: Cloud, tmp_path: Path) -> None:
    known = cloud.state / "clouds.yaml"
    demo = connect(known, "pilvi-demo")
    url, user_id = demo.config.get_auth_args()["auth_url"], demo.current_user_id
    robot = demo.identity.create_application_credential(user_id, name="robot")
    connect(known, "pilvi").identity.create_credential(type="totp", blob=SEED, user_id=user_id)
    project = {"project_id": demo.current_project_id}
    ways = {"token": {"auth_type": "token", "auth": {"token": demo.auth_token, **project}},
            "robot": {"auth_type": "v3applicationcredential", "auth": {
                "application_credential_id": robot.id, "application_credential_secret": robot.secret}},
            "passcode": {"auth_type": "v3totp", "auth": {"user_id": user_id, "passcode": code(), **project}}}
    for way in ways.values(): way["auth"]["auth_url"] = url  # type: ignore[index]
    path = tmp_path / "clouds.yaml"
    path.write_text(yaml.safe_dump({"clouds": {name: way | {"region_name": "RegionOne"} for name, way in ways.items()}}))
    for name in ways:
        there = connect(path, name)
        assert there.current_user_id == user_id and there.current_project_id == project["project_id"], name
        assert list(there.compute.servers()) == [], name


def test_two_factors_with_a_receipt(cloud: Cloud) -> None:
    admin = connect(cloud.state / "clouds.yaml", "pilvi")
    made = admin.identity.post("/users", json={"user": {"name": "careful", "password": "secret", "options": {
        "multi_factor_auth_rules": [["password", "totp"]]}}}).json()["user"]
    admin.identity.create_credential(type="totp", blob=SEED, user_id=made["id"])
    url = admin.config.get_auth_args()["auth_url"]
    first = v3.Password(url, user_id=made["id"], password="secret", unscoped=True)
    with pytest.raises(MissingAuthMethods) as asked: first.get_token(Session())
    assert asked.value.required_auth_methods == [["password", "totp"]]
    second = v3.Auth(url, [v3.TOTPMethod(user_id=made["id"], passcode=code())], unscoped=True)
    second.add_method(v3.ReceiptMethod(receipt=asked.value.receipt))
    assert second.get_token(Session())
    with pytest.raises(Unauthorized): v3.TOTP(url, user_id=made["id"], passcode="000000").get_token(Session())


def test_a_trust(cloud: Cloud) -> None:
    admin, demo = (connect(cloud.state / "clouds.yaml", name) for name in ("pilvi", "pilvi-demo"))
    helper = admin.identity.create_user(name="helper", password="help")
    trust = demo.identity.create_trust(trustor_user_id=demo.current_user_id, trustee_user_id=helper.id, is_impersonation=True,
                                       project_id=demo.current_project_id, roles=[{"name": "member"}])
    url = admin.config.get_auth_args()["auth_url"]
    acting = v3.Password(url, user_id=helper.id, password="help", trust_id=trust.id)
    assert acting.get_access(Session()).user_id == demo.current_user_id
    demo.identity.delete_trust(trust)
    with pytest.raises(Unauthorized): v3.Password(url, user_id=helper.id, password="help", trust_id=trust.id).get_token(Session())


def test_users_from_ldap(cloud: Cloud, slapd: Slapd) -> None:
    known = cloud.state / "clouds.yaml"
    admin = connect(known, "pilvi")
    domain = admin.identity.create_domain(name="corp")
    config = {"config": {"identity": {"driver": "ldap"}, "ldap": OPTIONS | {"url": slapd.url}}}
    assert admin.identity.put(f"/domains/{domain.id}/config", json=config).status_code == 201
    assert {user["Name"] for user in cloud.admin.json("user", "list", "--domain", "corp")} == set(PEOPLE)
    project = connect(known, "pilvi-demo").current_project_id
    cloud.admin.run("role", "add", "--user", "jo", "--user-domain", "corp", "--project", project, "member")
    cloud.admin.run("role", "add", "--group", "ops", "--group-domain", "corp", "--project", project, "reader")
    ops = cloud.admin.json("group", "show", "--domain", "corp", "ops")["id"]
    assert [user["Name"] for user in cloud.admin.json("user", "list", "--group", ops)] == ["kim"]
    assert "does not support write" in cloud.admin.run("user", "set", "--domain", "corp", "--description", "x", "jo", fails=True)
    url = admin.config.get_auth_args()["auth_url"]

    def signed_in(name: str, password: str) -> v3.Password:
        return v3.Password(url, username=name, password=password, user_domain_name="corp", project_id=project)

    jo = openstack.connection.Connection(session=Session(signed_in("jo", "jo-secret")), region_name="RegionOne")
    assert list(jo.compute.servers()) == [] and list(jo.block_storage.volumes()) == [], "the other services know the user, too"
    kim = signed_in("kim", "kim-secret").get_access(Session())
    assert kim.role_names == ["reader"] and kim.user_domain_name == "corp"
    for name, password in (("jo", "wrong"), ("off", "off-secret"), ("twin", "twin-secret"), ("nobody", "x")):
        with pytest.raises(Unauthorized): signed_in(name, password).get_access(Session())
