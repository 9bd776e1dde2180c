"""A cloud in this process whose stacks are made and looked at over HTTP."""
from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.contract.cloud_in_process import Cloud, running_cloud

from pilvi.core.http.app import Response

SECONDS = 180.0
VERSION = "2018-08-31"


@dataclass
class Stacks:
    """The orchestration API as one person uses it."""
    cloud: Cloud
    who: str = "member"

    def ask(self, method: str, path: str, body: Any = None, *, who: str = "") -> Response:
        """`path` below /v1."""
        return self.cloud.ask(who or self.who, "orchestration", method, "/v1" + path, body)

    def path(self, name: str) -> str:
        """The stack's path with its id."""
        answer = self.ask("GET", f"/stacks/{name}")
        assert answer.status == 302, answer.body
        return "/stacks/" + answer.headers["Location"].partition("/stacks/")[2]

    def make(self, name: str, resources: dict[str, Any], *, outputs: Any = None, wait: str = "CREATE_COMPLETE", **more: Any) -> Any:
        """A new stack, in the state it is to come to."""
        body = {"stack_name": name, "template": template(resources, outputs), **more}
        answer = self.ask("POST", "/stacks", body)
        assert answer.status == 201, answer.body
        return self.wait(name, wait) if wait else None

    def change(self, name: str, resources: dict[str, Any], *, outputs: Any = None, wait: str = "UPDATE_COMPLETE", **more: Any) -> Any:
        """The stack after an update."""
        answer = self.ask("PUT", self.path(name), {"template": template(resources, outputs), **more})
        assert answer.status == 202, answer.body
        return self.wait(name, wait) if wait else None

    def act(self, name: str, action: str, wait: str) -> Any:
        """The stack after an action."""
        answer = self.ask("POST", self.path(name) + "/actions", {action: None})
        assert answer.status in (200, 202), answer.body
        return self.wait(name, wait)

    def show(self, name: str) -> Any:
        return self.ask("GET", self.path(name)).body["stack"]

    def outputs(self, name: str) -> dict[str, Any]:
        return {one["output_key"]: one.get("output_error") or one["output_value"] for one in self.show(name)["outputs"]}

    def wait(self, name: str, status: str) -> Any:
        """The stack once it is in the state; fails if it comes to rest in another."""
        end = time.monotonic() + SECONDS
        path = self.path(name)
        while True:
            found = self.ask("GET", path).body["stack"]
            if found["stack_status"] == status: return found
            assert found["stack_status"].endswith("_IN_PROGRESS"), (found["stack_status"], found["stack_status_reason"])
            assert time.monotonic() < end, (found["stack_status"], status)
            time.sleep(0.02)

    def remove(self, name: str) -> None:
        """Deletes the stack and waits until it is gone."""
        path = self.path(name)
        assert self.ask("DELETE", path).status == 204
        end = time.monotonic() + SECONDS
        while (found := self.ask("GET", path).body["stack"])["stack_status"] != "DELETE_COMPLETE":
            assert found["stack_status"] == "DELETE_IN_PROGRESS" and time.monotonic() < end, found["stack_status_reason"]
            time.sleep(0.02)

    def resources(self, name: str, query: str = "") -> dict[str, Any]:
        """{name: resource}"""
        return {one["resource_name"]: one for one in self.ask("GET", self.path(name) + "/resources" + query).body["resources"]}

    def until(self, name: str, resource: str, status: str) -> Any:
        """The resource once it is in the state."""
        end = time.monotonic() + SECONDS
        while True:
            found = self.resources(name).get(resource)
            if found and found["resource_status"] == status: return found
            assert time.monotonic() < end, found
            time.sleep(0.02)

    def told(self, name: str, resource: str, text: str) -> None:
        """Waits until an event of the resource says so."""
        end = time.monotonic() + SECONDS
        while True:
            found = self.ask("GET", self.path(name) + f"/resources/{resource}/events").body.get("events", [])  # 404 before it is begun
            if any(text in one["resource_status_reason"] for one in found): return
            assert time.monotonic() < end, found
            time.sleep(0.02)

    def events(self, name: str, resource: str = "") -> list[tuple[str, str]]:
        """(resource, status) of each event in order."""
        found = self.ask("GET", self.path(name) + "/events").body["events"]
        return [(one["resource_name"], one["resource_status"]) for one in found if resource in ("", one["resource_name"])]

    def networks(self) -> list[str]:
        return sorted(one["name"] for one in self.cloud.ask(self.who, "network", "GET", "/v2.0/networks").body["networks"])


def template(resources: dict[str, Any], outputs: Any = None, **more: Any) -> dict[str, Any]:
    """A template of these sections."""
    return {"heat_template_version": VERSION, "resources": resources, "outputs": outputs or {}, **more}


def thing(value: str = "x", **properties: Any) -> dict[str, Any]:
    """A TestResource."""
    needs = {"depends_on": properties.pop("depends_on")} if "depends_on" in properties else {}
    return {"type": "OS::Heat::TestResource", "properties": {"value": value, **properties}, **needs}


@pytest.fixture(scope="module")  # two clouds in one process would call each other
def cloud_of_stacks() -> Iterator[Cloud]:
    with running_cloud() as cloud: yield cloud


@pytest.fixture
def stacks(cloud_of_stacks: Cloud) -> Iterator[Stacks]:
    """Fails if the test leaves a stack that can't be deleted, or anything behind."""
    found = Stacks(cloud_of_stacks)
    yield found
    for one in found.ask("GET", "/stacks").body["stacks"]: found.remove(one["stack_name"])
    assert found.networks() == []
