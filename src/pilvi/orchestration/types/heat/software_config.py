"""Configs for servers: SoftwareConfig, StructuredConfig, SoftwareComponent, CloudConfig, MultipartMime. Each is one config in the API.

Source: Template Guide, "Software configuration".
"""
from __future__ import annotations

from collections.abc import Mapping
from email import message_from_string
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import yaml

from pilvi.core.errors import NotFound
from pilvi.orchestration.template.schema import AllowedValues
from pilvi.orchestration.types.interface import ANY, LIST, MAP, Attribute, Property, ResourceType, Work, boolean, list_of, map_of, string

PATH = "/v1/software_configs"
IO_TYPES = AllowedValues(("String", "Number", "CommaDelimitedList", "Json", "Boolean"))
INPUTS = list_of(map_of({
    "name": string("Name of the input.", required=True), "description": string("Description of the input."),
    "type": string("Type of the value of the input.", default="String", constraints=(IO_TYPES,)),
    "default": Property(ANY, "Default value for the input if none is specified."),
    "replace_on_change": boolean("Replace the deployment when the value of this input changes.", default=False)}),
    "Schema representing the inputs that this software config is expecting.", default=[])
OUTPUTS = list_of(map_of({
    "name": string("Name of the output.", required=True), "description": string("Description of the output."),
    "type": string("Type of the value of the output.", default="String", constraints=(IO_TYPES,)),
    "error_output": boolean("Denotes that the deployment is in an error state if this output has a value.", default=False)}),
    "Schema representing the outputs that this software config will produce.", default=[])


class Config(ResourceType):
    """What they share: the API keeps the text."""
    attributes = {"config": Attribute("The config value of the software config.")}
    group = "Heat::Ungrouped"

    def text(self, work: Work) -> Any:
        """The config itself."""
        return work.properties["config"]

    def body(self, work: Work) -> dict[str, Any]:
        """What the API is told."""
        given = work.properties
        return {"name": work.physical_name, "group": given.get("group") or self.group, "config": self.text(work),
                "inputs": given.get("inputs") or [], "outputs": given.get("outputs") or [], "options": given.get("options") or {}}

    def create(self, work: Work) -> None:
        if work.physical_id: return
        if work.again:
            known = work.ask("orchestration", "GET", PATH)["software_configs"]
            work.physical_id = next((one["id"] for one in known if one["name"] == work.physical_name), None)
        if not work.physical_id: work.physical_id = work.ask("orchestration", "POST", PATH, self.body(work))["software_config"]["id"]

    def delete(self, work: Work) -> None:
        if not work.physical_id: return
        try: work.ask("orchestration", "DELETE", f"{PATH}/{work.physical_id}")
        except NotFound: pass

    def check(self, work: Work) -> None:
        work.ask("orchestration", "GET", f"{PATH}/{work.physical_id}")

    def attribute(self, work: Work, name: str) -> Any:
        found = work.ask("orchestration", "GET", f"{PATH}/{work.physical_id}")["software_config"]
        return found if name == "show" else found["config"]


class SoftwareConfig(Config):
    """A script or any other text."""
    name = "OS::Heat::SoftwareConfig"
    description = "A resource for describing and storing software configuration."
    properties = {
        "group": string("Namespace to group this software config by when delivered to a server.", default="Heat::Ungrouped"),
        "config": string("Configuration script or manifest which specifies what actual configuration is performed."),
        "options": Property(MAP, "Map containing options specific to the configuration management tool used by this resource."),
        "inputs": INPUTS, "outputs": OUTPUTS}


class StructuredConfig(Config):
    """A map instead of a text; {get_input: NAME} in it is filled in by the deployment."""
    name = "OS::Heat::StructuredConfig"
    description = "A resource which has same logic with OS::Heat::SoftwareConfig, with a map as its config."
    properties = {**SoftwareConfig.properties, "config": Property(MAP, "Map representing the configuration data structure.")}


class SoftwareComponent(Config):
    """Several configs, each for some of a deployment's actions."""
    name = "OS::Heat::SoftwareComponent"
    description = "A resource for describing and storing a software component."
    group = "component"
    properties = {
        "configs": list_of(map_of({
            "actions": list_of(string(), "Lifecycle actions to which the configuration applies.", default=["CREATE", "UPDATE"]),
            "config": string("Configuration script or manifest."),
            "tool": string("The configuration tool used to actually apply the configuration on a server.", required=True)}),
            "The list of configurations for the different lifecycle actions of the represented software component.", required=True),
        "options": Property(MAP, "Map containing options specific to the configuration management tool used by this resource."),
        "inputs": INPUTS, "outputs": OUTPUTS}
    attributes = {"configs": Attribute("The configs of the software component.", LIST)}

    def text(self, work: Work) -> Any:
        return {"configs": work.properties["configs"]}

    def attribute(self, work: Work, name: str) -> Any:
        found = super().attribute(work, name)
        return found if name == "show" else found["configs"]


class CloudConfig(Config):
    """A cloud-init config from a map."""
    name = "OS::Heat::CloudConfig"
    description = "A configuration resource for representing cloud-init cloud-config."
    properties = {"cloud_config": Property(MAP, "Map representing the cloud-config data structure which will be formatted as YAML.")}

    def text(self, work: Work) -> Any:
        return "#cloud-config\n" + yaml.safe_dump(work.properties["cloud_config"] or {}, default_flow_style=False, sort_keys=False)


class MultipartMime(Config):
    """Several configs as one MIME message, as cloud-init takes it."""
    name = "OS::Heat::MultipartMime"
    description = "Assembles a collection of software configurations as a multi-part mime message."
    properties = {"parts": list_of(map_of({
        "config": string("Content of part to attach, either inline or by referencing the ID of another software config resource.",
                         required=True),
        "filename": string("Optional filename to associate with part."),
        "type": string("Whether the part content is text or multipart.", default="text",
                       constraints=(AllowedValues(("text", "multipart")),)),
        "subtype": string("Optional subtype to specify with the type.")}), "Parts belonging to this message.", default=[])}

    def text(self, work: Work) -> Any:
        whole = MIMEMultipart()
        for part in work.properties["parts"] or ():
            config = self._content(work, part["config"])
            if part["type"] == "multipart": _attach_parts(whole, config)
            else: whole.attach(_part(config, part["subtype"] or subtype_of(config), part["filename"]))
        return whole.as_string()

    def _content(self, work: Work, config: str) -> str:
        """A part's text: what is a config's id stands for its text."""
        if len(config) != 36 or config.count("-") != 4: return config
        try: return str(work.ask("orchestration", "GET", f"{PATH}/{config}")["software_config"]["config"])
        except NotFound: return config


def _part(text: str, subtype: str, filename: str | None) -> Message:
    part = MIMEText(text, subtype, "us-ascii" if text.isascii() else "utf-8")
    if filename: part.add_header("Content-Disposition", "attachment", filename=filename)
    return part


def _attach_parts(whole: MIMEMultipart, text: str) -> None:
    inner = message_from_string(text)
    for part in inner.walk():
        if not part.is_multipart(): whole.attach(part)


def subtype_of(text: str) -> str:
    """What cloud-init calls a text of this kind."""
    starts: Mapping[str, str] = {"#!": "x-shellscript", "#cloud-config": "cloud-config", "#include": "x-include-url",
                                 "#upstart-job": "upstart-job", "#part-handler": "part-handler", "#cloud-boothook": "cloud-boothook"}
    return next((kind for start, kind in starts.items() if text.startswith(start)), "plain")
