"""Deployments: a config with its inputs goes to a server, which signals when it has carried it out.

The config that the server sees is one of the deployment's own: the inputs are in it, together with the address to signal to. How the server
comes by it: the metadata of its resource (`deployments`).

Source: Template Guide, "Software deployment resources".
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pilvi.core.errors import Failure, NotFound
from pilvi.orchestration.errors import TemplateInvalid
from pilvi.orchestration.template.schema import AllowedValues, Length
from pilvi.orchestration.types.heat.group import VERSION, Group
from pilvi.orchestration.types.heat.nested import engine_of
from pilvi.orchestration.types.heat.software_config import PATH as CONFIGS
from pilvi.orchestration.types.interface import MAP, Attribute, Child, Place, Property, ResourceType, Work, list_of, string

PATH = "/v1/software_deployments"
ACTIONS = AllowedValues(("CREATE", "UPDATE", "DELETE", "SUSPEND", "RESUME"))
TRANSPORTS = AllowedValues(("CFN_SIGNAL", "TEMP_URL_SIGNAL", "HEAT_SIGNAL", "NO_SIGNAL", "ZAQAR_SIGNAL"))
IN_PROGRESS, COMPLETE, FAILED = "IN_PROGRESS", "COMPLETE", "FAILED"
COMMON = {
    "config": string("ID of software configuration resource to execute when applying to the server.", update=True),
    "input_values": Property(MAP, "Input values to apply to the software configuration on this server.", update=True),
    "actions": list_of(string("", constraints=(ACTIONS,)), "Which lifecycle actions of the deployment resource will result in this "
                       "deployment being triggered.", default=["CREATE", "UPDATE"], update=True),
    "name": string("Name of the derived config associated with this deployment."),
    "signal_transport": string("How the server should signal to heat with the deployment output values.", default="CFN_SIGNAL",
                               constraints=(TRANSPORTS,))}


class DeploymentFailed(Failure):
    """Deployment to server failed: {reason}"""


class SoftwareDeployment(ResourceType):
    """One config on one server."""
    name = "OS::Heat::SoftwareDeployment"
    description = "This resource associates a server with some configuration."
    longest_wait_seconds = 5.0  # a signal wakes it
    properties = {**COMMON, "server": string("ID of resource to apply configuration to.", required=True, constraints=(Length(1),))}
    attributes = {
        "deploy_stdout": Attribute("Captured stdout from the configuration execution."),
        "deploy_stderr": Attribute("Captured stderr from the configuration execution."),
        "deploy_status_code": Attribute("Returned status code from the configuration execution.")}

    def more_attributes(self, name: str) -> bool:
        return True  # the config's outputs

    # -- the life

    def create(self, work: Work) -> None:
        self._deploy(work, "CREATE")

    def created(self, work: Work) -> bool:
        return self._carried_out(work)

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        self._deploy(work, "UPDATE")

    def updated(self, work: Work, changes: Mapping[str, Any]) -> bool:
        return self._carried_out(work)

    def suspend(self, work: Work) -> None:
        self._deploy(work, "SUSPEND")

    def suspended(self, work: Work) -> bool:
        return self._carried_out(work)

    def resume(self, work: Work) -> None:
        self._deploy(work, "RESUME")

    def resumed(self, work: Work) -> bool:
        return self._carried_out(work)

    def delete(self, work: Work) -> None:
        if work.physical_id and "DELETE" in work.properties["actions"]: self._deploy(work, "DELETE")

    def deleted(self, work: Work) -> bool:
        if not work.physical_id: return True
        if "DELETE" in work.properties["actions"] and not self._carried_out(work): return False
        for path in (f"{PATH}/{work.physical_id}", f"{CONFIGS}/{work.data.get('config_id', '')}"):
            try: work.ask("orchestration", "DELETE", path)
            except (NotFound, Failure): continue
        return True

    def check(self, work: Work) -> None:
        work.ask("orchestration", "GET", f"{PATH}/{work.physical_id}")

    def given_up(self, work: Work) -> None:
        if work.physical_id and work.properties["signal_transport"] != "NO_SIGNAL":
            self._write(work, {"status": FAILED, "status_reason": "Deployment cancelled."})

    def _deploy(self, work: Work, action: str) -> None:
        old = work.data.get("config_id")
        if action not in (work.properties["actions"] or ()):
            if work.physical_id: return
            body = {"action": "INIT", "status": COMPLETE, "status_reason": "Not waiting for outputs signal"}
        else:
            waits = work.properties["signal_transport"] != "NO_SIGNAL"
            body = {"action": action, "status": IN_PROGRESS if waits else COMPLETE,
                    "status_reason": "Deploy data available" if waits else "Not waiting for outputs signal"}
        config = work.ask("orchestration", "POST", CONFIGS, self._derived(work, action))["software_config"]["id"]
        if work.physical_id: self._write(work, {**body, "config_id": config, "output_values": None})
        else:
            # The row's id is the deployment's: a second make finds the first.
            whole = {**body, "config_id": config, "server_id": work.properties["server"], "deployment_id": work.resource_id}
            made = self._known(work) or work.ask("orchestration", "POST", PATH, whole)["software_deployment"]
            work.physical_id = made["id"]
        work.data["config_id"] = config
        if old:
            try: work.ask("orchestration", "DELETE", f"{CONFIGS}/{old}")
            except NotFound: pass

    def _known(self, work: Work) -> dict[str, Any] | None:
        if not work.again: return None
        try: return dict(work.ask("orchestration", "GET", f"{PATH}/{work.resource_id}")["software_deployment"])
        except NotFound: return None

    def _write(self, work: Work, body: dict[str, Any]) -> None:
        work.ask("orchestration", "PUT", f"{PATH}/{work.physical_id}", body)

    def _carried_out(self, work: Work) -> bool:
        if not work.physical_id: return True
        found = work.ask("orchestration", "GET", f"{PATH}/{work.physical_id}")["software_deployment"]
        if found["status"] == FAILED: raise DeploymentFailed(reason=found["status_reason"] or "Unknown")
        return bool(found["status"] == COMPLETE)

    # -- the config as the server sees it

    def _source(self, work: Work) -> dict[str, Any]:
        """The config that was named, or an empty one."""
        named = work.properties["config"]
        if not named: return {"group": "Heat::Ungrouped", "config": "", "inputs": [], "outputs": [], "options": {}}
        return dict(work.ask("orchestration", "GET", f"{CONFIGS}/{named}")["software_config"])

    def _derived(self, work: Work, action: str) -> dict[str, Any]:
        source = self._source(work)
        given = dict(work.properties["input_values"] or {})
        inputs = []
        for one in source["inputs"]:
            value = given.pop(one["name"], one.get("default"))
            inputs.append({**one, "value": value})
        inputs += [{"name": name, "type": "String" if isinstance(value, str) else "Json", "value": value} for name, value in given.items()]
        inputs += self._deploy_inputs(work, action)
        return {"name": work.properties["name"] or work.physical_name, "group": source["group"], "options": source["options"],
                "outputs": source["outputs"], "inputs": inputs, "config": self.config_of(source, inputs, action)}

    def config_of(self, source: Mapping[str, Any], inputs: list[dict[str, Any]], action: str) -> Any:
        """The text that goes to the server."""
        if source["group"] == "component":
            return next((one["config"] for one in (source["config"] or {}).get("configs", ()) if action in one["actions"]), "")
        return source["config"]

    def _deploy_inputs(self, work: Work, action: str) -> list[dict[str, Any]]:
        said = {"deploy_server_id": (work.properties["server"], "ID of the server being deployed to"),
                "deploy_action": (action, "Name of the current action being deployed"),
                "deploy_stack_id": (f"{work.stack_name}/{work.stack_id}", "ID of the stack this deployment belongs to"),
                "deploy_resource_name": (work.name, "Name of this deployment resource in the stack"),
                "deploy_signal_transport": (work.properties["signal_transport"], "How the server should signal to heat with the deployment "
                                                                                 "output values.")}
        if work.properties["signal_transport"] != "NO_SIGNAL":
            said["deploy_signal_id"] = (engine_of(work).signal_url(work), "ID of signal to use for signaling output values")
            said["deploy_signal_verb"] = ("POST", "HTTP verb to use for signaling output values")
        return [{"name": name, "type": "String", "value": value, "description": text} for name, (value, text) in said.items()]

    # -- what comes back

    def signal(self, work: Work, details: Any) -> str | None:
        details = _unpacked(details)
        # The deployment may be quicker than the row that is to hold its id, which is the resource's.
        work.physical_id = work.physical_id or work.resource_id
        found = work.ask("orchestration", "GET", f"{PATH}/{work.physical_id}")["software_deployment"]
        if found["status"] != IN_PROGRESS: return f"Deployment is {found['status']} already"
        config = work.ask("orchestration", "GET", f"{CONFIGS}/{found['config_id']}")["software_config"]
        outputs = dict(found["output_values"] or {})
        wrong: dict[str, Any] = {}
        for one in config["outputs"]:
            if one["name"] in details:
                outputs[one["name"]] = details[one["name"]]
                if one.get("error_output"): wrong[one["name"]] = details[one["name"]]
        for name in ("deploy_stdout", "deploy_stderr", "deploy_status_code"): outputs[name] = details.get(name)
        if outputs["deploy_status_code"] not in (None, 0, "0"):
            wrong["deploy_status_code"] = f"Deployment exited with non-zero status code: {outputs['deploy_status_code']}"
        reason = ", ".join(f"{name} : {value}" for name, value in wrong.items()) if wrong else "Outputs received"
        self._write(work, {"output_values": outputs, "status": FAILED if wrong else COMPLETE, "status_reason": reason[:4000]})
        return f"deployment {'failed' if wrong else 'succeeded'}"

    def attribute(self, work: Work, name: str) -> Any:
        found = work.ask("orchestration", "GET", f"{PATH}/{work.physical_id}")["software_deployment"]
        return found if name == "show" else (found["output_values"] or {}).get(name)


def _unpacked(details: Any) -> dict[str, Any]:
    """A signal's outputs; cfn clients wrap them in Data."""
    if isinstance(details, Mapping) and isinstance(details.get("Data"), str) and "Status" in details:
        try: details = msgspec.json.decode(details["Data"])
        except msgspec.DecodeError: details = {}
    return dict(details) if isinstance(details, Mapping) else {}


