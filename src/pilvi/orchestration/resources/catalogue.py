"""What the service knows: resource types, template versions and functions, build information; and whether a template is valid.

Source: Orchestration API, "Resource types", "Templates", "Build info", "Services".
"""
from __future__ import annotations

import fnmatch
from typing import Any

from pilvi.core.context import Call
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.resource import PERSONAS
from pilvi.orchestration import errors
from pilvi.orchestration.resources.stack_preview import _child
from pilvi.orchestration.resources.stack_request import BODY, planned, read, with_files
from pilvi.orchestration.stack.plan import Plan
from pilvi.orchestration.template import parameters, versions
from pilvi.orchestration.template.parse import RESOURCES_MOST
from pilvi.orchestration.types import TYPES, offered, type_of
from pilvi.orchestration.types.heat.nested import NestedType
from pilvi.orchestration.types.interface import ResourceType

RULES = {"build_info:build_info": Rule(PERSONAS["reader"]), "service:index": Rule(PERSONAS["admin"])}
PARAMETER_TYPES = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "list": "comma_delimited_list",
                   "map": "json", "any": "string"}


# -- templates


def validate(call: Call) -> dict[str, Any]:
    """POST /validate"""
    assert call.request is not None
    request = read(call)
    if request.template is None: raise errors.RequestInvalid(reason="No template specified")
    ignored = (call.request.one("ignore_errors") or "").split(",")
    for code in ignored:
        if code not in ("", "99001"): raise errors.RequestInvalid(reason=f'Invalid codes in "ignore_errors" : {code[:40]}')
    used = with_files(request.environment, request.files, request.template)
    made = planned(call, request.template, request.files, used, name="validate", stack_id="None", strict=False)
    _check_given(made)
    told = _validated(made)
    nested = _nested(call, made, [RESOURCES_MOST]) if (call.request.one("show_nested") or "false").lower() in ("true", "1") else {}
    if nested: told["NestedParameters"] = nested
    return told | {"Environment": used.shown()}


def _check_given(made: Plan) -> None:
    """Values that were given must fit, though not all need be given. Raises ParameterInvalid."""
    schema = {name: rules for name, rules in made.template.parameters.items() if name in made.environment.parameters}
    parameters.values_of(schema, {name: made.environment.parameters[name] for name in schema}, {}, {})


def _validated(made: Plan) -> dict[str, Any]:
    given = {**made.environment.defaults, **made.environment.parameters}
    told: dict[str, Any] = {"Description": made.template.description, "Parameters": {
        name: parameters.described(rules, made.values.values.get(name) if name in given else None)
        for name, rules in made.template.parameters.items()}}
    if made.template.groups: told["ParameterGroups"] = list(made.template.groups)
    return told


def _nested(call: Call, made: Plan, left: list[int]) -> dict[str, Any]:
    """`left`: how many resources the stack may still have, nested ones counted too."""
    left[0] -= len(made.resources)
    if left[0] < 0: raise errors.TooManyResources(most=RESOURCES_MOST)
    found = {}
    for name, one in made.resources.items():
        if not isinstance(one.type, NestedType): continue
        child = _child(call, made, one, "validate")
        if child is None: continue
        told = {"Type": one.definition.type, **_validated(child)}
        if deeper := _nested(call, child, left): told["NestedParameters"] = deeper
        found[name] = told
    return found


def list_versions(call: Call) -> dict[str, Any]:
    """GET /template_versions"""
    names = {dated: alias for alias, dated in versions.ALIASES.items()}
    found = []
    for version in versions.VERSIONS:
        aliases = [f"heat_template_version.{names[version]}"] if version in names else []
        found.append({"version": f"heat_template_version.{version}", "type": "hot", "aliases": aliases})
    found += [{"version": f"{key}.{version}", "type": "cfn", "aliases": []} for key, version in versions.CFN.items()]
    return {"template_versions": found}


def list_functions(call: Call, template_version: str) -> dict[str, Any]:
    """GET /template_versions/{version}/functions"""
    assert call.request is not None
    key, _, name = template_version.partition(".")
    if key == "heat_template_version" and versions.ALIASES.get(name, name) in versions.VERSIONS: version = versions.version_of(name)
    elif name and versions.CFN.get(key) == name: version = name
    else: raise errors.EntityUnknown(entity="Template with version", name=template_version)
    known = set(versions.functions(version))
    if (call.request.one("with_condition_func") or "false").lower() in ("true", "1"): known |= versions.condition_functions(version)
    return {"template_functions": [{"functions": one, "description": versions.DESCRIPTIONS[one]} for one in sorted(known)]}


# -- resource types


