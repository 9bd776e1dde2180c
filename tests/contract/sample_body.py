"""The smallest value that fits a JSON Schema, as far as that can be read off it."""
from __future__ import annotations

from typing import Any

from pilvi.core.resource import Resource

FORMS = {"uuid": "0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f", "uri": "http://localhost/", "date-time": "2026-01-01T00:00:00Z"}


def minimal(schema: Any) -> Any:
    """A value for the schema: required properties only, or the first one where some are asked for without a name."""
    if not isinstance(schema, dict): return {}
    for word in ("const", "default"):
        if word in schema: return schema[word]
    if "enum" in schema: return schema["enum"][0]
    for word in ("oneOf", "anyOf", "allOf"):
        if word in schema and "type" not in schema: return minimal(schema[word][0])
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object": return _object(schema)
    if kind == "array": return [minimal(schema.get("items", {})) for _ in range(schema.get("minItems", 0))]
    if kind in ("integer", "number"): return max(schema.get("minimum", 1), 0)
    if kind in ("boolean", "null"): return True if kind == "boolean" else None
    if "pattern" in schema and "0-9a-f" in schema["pattern"]: return FORMS["uuid"]
    return FORMS.get(schema.get("format", ""), "x" * max(schema.get("minLength", 1), 1))


def _object(schema: dict[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties", {})
    least = schema.get("minProperties", 0)
    names = list(schema.get("required", [])) or list(properties)[: least or (1 if len(properties) == 1 else 0)]
    more = schema.get("additionalProperties")
    others = {"key": minimal(more)} if isinstance(more, dict) and len(names) < least else {}
    return {name: minimal(properties.get(name, {})) for name in names} | others


def each(schema: Any) -> list[Any]:
    """A value for each choice that the schema leaves at its top: actions are objects with one property out of several."""
    if isinstance(schema, dict) and schema.get("maxProperties") == 1 and "properties" in schema:
        return [{name: minimal(inner)} for name, inner in schema["properties"].items()]
    return [minimal(schema)]


def of_resource(resource: Resource, verb: str, version: tuple[int, int]) -> Any:
    """A body that makes or changes a thing."""
    schema = resource.schema(verb, version)
    inner = minimal(schema)
    if not inner and schema["properties"]:
        name = "name" if "name" in schema["properties"] else next(iter(schema["properties"]))
        inner = {name: minimal(schema["properties"][name])}
    return resource.wrap(inner)