class StructuredDeployment(SoftwareDeployment):
    """Fills in {get_input: NAME} in a structured config."""
    name = "OS::Heat::StructuredDeployment"
    description = "A resource which has same logic with OS::Heat::SoftwareDeployment, for structured configs."
    properties = {
        **SoftwareDeployment.properties,
        "input_key": string("Name of key to use for substituting inputs during deployment.", default="get_input"),
        "input_values_validate": string("Perform a check on the input values passed to verify that each required input has a corresponding "
                                        "value.", default="LAX", constraints=(AllowedValues(("LAX", "STRICT")),))}

    def config_of(self, source: Mapping[str, Any], inputs: list[dict[str, Any]], action: str) -> Any:
        return filled(source["config"], {one["name"]: one.get("value") for one in inputs}, "get_input")


def filled(value: Any, inputs: Mapping[str, Any], key: str) -> Any:
    """The value with {key: NAME} replaced by inputs."""
    if isinstance(value, Mapping):
        if len(value) == 1 and key in value: return inputs.get(str(value[key]))
        return {name: filled(one, inputs, key) for name, one in value.items()}
    return [filled(one, inputs, key) for one in value] if isinstance(value, list) else value


class SoftwareDeploymentGroup(Group):
    """One config on several servers."""
    name = "OS::Heat::SoftwareDeploymentGroup"
    description = "This resource associates a group of servers with some configuration."
    since = "5.0.0"
    member = "OS::Heat::SoftwareDeployment"
    properties = {**COMMON, "servers": Property(MAP, "A map of names and server IDs to apply configuration to.", required=True,
                                                update=True)}
    attributes = {
        "deploy_stdouts": Attribute("A map of Nova names and captured stdouts from the configuration execution to each server.", MAP),
        "deploy_stderrs": Attribute("A map of Nova names and captured stderrs from the configuration execution to each server.", MAP),
        "deploy_status_codes": Attribute("A map of Nova names and returned status code from the configuration execution.", MAP)}

    def child(self, name: str, properties: Mapping[str, Any], place: Place, data: Mapping[str, Any]) -> Child:
        servers = properties["servers"] or {}
        if not isinstance(servers, Mapping): raise TemplateInvalid(reason="servers must be a map of names and server ids")
        given = {key: value for key, value in properties.items() if key != "servers" and value is not None}
        made = {str(one): {"type": self.member, "properties": {**given, "server": server}} for one, server in servers.items()}
        return Child({"heat_template_version": VERSION, "resources": made}, {}, place.environment.within(name))

    def attribute_at(self, work: Work, name: str, path: list[Any]) -> Any:
        if name in self.attributes: return {one.name: self.of(work, one.name, name.removesuffix("s"), path) for one in self.members(work)}
        return super().attribute_at(work, name, path)


