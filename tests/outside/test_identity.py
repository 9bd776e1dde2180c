"""keystoneauth and openstacksdk, unmodified, with every way to sign in that clouds.yaml has here, and with users of a real LDAP server."""
from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import openstack
import pytest
import yaml
from keystoneauth1.exceptions import MissingAuthMethods, Unauthorized
from keystoneauth1.identity import v3
from keystoneauth1.session import Session
from oidc_provider_mock import run_server_in_thread
from openstack.config import OpenStackConfig
from tests.ldap_server import OPTIONS, PEOPLE, Slapd, ldap_server
from tests.outside.clouds import Client, Cloud

from pilvi.identity.signature import passcode

pytestmark = pytest.mark.slow
SEED = base64.b32encode(b"a seed of 20 letters").decode()


@pytest.fixture(scope="module")
def cloud(cloud_at: Callable[[str], Cloud]) -> Iterator[Cloud]:
    yield from cloud_at("identity").while_up("--simulated", "--empty")


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
    ways = {"passcode": {"auth_type": "v3totp", "auth": {"user_id": user_id, "passcode": code(), **project}},  # first: it ends soon
            "token": {"auth_type": "token", "auth": {"token": demo.auth_token, **project}},
            "robot": {"auth_type": "v3applicationcredential", "auth": {
                "application_credential_id": robot.id, "application_credential_secret": robot.secret}}}
    for way in ways.values(): way["auth"]["auth_url"] = url  # type: ignore[index]
    path = tmp_path / "clouds.yaml"
    path.write_text(yaml.safe_dump({"clouds": {name: way | {"region_name": "RegionOne"} for name, way in ways.items()}}))
    for name in ways:
        there = connect(path, name)
        assert there.current_user_id == user_id and there.current_project_id == project["project_id"], name
        assert list(there.compute.servers()) == [], name


def test_two_factors_with_a_receipt(cloud: Cloud) -> None:
    admin = cloud.connect("pilvi")
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
    admin, demo = (cloud.connect(name) for name in ("pilvi", "pilvi-demo"))
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


@pytest.fixture
def provider(cloud: Cloud) -> Iterator[str]:
    """The address of an OpenID provider that this cloud knows as `acme`; its user ada is in the group `engineers`, who are members."""
    admin = cloud.connect("pilvi").identity
    with run_server_in_thread() as server:
        url = f"http://127.0.0.1:{server.server_port}"
        folder = cloud.state / "federation"
        folder.mkdir(exist_ok=True)
        (folder / "acme.toml").write_text(f'[openid]\nissuer = "{url}"\nclient_id = "pilvi"\nclient_secret = "secret"\n')
        group = admin.create_group(name="engineers", domain_id="default")
        admin.assign_project_role_to_group(admin.find_project("demo"), group, admin.find_role("member"))
        admin.create_mapping(id="people", rules=[{
            "local": [{"user": {"name": "{0}"}}, {"groups": "{1}", "domain": {"id": "default"}}],
            "remote": [{"type": "OIDC-email"}, {"type": "OIDC-groups"}]}])
        admin.create_identity_provider(id="acme", is_enabled=True, domain_id="default")
        admin.create_federation_protocol("acme", id="openid", mapping_id="people")
        claims = {"email": "ada@acme.example", "groups": ["engineers"]}
        httpx.put(f"{url}/users/ada", json=claims | {"userinfo": claims}).raise_for_status()
        yield url


def test_clouds_yaml_with_a_provider_of_identities(cloud: Cloud, provider: str, tmp_path: Path) -> None:
    known = cloud.connect("pilvi-demo")

    def code() -> str:
        """What the provider sends a browser back with in which ada has signed in."""
        asked = {"response_type": "code", "client_id": "pilvi", "redirect_uri": "http://x/", "scope": "openid email", "state": "s"}
        back = httpx.post(f"{provider}/oauth2/authorize", params=asked, data={"sub": "ada"})
        return parse_qs(urlsplit(back.headers["location"]).query)["code"][0]

    traded = httpx.post(f"{provider}/oauth2/token", auth=("pilvi", "secret"), data={
        "grant_type": "authorization_code", "code": code(), "redirect_uri": "http://x/"})
    common = {"auth_url": known.config.get_auth_args()["auth_url"], "identity_provider": "acme", "protocol": "openid",
              "project_name": "demo", "project_domain_id": "default"}
    ways = {"by-token": ("v3oidcaccesstoken", {"access_token": traded.json()["access_token"]}),
            "by-code": ("v3oidcauthcode", {"client_id": "pilvi", "client_secret": "secret", "code": code(), "redirect_uri": "http://x/",
                                           "discovery_endpoint": f"{provider}/.well-known/openid-configuration"})}
    path = tmp_path / "clouds.yaml"
    path.write_text(yaml.safe_dump({"clouds": {name: {"auth_type": kind, "auth": common | rest, "region_name": "RegionOne"}
                                               for name, (kind, rest) in ways.items()}}))
    for name in ways:
        there = connect(path, name)
        assert there.current_project_id == known.current_project_id and there.current_user_id != known.current_user_id, name
        assert list(there.compute.servers()) == [], name


def test_the_command_line_with_each_kind(cloud: Cloud) -> None:
    """The openstack command itself, told by its environment as people do it in scripts."""
    demo = cloud.connect("pilvi-demo")
    robot = demo.identity.create_application_credential(demo.current_user_id, name="script")
    url, own = demo.config.get_auth_args()["auth_url"], {"OS_IDENTITY_API_VERSION": "3", "OS_REGION_NAME": "RegionOne"}
    ways = {"v3token": {"OS_TOKEN": demo.auth_token, "OS_PROJECT_ID": demo.current_project_id},
            "v3applicationcredential": {"OS_APPLICATION_CREDENTIAL_ID": robot.id, "OS_APPLICATION_CREDENTIAL_SECRET": robot.secret},
            "v3totp": {"OS_USER_ID": demo.current_user_id, "OS_PROJECT_ID": demo.current_project_id}}
    cloud.connect("pilvi").identity.create_credential(type="totp", blob=SEED, user_id=demo.current_user_id)
    for kind, words in ways.items():
        client = Client(cloud.state, "")
        kept = {name: client.environment[name] for name in ("PATH", "HOME")}
        soon_over = {"OS_PASSCODE": code()} if kind == "v3totp" else {}
        client.environment = kept | own | words | soon_over | {"OS_AUTH_TYPE": kind, "OS_AUTH_URL": url}
        assert client.json("token", "issue")["project_id"] == demo.current_project_id, kind
