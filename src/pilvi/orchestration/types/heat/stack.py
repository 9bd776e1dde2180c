"""OS::Heat::Stack: a stack of its own, made through the public API; OS::Heat::AccessPolicy.

Source: Template Guide, "OS::Heat::Stack", "OS::Heat::AccessPolicy".
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.core.errors import NotFound
from pilvi.orchestration.types.interface import (
    MAP,
    Attribute,
    Property,
    PropertyInvalid,
    ResourceFailed,
    ResourceType,
    Work,
    integer,
    list_of,
    map_of,
    string,
)


class RemoteStack(ResourceType):
    """A stack in the same region; it appears in the list of stacks like any other."""
    name = "OS::Heat::Stack"
    description = "A Resource representing a stack."
    longest_wait_seconds = 3.0
    properties = {
        "context": map_of({
            "region_name": string("Region name in which this stack will be created."),
            "credential_secret_id": string("A Barbican secret ID. This cloud has one region and no secrets service."),
            "ca_cert": string("Optional CA certificate."),
            "insecure": Property("boolean", "If set, then the server's certificate is not verified.")},
            "Context for this stack."),
        "template": string("Template that specifies the stack to be created as a resource.", required=True, update=True),
        "timeout": integer("Number of minutes to wait for this stack creation.", update=True),
        "parameters": Property(MAP, "Set of parameters passed to this stack.", default={}, update=True)}
    attributes = {"stack_name": Attribute("Name of the stack."),
                  "outputs": Attribute("A dict of key-value pairs output from the stack.", MAP)}

    def validate(self, properties: Mapping[str, Any]) -> None:
        if (properties["context"] or {}).get("credential_secret_id"):
            raise PropertyInvalid(path="context.credential_secret_id", reason="this cloud has no secrets service")

    def create(self, work: Work) -> None:
        if work.physical_id: return
        if work.again:
            found = work.ask("orchestration", "GET", "/v1/stacks", name=self._name(work))["stacks"]
            if found:
                work.physical_id = found[0]["id"]
                return
        whole = {**self._body(work), "stack_name": self._name(work)}
        work.physical_id = work.ask("orchestration", "POST", "/v1/stacks", whole)["stack"]["id"]

    def _name(self, work: Work) -> str:
        return work.physical_name

    def _body(self, work: Work) -> dict[str, Any]:
        given = work.properties
        files = dict(work.place.files) if work.place else {}
        environment = work.place.environment.within(work.name).stored() if work.place else {}
        return {"template": given["template"], "files": files, "environment": {**environment, "parameters": {}},
                "parameters": given["parameters"] or {}, "timeout_mins": given["timeout"], "disable_rollback": True}

    def created(self, work: Work) -> bool:
        return self._settled(work)

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        work.ask("orchestration", "PUT", self._path(work), self._body(work))

    def updated(self, work: Work, changes: Mapping[str, Any]) -> bool:
        return self._settled(work)

    def delete(self, work: Work) -> None:
        if not work.physical_id: return
        try: work.ask("orchestration", "DELETE", self._path(work))
        except NotFound: pass

    def deleted(self, work: Work) -> bool:
        if not work.physical_id: return True
        try: found = self._shown(work)
        except NotFound: return True
        if found["stack_status"] == "DELETE_FAILED": raise ResourceFailed(status="DELETE_FAILED", reason=found["stack_status_reason"])
        return bool(found["stack_status"] == "DELETE_COMPLETE")

    def check(self, work: Work) -> None:
        self._act(work, "check")

    def checked(self, work: Work) -> bool:
        return self._settled(work)

    def suspend(self, work: Work) -> None:
        self._act(work, "suspend")

    def suspended(self, work: Work) -> bool:
        return self._settled(work)

    def resume(self, work: Work) -> None:
        self._act(work, "resume")

    def resumed(self, work: Work) -> bool:
        return self._settled(work)

    def _act(self, work: Work, action: str) -> None:
        work.ask("orchestration", "POST", self._path(work) + "/actions", {action: None})

    def _settled(self, work: Work) -> bool:
        found = self._shown(work)
        status = found["stack_status"]
        if status.endswith("_IN_PROGRESS"): return False
        if status.endswith("_FAILED"): raise ResourceFailed(status=status, reason=found["stack_status_reason"])
        return True

    def _path(self, work: Work) -> str:
        return f"/v1/stacks/{self._name(work)}/{work.physical_id}"

    def _shown(self, work: Work, *, outputs: bool = False) -> dict[str, Any]:
        return dict(work.ask("orchestration", "GET", self._path(work), resolve_outputs=str(outputs).lower())["stack"])

    def failed_needs_replacement(self, work: Work) -> bool:
        return not work.physical_id or work.gone("orchestration", self._path(work))

    def attribute(self, work: Work, name: str) -> Any:
        if name == "stack_name": return self._name(work)
        found = self._shown(work, outputs=True)
        return found if name == "show" else {one["output_key"]: one.get("output_value") for one in found.get("outputs", ())}


class AccessPolicy(ResourceType):
    """Names resources whose metadata a user may read; here anybody of the project may, so it only says so."""
    name = "OS::Heat::AccessPolicy"
    description = "Resource for defining which resources can be accessed by users."
    local = True
    properties = {"AllowedResources": list_of(string(), "Resources that users are allowed to access by the DescribeStackResource API.",
                                              required=True)}

    def create(self, work: Work) -> None:
        work.physical_id = work.physical_name


