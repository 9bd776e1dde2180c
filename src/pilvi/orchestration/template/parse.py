"""A template as values: its sections, checked, not yet resolved.

Source: Template Guide, "Heat Orchestration Template (HOT) specification". Templates of CloudFormation are translated first.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pilvi.orchestration.errors import TemplateInvalid
from pilvi.orchestration.template import cloudformation
from pilvi.orchestration.template.parameters import Parameter, parse_parameter
from pilvi.orchestration.template.versions import has_conditions, version_of

SECTIONS = {"heat_template_version", "description", "parameters", "parameter_groups", "resources", "outputs"}
RESOURCE_KEYS = {"type", "properties", "metadata", "depends_on", "deletion_policy", "update_policy", "description", "external_id"}
OUTPUT_KEYS = {"value", "description"}
POLICIES = {"delete": "Delete", "retain": "Retain", "snapshot": "Snapshot"}
RESOURCES_MOST = 1000


@dataclass(frozen=True)
class Definition:
    """A resource as the template writes it; properties and metadata hold functions."""
    name: str
    type: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    metadata: Any = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    deletion_policy: Any = "Delete"
    update_policy: Mapping[str, Any] = field(default_factory=dict)
    condition: Any = True
    external_id: Any = None
    description: str = ""


@dataclass(frozen=True)
class Output:
    """An output as the template writes it."""
    name: str
    value: Any
    description: str = ""
    condition: Any = True


@dataclass(frozen=True)
class Template:
    """A parsed template. `raw` is what was given."""
    version: str
    raw: Mapping[str, Any]
    description: str = "No description"
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    groups: tuple[dict[str, Any], ...] = ()
    conditions: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, Definition] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)


EMPTY = {"heat_template_version": "2013-05-23"}
"""The template of a stack that is to hold nothing."""


def parse(raw: Any) -> Template:
    """Raises TemplateInvalid, VersionInvalid."""
    if not isinstance(raw, Mapping): raise TemplateInvalid(reason="The template is not a JSON object or YAML mapping.")
    written: Mapping[str, Any]
    if "heat_template_version" in raw: version, written = version_of(raw["heat_template_version"]), raw
    else: version, written = cloudformation.translate(raw)
    modern = has_conditions(version)
    sections = SECTIONS | {"conditions"} if modern else SECTIONS
    for name in written:
        if name not in sections: raise TemplateInvalid(reason=f'The template section is invalid: "{name}"')
    description = written.get("description")
    parameters = {name: parse_parameter(name, one, version) for name, one in _section(written, "parameters").items()}
    return Template(version, raw, "No description" if description is None else str(description).rstrip("\n") or "No description",
                    parameters, _groups(written, parameters), _section(written, "conditions"),
                    _resources(written, modern), _outputs(written, modern))


def _section(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = raw.get(name)
    if found is None: return {}
    if not isinstance(found, Mapping):
        raise TemplateInvalid(reason=f'The "{name}" section must be a mapping, not {type(found).__name__}: "{name}" must contain a map of '
                                     f"{name.rstrip('s')} maps.")
    for key in found:
        if not isinstance(key, str): raise TemplateInvalid(reason=f'Names in "{name}" are text: {key!r:.80} is not')
    return found


def _resources(raw: Mapping[str, Any], modern: bool) -> dict[str, Definition]:
    written = _section(raw, "resources")
    if len(written) > RESOURCES_MOST: raise TemplateInvalid(reason=f"You have reached the maximum resources per stack, {RESOURCES_MOST}.")
    found = {name: _resource(name, one, modern) for name, one in written.items()}
    for definition in found.values():
        for other in definition.depends_on:
            if other not in found:
                raise TemplateInvalid(reason=f'The specified reference "{other}" (in {definition.name}) is incorrect.')
    return found


def _resource(name: str, one: Any, modern: bool) -> Definition:
    if not isinstance(one, Mapping): raise TemplateInvalid(reason=f'"resources" must contain a map of resource maps. Found a '
                                                                 f"[{type(one).__name__}] instead at resources.{name}")
    if "/" in name or not name: raise TemplateInvalid(reason=f'Resource name "{name}" may not contain "/"')
    allowed = RESOURCE_KEYS | {"condition"} if modern else RESOURCE_KEYS
    for key in one:
        if key in allowed: continue
        raise TemplateInvalid(reason=f'"{key}" is not a valid keyword inside a resource definition (resources.{name})')
    kind = one.get("type")
    if not isinstance(kind, str) or not kind: raise TemplateInvalid(reason=f"Resource {name} type must be a string, and not empty")
    needs = one.get("depends_on") or []
    needs = [needs] if isinstance(needs, str) else needs
    if not isinstance(needs, list) or not all(isinstance(other, str) for other in needs):
        raise TemplateInvalid(reason=f"Resource {name} depends_on must be a resource's name or a list of them")
    parts = {}
    for key in ("properties", "metadata", "update_policy"):
        part = one.get(key)
        if part is not None and not isinstance(part, Mapping):
            raise TemplateInvalid(reason=f"Resource {name} {key} type must be a mapping, not {type(part).__name__}")
        parts[key] = part or {}
    return Definition(name, kind, parts["properties"], parts["metadata"], tuple(needs), deletion_policy(name, one.get("deletion_policy")),
                      parts["update_policy"], one.get("condition", True), one.get("external_id"), str(one.get("description") or ""))


def deletion_policy(name: str, written: Any) -> Any:
    """Delete, Retain or Snapshot; a function is left to be resolved. Raises TemplateInvalid."""
    if written is None: return "Delete"
    if isinstance(written, Mapping): return written
    if str(written).lower() not in POLICIES: raise TemplateInvalid(reason=f'Invalid deletion policy "{written}" (resources.{name})')
    return POLICIES[str(written).lower()]


def _outputs(raw: Mapping[str, Any], modern: bool) -> dict[str, Output]:
    found = {}
    allowed = OUTPUT_KEYS | {"condition"} if modern else OUTPUT_KEYS
    for name, one in _section(raw, "outputs").items():
        if not isinstance(one, Mapping):
            raise TemplateInvalid(reason=f"Output {name} must be a mapping, found a {type(one).__name__} instead")
        for key in one:
            if key in allowed: continue
            raise TemplateInvalid(reason=f'"{key}" is not a valid keyword inside an output definition (outputs.{name})')
        if "value" not in one: raise TemplateInvalid(reason=f'Each output definition must contain a value key: "{name}" does not')
        said = one.get("description")
        found[name] = Output(name, one["value"], "No description given" if said is None else str(said), one.get("condition", True))
    return found


def _groups(raw: Mapping[str, Any], parameters: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    groups = raw.get("parameter_groups") or []
    if not isinstance(groups, list): raise TemplateInvalid(reason="Parameter Groups error: The parameter_groups should be a list.")
    seen: set[str] = set()
    for group in groups:
        if not isinstance(group, Mapping): raise TemplateInvalid(reason="Parameter Groups error: Each parameter_group should be a mapping.")
        label = group.get("label") or "Parameter Group"
        names = group.get("parameters")
        if names is None: raise TemplateInvalid(reason=f"Parameter Groups error: {label} : The grouped parameters must be provided.")
        if not isinstance(names, list): raise TemplateInvalid(reason=f"Parameter Groups error: {label} : Its parameters are a list.")
        for name in map(str, names):
            if name in seen: raise TemplateInvalid(reason=f"Parameter Groups error: {label} : The {name} parameter must be assigned to one "
                                                          "parameter group only.")
            if name not in parameters: raise TemplateInvalid(reason=f"Parameter Groups error: {label} : The grouped parameter {name} does "
                                                                    "not reference a valid parameter.")
            seen.add(name)
    return tuple(dict(group) for group in groups)
