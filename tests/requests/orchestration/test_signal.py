"""What comes from outside: wait conditions, scaling, deployments."""
from __future__ import annotations

import json
from typing import Any

from tests.requests.orchestration.conftest import Stacks

from pilvi.core.http.app import Request

WAIT = {"handle": {"type": "OS::Heat::WaitConditionHandle"}, "wait": {
    "type": "OS::Heat::WaitCondition", "properties": {"handle": {"get_resource": "handle"}, "timeout": 600, "count": 2}}}
CURL = {"url": {"value": {"get_attr": ["handle", "endpoint"]}}, "data": {"value": {"get_attr": ["wait", "data"]}}}


def post(stacks: Stacks, url: str, body: bytes, kind: str = "application/x-www-form-urlencoded", method: str = "POST") -> int:
    """A POST without any token, as curl sends it."""
    path = "/v1/" + url.partition("/orchestration/v1/")[2]
    return stacks.cloud.applications["orchestration"].handle(Request(method, path, headers={"content-type": kind}, body=body)).status


def test_a_wait_condition_counts_signals(stacks: Stacks) -> None:
    stacks.make("wait", WAIT, outputs=CURL, wait="")
    stacks.until("wait", "wait", "CREATE_IN_PROGRESS")
    url = stacks.outputs("wait")["url"]
    assert post(stacks, url, b'{"status": "SUCCESS", "data": "one", "id": "a"}') == 200
    assert post(stacks, url, b'{"status": "SUCCESS", "data": "one", "id": "a"}') == 200  # a repetition counts once
    assert stacks.show("wait")["stack_status"] == "CREATE_IN_PROGRESS"
    assert post(stacks, url, b'{"status": "SUCCESS", "data": 2}') == 200
    stacks.wait("wait", "CREATE_COMPLETE")
    assert json.loads(stacks.outputs("wait")["data"]) == {"a": "one", "2": 2}


def test_signal_urls_open_nothing_else(stacks: Stacks) -> None:
    stacks.make("guard", WAIT, outputs=CURL, wait="")
    stacks.until("guard", "wait", "CREATE_IN_PROGRESS")
    url = stacks.outputs("guard")["url"]
    assert post(stacks, url.replace("/handle", "/wait"), b"{}") == 403 and post(stacks, url.replace("/signal/", "/signal/0"), b"{}") == 403
    assert post(stacks, url.replace("/signed/signal/", "/signed/waitcondition/"), b"{}") == 403
    assert post(stacks, url, b'{"status": "PERHAPS"}') == 400 and post(stacks, url, b"{") == 400 and post(stacks, url, b"[]") == 400
    assert post(stacks, url, b'{"status": "FAILURE", "reason": "no disk"}') == 200
    found = stacks.wait("guard", "CREATE_FAILED")
    assert found["stack_status_reason"] == "Resource CREATE failed: WaitConditionFailure: resources.wait: no disk"
    stacks.remove("guard")
    assert post(stacks, url, b"{}") == 404


def test_a_wait_condition_times_out(stacks: Stacks) -> None:
    short = {**WAIT, "wait": {**WAIT["wait"], "properties": {**WAIT["wait"]["properties"], "timeout": 1}}}  # type: ignore[dict-item]
    found = stacks.make("late", short, wait="CREATE_FAILED")
    assert "WaitConditionTimeout: resources.wait: 0 of 2 received" in found["stack_status_reason"]


def test_cloudformation_handles_take_a_put(stacks: Stacks) -> None:
    resources = {"handle": {"type": "AWS::CloudFormation::WaitConditionHandle"}, "wait": {"type": "AWS::CloudFormation::WaitCondition",
                 "properties": {"Handle": {"get_resource": "handle"}, "Timeout": 600}}}
    stacks.make("cfn", resources, outputs={"url": {"value": {"get_resource": "handle"}}}, wait="")
    stacks.until("cfn", "wait", "CREATE_IN_PROGRESS")
    url = stacks.outputs("cfn")["url"]
    assert post(stacks, url, b'{"Status": "SUCCESS"}', "", "PUT") == 400
    assert post(stacks, url, b'{"Status": "SUCCESS", "Reason": "r", "Data": "d", "UniqueId": "1"}', "", "PUT") == 200
    stacks.wait("cfn", "CREATE_COMPLETE")


