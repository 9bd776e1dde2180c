"""A resource whose type is a template: its parameters are the properties, its outputs the attributes.

Source: Template Guide, "Template composition".
"""
from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pilvi.core.errors import Failure, NotFound
from pilvi.orchestration.errors import TemplateInvalid
from pilvi.orchestration.template import document, parse
from pilvi.orchestration.template.parameters import Parameter
from pilvi.orchestration.types.heat.nested import NestedType, engine_of
from pilvi.orchestration.types.interface import BOOLEAN, LIST, MAP, NUMBER, STRING, Attribute, Child, Place, Property, Work

PROPERTY_TYPES = {"string": STRING, "number": NUMBER, "comma_delimited_list": LIST, "json": MAP, "boolean": BOOLEAN}
REFERENCE = "OS::stack_id"
"""The output that get_resource gives instead of the nested stack's id."""


class TemplateType(NestedType):
    """One template file as a type."""

    def __init__(self, name: str, template: parse.Template) -> None:
        self.name, self.template, self.description = name, template, template.description
        self.properties = {parameter.name: _property(parameter) for parameter in template.parameters.values()}
        self.attributes = {output.name: Attribute(output.description) for output in template.outputs.values()}

    def more_attributes(self, name: str) -> bool:
        return name.startswith("resource.")

    def child(self, name: str, properties: Mapping[str, Any], place: Place, data: Mapping[str, Any]) -> Child:
        given = {key: value for key, value in properties.items() if value is not None}
        return Child(self.template.raw, given, place.environment.within(name))

    def reference(self, work: Work) -> Any:
        if REFERENCE in self.attributes and work.physical_id: return engine_of(work).child_output(work, REFERENCE)
        return super().reference(work)

    def attribute(self, work: Work, name: str) -> Any:
        if name == "show": return {one: engine_of(work).child_output(work, one) for one in self.attributes}
        if name.startswith("resource."):
            member, _, attribute = name.removeprefix("resource.").partition(".")
            found = next((one for one in engine_of(work).members(work) if one.name == member), None)
            if found is None: return None
            return engine_of(work).member_attribute(work, member, attribute, []) if attribute else found.reference
        try: return engine_of(work).child_output(work, name)
        except NotFound: raise
        except Failure as failure: raise TemplateInvalid(reason=f"Error in {work.name} output {name}: {failure.message}") from None


def _property(parameter: Parameter) -> Property:
    return Property(PROPERTY_TYPES[parameter.type], parameter.description, required=not parameter.has_default, update=True,
                    constraints=parameter.constraints)


def provider(name: str, content: Any) -> TemplateType:
    """The type that a file means. Raises TemplateInvalid."""
    return _of_text(name, content) if isinstance(content, str) else TemplateType(name, parse.parse(content))


@lru_cache(256)
def _of_text(name: str, content: str) -> TemplateType:
    try: return TemplateType(name, parse.parse(document.load_map(content, "template")))
    except TemplateInvalid as failure: raise TemplateInvalid(reason=f"{name}: {failure.message}") from None
