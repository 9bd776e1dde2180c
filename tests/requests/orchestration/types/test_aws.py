"""Groups of servers in CloudFormation's words, as stacks."""
from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.requests.orchestration.types.conftest import Bench

from pilvi.core.context import Call
from pilvi.core.errors import NotFound
from pilvi.core.http.client import send


def template(cloud: Any, size: int, flavor: str = "small", **more: Any) -> dict[str, Any]:
    zones = {"AvailabilityZones": [], "LaunchConfigurationName": {"get_resource": "launch"}}
    return {"heat_template_version": "2021-04-16", "resources": {
        "launch": {"type": "AWS::AutoScaling::LaunchConfiguration", "properties": {
            "ImageId": cloud.image, "InstanceType": flavor, "SecurityGroups": ["default"],
            "NovaSchedulerHints": [{"Key": "a", "Value": "b"}]}},
        "group": {"type": "AWS::AutoScaling::AutoScalingGroup", "properties": {**zones, "MinSize": size, "MaxSize": 3}},
        "grow": {"type": "AWS::AutoScaling::ScalingPolicy", "properties": {
            "AutoScalingGroupName": {"get_resource": "group"}, "ScalingAdjustment": 1, "AdjustmentType": "ChangeInCapacity"}},
        "fixed": {"type": "OS::Heat::InstanceGroup", "properties": {**zones, "Size": size, "Tags": [{"Key": "for", "Value": "test"}]}}},
        "outputs": {"group": {"value": {"get_attr": ["group", "InstanceList"]}}, "grow": {"value": {"get_attr": ["grow", "AlarmUrl"]}},
                    "fixed": {"value": {"get_attr": ["fixed", "InstanceList"]}}}}


class Stack:
    def __init__(self, demo: Bench, written: dict[str, Any]) -> None:
        self.demo, self.name = demo, f"test-{uuid.uuid4().hex[:8]}"
        made = demo.ask("orchestration", "POST", "/v1/stacks", {"stack_name": self.name, "template": written, "timeout_mins": 5})
        self.path = f"/v1/stacks/{self.name}/{made['stack']['id']}"
        self.settle("CREATE_COMPLETE")

    def settle(self, wanted: str) -> None:
        self.demo.wait(lambda: not self.shown()["stack_status"].endswith("IN_PROGRESS"))
        assert self.shown()["stack_status"] == wanted, self.shown()["stack_status_reason"]

    def shown(self) -> dict[str, Any]:
        found: dict[str, Any] = self.demo.ask("orchestration", "GET", self.path)["stack"]
        return found

    def output(self, name: str) -> Any:
        return self.demo.ask("orchestration", "GET", f"{self.path}/outputs/{name}")["output"]["output_value"]

    def change(self, written: dict[str, Any]) -> None:
        self.demo.ask("orchestration", "PUT", self.path, {"template": written})
        self.settle("UPDATE_COMPLETE")

    def end(self) -> None:
        self.demo.ask("orchestration", "DELETE", self.path)

        def gone() -> bool:
            try: return bool(self.shown()["stack_status"] == "DELETE_COMPLETE")
            except NotFound: return True

        self.demo.wait(gone)


@pytest.fixture
def servers(demo: Bench) -> Any:
    """How many there are."""
    return lambda: len(demo.ask("compute", "GET", "/v2.1/servers")["servers"])


def test_groups_scale(demo: Bench, servers: Any) -> None:
    before = servers()
    stack = Stack(demo, template(demo.cloud, 1))
    assert servers() == before + 2
    assert [len(stack.output(name).split(",")) for name in ("group", "fixed")] == [1, 1]
    url = urlsplit(stack.output("grow"))
    send(Call(), "orchestration", "POST", url.path[url.path.index("/v1"):], body={})
    demo.wait(lambda: len(stack.output("group").split(",")) == 2)
    demo.wait(lambda: servers() == before + 3)
    stack.settle("CREATE_COMPLETE")
    listed = demo.ask("compute", "GET", "/v2.1/servers/detail")["servers"]
    told = {key for server in listed for key in server["metadata"]}
    assert {"metering.AutoScalingGroupName", "metering.groupname", "for"} <= told
    stack.change(template(demo.cloud, 2))
    assert servers() == before + 4
    stack.end()
    demo.wait(lambda: servers() == before)
