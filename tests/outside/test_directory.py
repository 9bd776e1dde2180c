"""The unmodified clients with users of a real LDAP server."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import openstack
import pytest
from keystoneauth1.exceptions import Unauthorized
from keystoneauth1.identity import v3
from keystoneauth1.session import Session
from openstack.config import OpenStackConfig
from tests.ldap_server import OPTIONS, PEOPLE, Slapd, ldap_server
from tests.outside.clouds import Cloud, free_port

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def slapd() -> Iterator[Slapd]:
    yield from ldap_server()


@pytest.fixture(scope="module")
def cloud(cloud_at: Callable[[str], Cloud], slapd: Slapd) -> Iterator[Cloud]:
    made = cloud_at("directory")
    done = made.pilvi("up", "--simulated", "--empty", "--listen", f"127.0.0.1:{free_port()}", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    yield made
    made.pilvi("down")


def connect(cloud: Cloud, name: str) -> Any:
    return openstack.connection.Connection(config=OpenStackConfig(config_files=[str(cloud.state / "clouds.yaml")]).get_one(name))


def test_users_from_ldap(cloud: Cloud, slapd: Slapd) -> None:
    admin = connect(cloud, "pilvi")
    domain = admin.identity.create_domain(name="corp")
    config = {"config": {"identity": {"driver": "ldap"}, "ldap": OPTIONS | {"url": slapd.url}}}
    assert admin.identity.put(f"/domains/{domain.id}/config", json=config).status_code == 201
    assert {user["Name"] for user in cloud.admin.json("user", "list", "--domain", "corp")} == set(PEOPLE)
    project = connect(cloud, "pilvi-demo").current_project_id
    cloud.admin.run("role", "add", "--user", "jo", "--user-domain", "corp", "--project", project, "member")
    cloud.admin.run("role", "add", "--group", "ops", "--group-domain", "corp", "--project", project, "reader")
    ops = cloud.admin.json("group", "show", "--domain", "corp", "ops")["id"]
    assert [user["Name"] for user in cloud.admin.json("user", "list", "--group", ops)] == ["kim"]
    assert "devs" in cloud.admin.run("group", "list", "--domain", "corp", "--user", "jo", "--user-domain", "corp")
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
    shown = json.loads(cloud.admin.run("user", "show", "--domain", "corp", "jo", "-f", "json"))
    assert shown["email"] == "jo@corp" and len(shown["id"]) == 64
