"""Alarms by the openstack client, and the bill against compute's own tenant usage, over a simulated cloud."""
from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.outside.clouds import Cloud, wait

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cloud(cloud_at: Callable[[str], Cloud]) -> Iterator[Cloud]:
    made = cloud_at("bill")
    made.state.mkdir(exist_ok=True)
    (made.state / "config.toml").write_text('[fetch]\nnetworks = ["127.0.0.1/32"]\n')
    yield from made.while_up("--simulated", "--empty")


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(address, what it heard)"""
    heard: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words: Any) -> None: pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", heard
    server.shutdown()
    server.server_close()


def test_alarms_bills_and_usage(cloud: Cloud, hook: tuple[str, list[dict[str, Any]]]) -> None:
    url, heard = hook
    demo = cloud.connect("pilvi-demo")
    made = cloud.demo.json("alarm", "create", "--name", "gone", "--type", "event", "--event-type", "compute.instance.delete.end",
                           "--severity", "critical", "--alarm-action", url)
    assert [(row["name"], row["state"]) for row in cloud.demo.json("alarm", "list")] == [("gone", "insufficient data")]

    net = demo.create_network("n")
    demo.create_subnet(net.id, cidr="10.7.0.0/24")
    server = demo.create_server("billed", image="pilvi-guest", flavor="m1.nano", network=net.id, auto_ip=False, wait=True, timeout=300)
    demo.create_volume(3, name="billed", wait=True, timeout=300)
    demo.compute.stop_server(server.id)
    wait(lambda: demo.get_server(server.id).status == "SHUTOFF", "it is off")
    usage = demo.compute.get_usage(demo.current_project_id)
    assert demo.delete_server(server.id, wait=True, timeout=300)

    body = wait(lambda: heard, "the alarm is told")[0]
    traits = {name: value for name, _, value in body["reason_data"]["event"]["traits"]}
    assert (body["alarm_id"], body["current"], traits["instance_id"]) == (made["alarm_id"], "alarm", server.id)
    assert cloud.demo.run("alarm", "state", "get", made["alarm_id"]).find("alarm") >= 0
    cloud.demo.run("alarm", "update", made["alarm_id"], "--severity", "low")
    history = cloud.demo.json("alarm-history", "show", made["alarm_id"])
    assert [entry["type"] for entry in history] == ["rule change", "state transition", "creation"]
    cloud.demo.run("alarm", "delete", made["alarm_id"])
    assert usage.total_hours > 0
    reconciled(cloud, demo, server.id)


def reconciled(cloud: Cloud, demo: Any, server_id: str) -> None:
    """Compute's tenant usage and the bill say the same of the server, to the microsecond."""
    project = demo.current_project_id
    path = f"/rating/v1/projects/{project}/usage"
    root = demo.session.get_endpoint(service_type="rating").rpartition("/rating")[0]

    def told() -> Any:
        found = [one for one in demo.session.get(root + path).json()["usage"] if one["resource_id"] == server_id]
        return found if found and not found[-1]["open"] else None

    pieces = wait(told, "it is billed to its end")
    assert [one["attributes"]["state"] for one in pieces] == ["active", "stopped"]
    assert pieces[0]["end"] == pieces[1]["begin"]
    mine = next(one for one in demo.compute.get_usage(project).server_usages if one.instance_id == server_id)
    assert (pieces[0]["begin"], pieces[-1]["end"]) == (f"{mine.started_at}Z", f"{mine.ended_at}Z")
    bill = cloud.pilvi("invoice", "demo").stdout
    assert "billed" in bill and "m1.nano stopped" in bill and "3 gib" in bill
    assert cloud.pilvi("invoice", "nobody", check=False).returncode == 1


SCALED = """
heat_template_version: 2018-08-31
resources:
  group:
    type: OS::Heat::AutoScalingGroup
    properties: {min_size: 1, max_size: 3, resource: {type: OS::Heat::RandomString}}
  more:
    type: OS::Heat::ScalingPolicy
    properties: {adjustment_type: change_in_capacity, auto_scaling_group_id: {get_resource: group}, scaling_adjustment: 1}
  alarm:
    type: OS::Aodh::EventAlarm
    properties: {event_type: volume.create.end, alarm_actions: [{get_attr: [more, alarm_url]}]}
outputs:
  size: {value: {get_attr: [group, current_size]}}
"""


def test_an_alarm_scales_a_group(cloud: Cloud, tmp_path: Path) -> None:
    demo = cloud.connect("pilvi-demo")
    template = tmp_path / "scaled.yaml"
    template.write_text(SCALED)
    demo.create_stack("scaled", template_file=str(template), wait=True, timeout=300)

    def size() -> int:
        return int(next(one["output_value"] for one in demo.orchestration.find_stack("scaled").outputs if one["output_key"] == "size"))

    assert size() == 1
    demo.create_volume(1, name="sign", wait=True, timeout=300)
    wait(lambda: size() == 2, "the group has grown")
    demo.delete_stack("scaled", wait=True)