class SoftwareDeployments(SoftwareDeploymentGroup):
    """The older name."""
    name = "OS::Heat::SoftwareDeployments"


class StructuredDeploymentGroup(SoftwareDeploymentGroup):
    """One structured config on several servers."""
    name = "OS::Heat::StructuredDeploymentGroup"
    description = "This resource associates a group of servers with some structured configuration."
    member = "OS::Heat::StructuredDeployment"
    properties = {**SoftwareDeploymentGroup.properties, "input_key": StructuredDeployment.properties["input_key"],
                  "input_values_validate": StructuredDeployment.properties["input_values_validate"]}


class StructuredDeployments(StructuredDeploymentGroup):
    """The older name."""
    name = "OS::Heat::StructuredDeployments"


class DeployedServer(ResourceType):
    """A machine that somebody else has installed: it only gets deployments."""
    name = "OS::Heat::DeployedServer"
    description = "A resource for managing servers that are already deployed."
    since = "8.0.0"
    properties = {
        "name": string("Server name.", update=True),
        "metadata": Property(MAP, "Arbitrary key/value metadata to store for this server.", update=True),
        "software_config_transport": string("How the server should receive the metadata required for software configuration.",
                                            default="POLL_SERVER_HEAT", update=True),
        "deployment_swift_data": Property(MAP, "Swift container and object to use for storing deployment data.", default={}, update=True)}
    attributes = {"name": Attribute("Name of the server."), "os_collect_config": Attribute("The os-collect-config configuration.", MAP)}

    def create(self, work: Work) -> None:
        work.physical_id = work.resource_id
        work.metadata.setdefault("deployments", [])

    def attribute(self, work: Work, name: str) -> Any:
        if name == "name": return work.properties["name"] or work.physical_name
        return {"deployments": work.metadata.get("deployments", [])}


