"""What a request says about a stack: template, files, environment and the rest, from a body to a plan.

Source: Orchestration API, "Create stack", "Update stack", "Preview stack", "Validate template".
"""
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pilvi.core.context import Call
from pilvi.core.errors import Failure
from pilvi.orchestration import errors
from pilvi.orchestration.stack import live
from pilvi.orchestration.stack.plan import Plan, plan, pseudo
from pilvi.orchestration.template import document, environment, functions
from pilvi.orchestration.template.environment import Environment
from pilvi.orchestration.types.finders import FINDERS, find

NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_.-]{0,254}")
TAG_LONGEST = 80
BODY = {"type": "object"}


@dataclass(frozen=True)
class Request:
    """A body as values. `template` is None if none was given."""
    template: Any
    files: dict[str, Any]
    environment: Environment
    raw: Mapping[str, Any]

    def timeout(self) -> int | None:
        """Raises RequestInvalid."""
        given = self.raw.get("timeout_mins")
        if given in (None, ""): return None
        try: minutes = int(str(given))
        except ValueError: raise errors.RequestInvalid(reason=f"Only integer is allowed for timeout_mins: {given!r:.40}") from None
        if minutes == 0: return None
        if not 0 < minutes <= 1440: raise errors.RequestInvalid(reason="Invalid stack timeout, it must be between 1 and 1440 minutes")
        return minutes

    def flag(self, name: str, default: bool | None = None) -> bool | None:
        """Raises RequestInvalid."""
        given = self.raw.get(name)
        if given is None: return default
        if isinstance(given, bool): return given
        if str(given).lower() in ("true", "false"): return str(given).lower() == "true"
        raise errors.RequestInvalid(reason=f'Unrecognized value "{given}" for "{name}", acceptable values are: true, false')

    def tags(self) -> list[str] | None:
        """Raises RequestInvalid."""
        given = self.raw.get("tags")
        if given is None: return None
        words = [one.strip() for one in given.split(",")] if isinstance(given, str) else given
        if not isinstance(words, list): raise errors.RequestInvalid(reason='Invalid tags, expected a comma-delimited string')
        for word in words:
            if not isinstance(word, str) or not word: raise errors.RequestInvalid(reason="Invalid tag, a tag is a word")
            if len(word) > TAG_LONGEST:
                raise errors.RequestInvalid(reason=f'Invalid tag, "{word[:90]}" is longer than {TAG_LONGEST} characters')
        return list(dict.fromkeys(words))


def read(call: Call) -> Request:
    """Raises RequestInvalid, TemplateInvalid."""
    body = call.body
    if not isinstance(body, Mapping): raise errors.RequestInvalid(reason="The body must be a JSON object")
    files = body.get("files") or {}
    if not isinstance(files, Mapping) or not all(isinstance(content, str | Mapping) for content in files.values()):
        raise errors.RequestInvalid(reason="'files' must be an object of texts")
    if body.get("template_url") and not body.get("template"):
        raise errors.RequestInvalid(reason="This cloud takes templates in the request only: send 'template', not 'template_url'.")
    if body.get("files_container"): raise errors.RequestInvalid(reason="'files_container' is not served; send the files in 'files'.")
    return Request(_template(body.get("template")), dict(files), _environment(body, files), body)


def _template(given: Any) -> Any:
    if given is None: return None
    if isinstance(given, str): return document.load_map(given, "template")
    if not isinstance(given, Mapping): raise errors.TemplateInvalid(reason="The template is not a JSON object or YAML mapping.")
    document.check_value(given, "template")
    return given


def _environment(body: Mapping[str, Any], files: Mapping[str, Any]) -> Environment:
    names = body.get("environment_files") or []
    if not isinstance(names, list): raise errors.RequestInvalid(reason="'environment_files' must be a list of names of files")
    given: list[Any] = []
    for name in names:
        if name not in files: raise errors.RequestInvalid(reason=f"There is no {name!r:.80} in 'files' for 'environment_files'")
        given.append(files[name])
    if not names and body.get("environment"): given.append(body["environment"])
    parameters = body.get("parameters")
    if parameters is not None and not isinstance(parameters, Mapping): raise errors.RequestInvalid(reason="'parameters' must be an object")
    for one in given:
        if not isinstance(one, str | Mapping): raise errors.TemplateInvalid(reason="The environment is not a valid YAML mapping.")
    return environment.parse(environment.merge([*given, {"parameters": dict(parameters or {})}]))


def name_of(request: Request) -> str:
    """Raises RequestInvalid."""
    name = request.raw.get("stack_name")
    if not name: raise errors.RequestInvalid(reason="No stack name specified")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise errors.TemplateInvalid(reason=f"Invalid stack name {name} must contain only alphanumeric or \"_-.\" characters, must start "
                                            "with alpha and must be 255 characters or less.")
    return name


def with_files(found: Environment, files: Mapping[str, Any], template: Mapping[str, Any]) -> Environment:
    """The environment with the template files among the types it knows, as Heat shows it after it has read them."""
    registry = dict(found.registry)
    used = {one.get("type") for one in (template.get("resources") or {}).values() if isinstance(one, Mapping)}
    for name in sorted(filter(None, used)):
        if environment.is_file(str(name)) and name in files: registry.setdefault(str(name), str(name))
    return Environment(found.parameters, found.defaults, registry, found.sinks, found.encrypted)


def planned(call: Call, template: Any, files: Mapping[str, Any], given: Environment, *, name: str, stack_id: str,
            strict: bool = True) -> Plan:
    """The plan, with what only the cloud can check: outputs, and parameters that name things. Raises TemplateInvalid and its kin."""
    if template is None: raise errors.RequestInvalid(reason="No template specified")
    made = plan(template, files, given, pseudo(stack_id, name, call.project_id), strict=strict)
    for one in made.template.outputs.values():
        try: live.names_in(made, one.value)
        except Failure as failure:
            if strict: raise functions.place(f"outputs.{one.name}.value", failure) from None
    if strict: _check_customs(call, made)
    return made


def _check_customs(call: Call, made: Plan) -> None:
    """Parameters with a custom constraint name something that must be there."""
    for name, rules in made.template.parameters.items():
        value = made.values.values.get(name)
        for custom in rules.customs:
            if custom.name not in FINDERS or value in (None, ""): continue
            for one in value if isinstance(value, list) else [value]:
                try: find(call, custom.name, str(one))
                except Failure as failure:
                    said = custom.description or f"Error validating value '{one}': {failure.message}"
                    raise errors.ParameterInvalid(name=name, reason=said) from None
