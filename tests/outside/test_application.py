"""examples/application.yaml, by the unmodified openstack client, on a simulated cloud: made, told that it is up, scaled, changed, ended."""
from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.outside.clouds import ROOT, Cloud

pytestmark = pytest.mark.slow
TEMPLATE = str(ROOT / "examples" / "application.yaml")
SECONDS = 90.0
EVERYTHING = {"compute": ("servers",), "block-storage": ("volumes",), "network": (
    "ports", "floatingips", "networks", "routers", "security-groups"), "object-store": ("",), "alarming": ("v2/alarms",)}
"""{service: the lists of what a project has there}"""


@pytest.fixture(scope="module")
def cloud(cloud_at: Callable[[str], Cloud]) -> Iterator[Cloud]:
    yield from cloud_at("application").while_up("--simulated", "--empty")


def until(condition: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, f"{what} did not come true within {SECONDS:.0f} s"
        time.sleep(0.5)


class Demo:
    """The member: its commands, and, since these take a second each, its session for everything that is only looked at."""

    def __init__(self, cloud: Cloud) -> None:
        self.client = cloud.demo
        self.session = cloud.connect("pilvi-demo").session

    def get(self, service: str, path: str) -> Any:
        return self.session.get(path, endpoint_filter={"service_type": service, "interface": "public"},
                                headers={"accept": "application/json"}).json()

    def things(self) -> dict[str, set[str]]:
        """{list: ids}"""
        found = {}
        for service, paths in EVERYTHING.items():
            for path in paths:
                told = self.get(service, f"/v2.0/{path}" if service == "network" else f"/{path}")
                rows = told if isinstance(told, list) else next(iter(told.values()))
                found[f"{service}/{path}"] = {row.get("id") or row.get("alarm_id") or row["name"] for row in rows}
        return found

    def stack(self) -> str:
        return str(self.get("orchestration", "/stacks/app")["stack"]["stack_status"])

    def output(self, name: str) -> Any:
        id = self.get("orchestration", "/stacks/app")["stack"]["id"]
        return self.get("orchestration", f"/stacks/app/{id}/outputs/{name}")["output"]["output_value"]


def post(url: str, body: bytes = b"{}") -> int:
    request = urllib.request.Request(url, body, {"content-type": "application/json"}, method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer: return int(answer.status)


def test_an_application_from_its_template_to_its_end(cloud: Cloud, tmp_path: Path) -> None:
    demo = Demo(cloud)
    before = demo.things()
    demo.client.run("stack", "create", "-t", TEMPLATE, "app")

    def waiting() -> list[str]:
        found = demo.get("orchestration", "/stacks/app/resources")["resources"]
        return [row["resource_name"] for row in found if row["resource_status"] != "CREATE_COMPLETE"]

    until(lambda: waiting() == ["web_is_up"], "all but the web server's word")
    assert post(demo.output("web_answers"), b'{"status": "SUCCESS", "reason": "it answers"}') == 200
    until(lambda: demo.stack() == "CREATE_COMPLETE", "the stack is made")
    address = demo.output("address").removeprefix("http://").removesuffix("/")
    assert address in {row["floating_ip_address"] for row in demo.get("network", "/v2.0/floatingips")["floatingips"]}

    assert post(demo.output("more_helpers")) == 200
    until(lambda: demo.output("helpers") == 1, "one more helper")
    until(lambda: [row["status"] for row in demo.get("compute", "/servers/detail")["servers"]] == ["ACTIVE"] * 3, "three servers run")

    file = tmp_path / "file"
    file.write_text("kept with the application")
    container, = demo.things()["object-store/"] - before["object-store/"]
    demo.client.run("object", "create", "--name", "file", container, str(file))
    demo.client.run("stack", "update", "-t", TEMPLATE, "--parameter", "data_size=2", "app")
    until(lambda: demo.stack() == "UPDATE_COMPLETE", "the stack is changed")
    assert [(row["size"], row["status"]) for row in demo.get("block-storage", "/volumes/detail")["volumes"]] == [(2, "in-use")]

    demo.client.run("stack", "delete", "--yes", "app")
    until(lambda: not demo.get("orchestration", "/stacks")["stacks"], "the stack is gone")
    assert demo.things() == before
