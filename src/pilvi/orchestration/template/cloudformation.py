"""Templates of CloudFormation, as HOT would write their sections; their functions stay as they are, `functions.py` knows them.

Source: Template Guide, "CloudFormation-compatible functions"; AWS CloudFormation User Guide, "Template anatomy".
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from pilvi.orchestration.errors import TemplateInvalid
from pilvi.orchestration.template.values import FunctionInvalid
from pilvi.orchestration.template.versions import AWS, CFN

REGION = "ap-southeast-1"
"""What AWS::Region is unless the stack says otherwise; Heat's default."""
SECTIONS = {"Description": "description", "Parameters": "parameters", "Resources": "resources", "Outputs": "outputs"}
CONDITIONAL = {"Conditions": "conditions"}
"""In AWS's own version only."""
TYPES = {"String": "string", "Number": "number", "CommaDelimitedList": "comma_delimited_list", "Json": "json", "Boolean": "boolean"}
PARAMETER_KEYS = {"Default": "default", "NoEcho": "hidden", "Description": "description", "Label": "label"}
BOUNDS = {"MinLength": ("length", "min"), "MaxLength": ("length", "max"), "MinValue": ("range", "min"), "MaxValue": ("range", "max")}
LIMITS = {"AllowedValues": "allowed_values", "AllowedPattern": "allowed_pattern", "CustomConstraint": "custom_constraint"}
RESOURCE_KEYS = {"Type": "type", "Properties": "properties", "Metadata": "metadata", "DependsOn": "depends_on",
                 "DeletionPolicy": "deletion_policy", "UpdatePolicy": "update_policy", "Description": "description"}
OUTPUT_KEYS = {"Value": "value", "Description": "description"}
FIND = "Fn::FindInMap"


def translate(raw: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """(version, the sections as HOT names them). A lookup in a mapping carries the mappings along. Raises TemplateInvalid."""
    key = next((name for name in CFN if name in raw), None)
    if key is None: raise TemplateInvalid(reason="Template format version not found.")
    version = CFN[key]
    if str(raw[key]) != version:
        raise TemplateInvalid(reason=f'The template version is invalid: "{key}: {str(raw[key])[:40]}". "{key}" should be: {version}')
    mappings = _mappings(raw.get("Mappings") or {})
    sections = SECTIONS | CONDITIONAL if version == AWS else SECTIONS
    more = {"Condition": "condition"} if version == AWS else {}
    made: dict[str, Any] = {}
    for name, written in raw.items():
        if name in (key, "Mappings"): continue
        if name not in sections: raise TemplateInvalid(reason=f'The template section is invalid: "{name}"')
        made[sections[name]] = _with_mappings(written, mappings)
    made["parameters"] = _each(made.get("parameters"), _parameter)
    made["resources"] = _each(made.get("resources"), partial(_renamed, RESOURCE_KEYS | more))
    made["outputs"] = _each(made.get("outputs"), partial(_renamed, OUTPUT_KEYS | more))
    return version, made


def pseudo(ours: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that every stack has, under CloudFormation's names."""
    id, name = ours["OS::stack_id"], ours["OS::stack_name"]
    return {"AWS::StackId": f"arn:openstack:heat::{ours['OS::project_id']}:stacks/{name}/{id}", "AWS::StackName": name,
            "AWS::Region": REGION}


def find_in_map(given: Any, version: str) -> Any:
    """[mappings, name of one, key, key within it] → its value. Raises FunctionInvalid."""
    if not isinstance(given, list) or len(given) != 4: raise FunctionInvalid("[mapping, key, key] is needed")
    found: Any = given[0]
    for key in map(str, given[1:]):
        if not isinstance(found, Mapping) or key not in found: raise FunctionInvalid(f"There is no {'.'.join(map(str, given[1:]))}")
        found = found[key]
    return found


def _mappings(written: Any) -> Mapping[str, Any]:
    inner = [two for one in written.values() if isinstance(one, Mapping) for two in one.values()] if isinstance(written, Mapping) else []
    if not isinstance(written, Mapping) or not all(isinstance(one, Mapping) for one in (*written.values(), *inner)):
        raise TemplateInvalid(reason='"Mappings" must hold maps of maps')
    return {str(name): {str(key): dict(values) for key, values in one.items()} for name, one in written.items()}


def _with_mappings(value: Any, mappings: Mapping[str, Any]) -> Any:
    """Of a literal name only its mapping is carried."""
    if isinstance(value, Mapping):
        if len(value) == 1 and FIND in value and isinstance(value[FIND], list):
            arguments = [_with_mappings(one, mappings) for one in value[FIND]]
            name = arguments[0] if arguments and isinstance(arguments[0], str) else None
            return {FIND: [mappings if name is None else {name: mappings[name]} if name in mappings else {}, *arguments]}
        return {key: _with_mappings(one, mappings) for key, one in value.items()}
    return [_with_mappings(one, mappings) for one in value] if isinstance(value, list) else value


def _each(written: Any, made: Callable[[str, Mapping[str, Any]], dict[str, Any]]) -> Any:
    """What is no mapping is left to the parser, which says so."""
    if not isinstance(written, Mapping): return written
    return {name: made(name, one) if isinstance(one, Mapping) else one for name, one in written.items()}


def _renamed(keys: Mapping[str, str], name: str, written: Mapping[str, Any]) -> dict[str, Any]:
    for key in written:
        if key not in keys: raise TemplateInvalid(reason=f'"{key}" is not a valid keyword inside the definition of {name}')
    return {keys[key]: one for key, one in written.items()}


def _parameter(name: str, written: Mapping[str, Any]) -> dict[str, Any]:
    kind = written.get("Type")
    made: dict[str, Any] = {"type": TYPES.get(kind, kind) if isinstance(kind, str) else kind}
    said = {"description": written["ConstraintDescription"]} if "ConstraintDescription" in written else {}
    constraints: dict[str, dict[str, Any]] = {}
    for key, value in written.items():
        if key in PARAMETER_KEYS: made[PARAMETER_KEYS[key]] = value
        elif key in BOUNDS:
            kind, end = BOUNDS[key]
            constraints.setdefault(kind, {kind: {}, **said})[kind][end] = value
        elif key in LIMITS: constraints[key] = {LIMITS[key]: value, **said}
        elif key not in ("Type", "ConstraintDescription"): raise TemplateInvalid(reason=f"Invalid key '{key}' for parameter ({name})")
    return made | {"constraints": list(constraints.values())}