def list_types(call: Call) -> dict[str, Any]:
    """GET /resource_types"""
    assert call.request is not None
    named, described = call.request.one("name"), call.request.one("with_description")
    status = call.request.one("support_status")
    if status is not None and status not in ("SUPPORTED", "DEPRECATED", "UNSUPPORTED", "HIDDEN", "UNKNOWN"):
        raise errors.RequestInvalid(reason="Invalid support status, must be one of SUPPORTED, DEPRECATED, UNSUPPORTED, HIDDEN")
    names = [name for name in sorted(TYPES) if (not named or fnmatch.fnmatchcase(name, named) or named in name) and offered(type_of(name))]
    if status not in (None, "SUPPORTED"): names = []
    if (described or "false").lower() not in ("true", "1"): return {"resource_types": names}
    return {"resource_types": [{"resource_type": name, "description": type_of(name).description} for name in names]}


def _type(name: str) -> ResourceType:
    if name not in TYPES: raise errors.EntityUnknown(entity="Resource Type", name=name)
    kind = type_of(name)
    if not offered(kind): raise errors.TypeUnavailable(service=kind.requires_service, name=name)
    return kind


def show_type(call: Call, type_name: str) -> dict[str, Any]:
    """GET /resource_types/{name}"""
    kind = _type(type_name)
    told: dict[str, Any] = {
        "resource_type": kind.name, "attributes": {name: one.shown() for name, one in kind.attributes.items()},
        "properties": {name: one.shown() for name, one in kind.properties.items()},
        "support_status": {"status": "SUPPORTED", "version": kind.since, "message": None, "previous_status": None}}
    assert call.request is not None
    if (call.request.one("with_description") or "false").lower() in ("true", "1"): told["description"] = kind.description
    return told


def type_template(call: Call, type_name: str) -> dict[str, Any]:
    """GET /resource_types/{name}/template: a template whose parameters are the type's properties"""
    assert call.request is not None
    kind = _type(type_name)
    style = call.request.one("template_type") or "cfn"
    if style not in ("hot", "cfn"): raise errors.RequestInvalid(reason=f'Template type is not supported: "{style[:40]}"')
    if style == "cfn": return _cfn_template(kind)
    logical = kind.name.rpartition("::")[2]
    given = {name: {key: value for key, value in {
        "type": PARAMETER_TYPES[one.type], "description": one.description, "default": one.default if one.default is not None else None,
        "constraints": [limit.shown() for limit in one.constraints]}.items() if value not in (None, "", [])}
        for name, one in kind.properties.items()}
    return {"heat_template_version": "2016-10-14", "description": f"Initial template of {logical}", "parameters": given,
            "resources": {logical: {"type": kind.name, "properties": {name: {"get_param": name} for name in kind.properties}}},
            "outputs": {name: {"description": one.description, "value": {"get_attr": [logical, name]}}
                        for name, one in kind.attributes.items()}}


def _cfn_template(kind: ResourceType) -> dict[str, Any]:
    logical = kind.name.rpartition("::")[2]
    types = {"string": "String", "number": "Number", "boolean": "Boolean", "comma_delimited_list": "CommaDelimitedList", "json": "Json"}
    given = {}
    for name, one in kind.properties.items():
        told: dict[str, Any] = {"Type": types[PARAMETER_TYPES[one.type]]}
        if one.description: told["Description"] = one.description
        if one.default is not None: told["Default"] = one.default
        given[name] = told
    return {"HeatTemplateFormatVersion": "2012-12-12", "Description": f"Initial template of {logical}", "Parameters": given,
            "Resources": {logical: {"Type": kind.name, "Properties": {name: {"Ref": name} for name in kind.properties}}},
            "Outputs": {name: {"Description": one.description, "Value": {"Fn::GetAtt": [logical, name]}}
                        for name, one in kind.attributes.items()}}


# -- the service itself


def build_info(call: Call) -> dict[str, Any]:
    """GET /build_info"""
    return {"api": {"revision": "pilvi"}, "engine": {"revision": "pilvi"}}


def services(call: Call) -> dict[str, Any]:
    """GET /services: the engines; here one in each control process"""
    assert call.application is not None
    engine = call.application.state["engine"]
    return {"services": [{"binary": "heat-engine", "engine_id": engine.name, "host": engine.node, "hostname": engine.node,
                          "topic": "engine", "report_interval": 60, "status": "up", "created_at": None, "updated_at": None,
                          "deleted_at": None, "id": engine.name}]}


ROUTES = [
    Route("/v1/validate", "POST", validate, "stacks:validate_template", body=BODY),
    Route("/v1/template_versions", "GET", list_versions, "stacks:list_template_versions"),
    Route("/v1/template_versions/{template_version}/functions", "GET", list_functions, "stacks:list_template_functions"),
    Route("/v1/resource_types", "GET", list_types, "stacks:list_resource_types"),
    Route("/v1/resource_types/{type_name}", "GET", show_type, "stacks:resource_schema"),
    Route("/v1/resource_types/{type_name}/template", "GET", type_template, "stacks:generate_template"),
    Route("/v1/build_info", "GET", build_info, "build_info:build_info"), Route("/v1/services", "GET", services, "service:index")]
