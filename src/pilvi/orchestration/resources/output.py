"""Outputs, template, environment and files of a stack.

Source: Orchestration API, "Stack outputs", "Get stack template", "Get stack environment", "Get stack files".
"""
from __future__ import annotations

from typing import Any

from pilvi.core.context import Call
from pilvi.core.http.routes import Route
from pilvi.orchestration import errors
from pilvi.orchestration.resources import lookup
from pilvi.orchestration.resources.tables import Stack
from pilvi.orchestration.stack import outputs
from pilvi.orchestration.template import environment


def _stack(call: Call, stack_name: str, stack_id: str) -> Stack:
    assert call.application is not None
    with call.application.database.read() as db: return lookup.find(db, call, stack_name, stack_id)


def index(call: Call, stack_name: str, stack_id: str) -> dict[str, Any]:
    """GET …/outputs: their names"""
    assert call.application is not None
    return {"outputs": outputs.outputs(call.application, call, _stack(call, stack_name, stack_id), resolve=False)}


def show(call: Call, stack_name: str, stack_id: str, output_key: str) -> dict[str, Any]:
    """GET …/outputs/{key}"""
    assert call.application is not None
    found = outputs.output(call.application, call, _stack(call, stack_name, stack_id), output_key)
    if found is None: raise errors.EntityUnknown(entity="Output", name=output_key)
    return {"output": found}


def template(call: Call, stack_name: str, stack_id: str) -> Any:
    """GET …/template"""
    return _stack(call, stack_name, stack_id).template


def show_environment(call: Call, stack_name: str, stack_id: str) -> dict[str, Any]:
    """GET …/environment, hidden parameters covered"""
    assert call.application is not None
    stack = _stack(call, stack_name, stack_id)
    told = environment.parse(stack.environment or {}).shown()
    schema = call.application.state["plans"].of(stack).template.parameters
    told["parameters"] = {name: "******" if name in schema and schema[name].hidden else value for name, value in told["parameters"].items()}
    return told | {"encrypted_param_names": list((stack.environment or {}).get("encrypted_param_names") or ())}


def files(call: Call, stack_name: str, stack_id: str) -> dict[str, Any]:
    """GET …/files"""
    return _stack(call, stack_name, stack_id).files or {}


ITEM = "/v1/stacks/{stack_name}/{stack_id}"
ROUTES = [Route(ITEM + "/outputs", "GET", index, "stacks:list_outputs"),
          Route(ITEM + "/outputs/{output_key}", "GET", show, "stacks:show_output"),
          Route(ITEM + "/template", "GET", template, "stacks:template"),
          Route(ITEM + "/environment", "GET", show_environment, "stacks:environment"),
          Route(ITEM + "/files", "GET", files, "stacks:files")]
