"""Stacks with the unmodified openstack client (python-heatclient) and openstacksdk, over a simulated cloud."""
from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.outside.clouds import Cloud, wait

pytestmark = pytest.mark.slow
TEMPLATE = """
heat_template_version: 2018-08-31
parameters:
  name: {type: string, default: outside}
resources:
  net:
    type: OS::Neutron::Net
    properties: {name: {get_param: name}}
  subnet:
    type: OS::Neutron::Subnet
    properties: {network: {get_resource: net}, cidr: 10.8.7.0/24}
  port:
    type: OS::Neutron::Port
    properties: {network: {get_resource: net}}
  parts:
    type: OS::Heat::ResourceGroup
    properties: {count: 2, resource_def: {type: part.yaml}}
  handle: {type: OS::Heat::WaitConditionHandle}
  wait:
    type: OS::Heat::WaitCondition
    properties: {handle: {get_resource: handle}, timeout: 300}
outputs:
  endpoint: {value: {get_attr: [handle, endpoint]}}
  address: {value: {get_attr: [port, fixed_ips, 0, ip_address]}}
"""
PART = "heat_template_version: 2018-08-31\nresources: {r: {type: OS::Heat::RandomString}}"


@pytest.fixture(scope="module")
def cloud(cloud_at: Callable[[str], Cloud]) -> Iterator[Cloud]:
    yield from cloud_at("stack").while_up("--simulated", "--empty")


def test_a_stack_by_the_command_line(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "top.yaml").write_text(TEMPLATE)
    (tmp_path / "part.yaml").write_text(PART)
    demo = cloud.demo
    made = demo.json("stack", "create", "-t", str(tmp_path / "top.yaml"), "app")
    assert made["stack_status"] == "CREATE_IN_PROGRESS"

    def endpoint() -> str:
        outputs = {one["output_key"]: one["output_value"] for one in demo.json("stack", "show", "app")["outputs"]}
        return outputs["endpoint"] or ""

    body = urllib.request.Request(wait(endpoint, "the handle is made"), data=b'{"status": "SUCCESS"}', method="POST")
    assert urllib.request.urlopen(body, timeout=30).status == 200
    done = demo.run("stack", "update", "-t", str(tmp_path / "top.yaml"), "--parameter", "name=renamed", "--wait", "app", "-f", "value")
    assert "UPDATE_COMPLETE" in done
    shown = {one["resource_name"]: one for one in demo.json("stack", "resource", "list", "-n", "2", "app")}
    assert set(shown) == {"net", "subnet", "port", "parts", "handle", "wait", "0", "1", "r"}
    assert demo.json("network", "list", "--internal")[0]["Name"] == "renamed"
    assert demo.json("stack", "output", "show", "app", "address")["output_value"].startswith("10.8.7.")
    assert "UPDATE_COMPLETE" in demo.run("stack", "event", "list", "app")
    demo.run("stack", "delete", "--yes", "--wait", "app")
    assert demo.json("stack", "list") == [] and demo.json("network", "list", "--internal") == []


def test_a_stack_by_the_sdk(cloud: Cloud, tmp_path: Path) -> None:
    demo = cloud.connect("pilvi-demo")
    path = tmp_path / "part.yaml"
    path.write_text(PART)
    made = demo.create_stack("sdk", template_file=str(path), wait=True)
    assert made.status == "CREATE_COMPLETE" and [one.name for one in demo.orchestration.stacks()] == ["sdk"]
    assert [one.name for one in demo.orchestration.resources(made)] == ["r"]
    assert demo.delete_stack("sdk", wait=True) and demo.get_stack("sdk") is None