def test_signals_as_of_the_object_store_are_put(stacks: Stacks) -> None:
    resources = {"handle": {"type": "OS::Heat::SwiftSignalHandle"}, "wait": {"type": "OS::Heat::SwiftSignal", "properties": {
        "handle": {"get_resource": "handle"}, "timeout": 600, "count": 3}}}
    outputs = {"url": {"value": {"get_resource": "handle"}}, "curl": {"value": {"get_attr": ["handle", "curl_cli"]}}, "data": CURL["data"]}
    stacks.make("put", resources, outputs=outputs, wait="")
    stacks.until("put", "wait", "CREATE_IN_PROGRESS")
    url = stacks.outputs("put")["url"]
    assert stacks.outputs("put")["curl"] == f"curl -i -X PUT '{url}'"
    assert post(stacks, url, b"", "", "PUT") == 200  # nothing is SUCCESS, and each time another
    assert post(stacks, url, b"", "", "PUT") == 200
    assert stacks.show("put")["stack_status"] == "CREATE_IN_PROGRESS"
    assert post(stacks, url, b'{"status": "SUCCESS", "data": {"a": 1}, "id": "x"}', "", "PUT") == 200
    stacks.wait("put", "CREATE_COMPLETE")
    assert json.loads(stacks.outputs("put")["data"]) == {"1": None, "2": None, "x": {"a": 1}}


def test_a_policy_scales_its_group_by_a_plain_post(stacks: Stacks) -> None:
    def policy(adjustment: int, **more: Any) -> dict[str, Any]:
        return {"type": "OS::Heat::ScalingPolicy",
                "properties": {"auto_scaling_group_id": {"get_resource": "group"}, "scaling_adjustment": adjustment,
                                                                  "adjustment_type": "change_in_capacity", **more}}

    group = {"type": "OS::Heat::AutoScalingGroup",
             "properties": {"min_size": 1, "max_size": 3, "resource": {"type": "OS::Heat::RandomString"}}}
    outputs = {"up": {"value": {"get_attr": ["up", "alarm_url"]}}, "down": {"value": {"get_attr": ["down", "signal_url"]}},
               "size": {"value": {"get_attr": ["group", "current_size"]}}, "values": {"value": {"get_attr": ["group", "outputs_list",
                                                                                                             "value"]}}}
    stacks.make("scale", {"group": group, "up": policy(1), "down": policy(-1, cooldown=60)}, outputs=outputs)
    first = stacks.outputs("scale")["values"]

    def signal(name: str, body: Any, size: int) -> None:
        assert post(stacks, stacks.outputs("scale")[name], json.dumps(body).encode(), "application/json") == 200
        while stacks.outputs("scale")["size"] != size or len(stacks.outputs("scale")["values"]) != size: pass

    signal("up", {"current": "ok"}, 1)
    signal("up", {"current": "alarm"}, 2)
    assert first[0] in stacks.outputs("scale")["values"]
    _rested(stacks, "scale")
    signal("up", None, 3)
    _rested(stacks, "scale")
    signal("up", {"current": "alarm"}, 3)
    signal("down", {"current": "alarm"}, 2)
    assert first[0] not in stacks.outputs("scale")["values"]  # the oldest goes first
    _rested(stacks, "scale")
    signal("down", {"current": "alarm"}, 2)  # its cooldown
    stacks.change("scale", {"group": {**group, "properties": {**group["properties"], "max_size": 1}}}, outputs={  # type: ignore[dict-item]
        "size": outputs["size"]})
    assert stacks.outputs("scale") == {"size": 1}


def _rested(stacks: Stacks, name: str) -> None:
    while any(one["stack_status"].endswith("IN_PROGRESS") for one in stacks.ask("GET", "/stacks?show_nested=true").body["stacks"]): pass


def test_a_deployment_waits_for_its_server(stacks: Stacks) -> None:
    resources = {
        "config": {"type": "OS::Heat::SoftwareConfig", "properties": {
            "group": "script", "config": "echo $who > out", "inputs": [{"name": "who"}], "outputs": [{"name": "result"}]}},
        "server": {"type": "OS::Heat::DeployedServer"},
        "deploy": {"type": "OS::Heat::SoftwareDeployment", "properties": {
            "config": {"get_resource": "config"}, "server": {"get_resource": "server"}, "input_values": {"who": "me"}}}}
    stacks.make("deploy", resources, outputs={"result": {"value": {"get_attr": ["deploy", "result"]}}}, wait="")
    stacks.until("deploy", "deploy", "CREATE_IN_PROGRESS")
    while not (found := stacks.ask("GET", stacks.path("deploy") + "/resources/server/metadata").body["metadata"].get("deployments")): pass
    inputs = {one["name"]: one["value"] for one in found[0]["inputs"]}
    assert found[0]["config"] == "echo $who > out" and inputs["who"] == "me" and inputs["deploy_action"] == "CREATE"
    done = {"result": "fine", "deploy_stdout": "", "deploy_status_code": 0}
    assert post(stacks, inputs["deploy_signal_id"], json.dumps(done).encode(), "application/json") == 200
    stacks.wait("deploy", "CREATE_COMPLETE")
    assert stacks.outputs("deploy") == {"result": "fine"}
    stacks.remove("deploy")
    assert stacks.ask("GET", "/software_deployments").body == {"software_deployments": []}
    assert stacks.ask("GET", "/software_configs").body == {"software_configs": []}
