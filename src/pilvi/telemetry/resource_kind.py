"""Types of resources: which attributes their resources have, and what these may hold; pure.

Source: Gnocchi REST API, "Resource types". An attribute is {type: string|uuid|number|bool|datetime, required, …}.
"""
from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from pilvi.telemetry import errors
from pilvi.telemetry.timespan import instant, iso

RESERVED = {"id", "type", "metrics", "revision", "revision_start", "revision_end", "started_at", "ended_at", "user_id", "project_id",
            "created_by_user_id", "created_by_project_id", "get_metric", "creator", "original_resource_id", "lifespan"}
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}")
KINDS: dict[str, dict[str, Any]] = {"string": {"min_length": 0, "max_length": 256}, "uuid": {}, "number": {"min": None, "max": None},
                                    "bool": {}, "datetime": {}}
Attribute = dict[str, Any]


def attribute(name: str, given: Any, *, updating: str = "") -> tuple[Attribute, Any]:
    """A definition of an attribute, completed, and what existing resources get when it is added. `updating`: add or change, to a type that
    exists. Raises Malformed."""
    if not isinstance(given, dict): raise errors.invalid("expected a dictionary", "attributes", name)
    kind = given.get("type")
    if not isinstance(kind, str) or kind not in KINDS:
        raise errors.invalid("not a valid value for dictionary value", "attributes", name, "type")
    allowed = {"type", "required", *KINDS[kind]} | ({"options"} if updating else set())
    if unknown := set(given) - allowed: raise errors.invalid("extra keys not allowed", "attributes", name, sorted(unknown)[0])
    made: Attribute = {"type": kind, "required": given.get("required", True), **KINDS[kind],
                       **{key: value for key, value in given.items() if key not in ("options", "type", "required")}}
    if not isinstance(made["required"], bool): raise errors.invalid("expected bool for dictionary value", "attributes", name, "required")
    if not NAME.fullmatch(name) or name in RESERVED: raise _bad(f"Resource attribute name {name} is invalid")
    _check_bounds(name, made)
    options = given.get("options") or {}
    if not isinstance(options, dict) or set(options) - {"fill"}:
        raise errors.invalid("extra keys not allowed", "attributes", name, "options")
    fill = options.get("fill")
    if not updating: return made, None
    if fill is None and made["required"] and updating == "add": raise _option(name, "must not be empty if required=True")
    try: return made, None if fill is None else taken(made, fill)
    except ValueError as failure: raise _option(name, str(failure)) from None


def _bad(reason: str) -> errors.Malformed:
    return errors.Malformed(reason=f"Invalid input: {reason}")


def _option(name: str, reason: str) -> errors.Malformed:
    return _bad(f"Option 'fill' of resource attribute {name} is invalid: {reason}")


def _check_bounds(name: str, made: Attribute) -> None:
    if made["type"] == "string":
        for key, least in (("min_length", 0), ("max_length", 1)):
            value = made[key]
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 256:
                raise errors.invalid(f"expected a whole number from {least} to 256", "attributes", name, key)
        low, high = made["min_length"], made["max_length"]
    elif made["type"] == "number":
        for key in ("min", "max"):
            if made[key] is not None and (isinstance(made[key], bool) or not isinstance(made[key], int | float)):
                raise errors.invalid("expected a number or null", "attributes", name, key)
        low, high = made["min"], made["max"]
    else: return
    if low is not None and high is not None and low > high:
        raise _bad(f"Resource attribute value min (or min_length) {low} must be less  than or equal to max (or max_length) {high}!")


def taken(definition: Attribute, value: Any) -> Any:
    """A value as it is kept. Raises ValueError."""
    kind = definition["type"]
    if kind == "string":
        if not isinstance(value, str): raise ValueError("expected str")
        if len(value) < definition["min_length"]: raise ValueError(f"length of value must be at least {definition['min_length']}")
        if len(value) > definition["max_length"]: raise ValueError(f"length of value must be at most {definition['max_length']}")
        return value
    if kind == "uuid": return str(UUID(str(value)))
    if kind == "bool":
        if not isinstance(value, bool): raise ValueError("expected bool")
        return value
    if kind == "datetime": return instant(value, 0.0)
    if isinstance(value, bool) or not isinstance(value, int | float): raise ValueError("expected Real")
    if definition["min"] is not None and value < definition["min"]: raise ValueError(f"value must be at least {definition['min']}")
    if definition["max"] is not None and value > definition["max"]: raise ValueError(f"value must be at most {definition['max']}")
    return value


def shown(attributes: dict[str, Attribute], values: dict[str, Any]) -> dict[str, Any]:
    """The values of a resource's attributes as the API writes them."""
    return {name: iso(values[name]) if definition["type"] == "datetime" and values.get(name) is not None else values.get(name)
            for name, definition in attributes.items()}


def _text(length: int = 255) -> Attribute:
    return {"type": "string", "required": False, "min_length": 0, "max_length": min(length, 256)}


_WHEN: Attribute = {"type": "datetime", "required": False}
BUILT_IN: dict[str, dict[str, Attribute]] = {
    "generic": {},
    "instance": {**{name: _text() for name in ("host", "image_ref", "display_name", "flavor_id", "flavor_name", "server_group",
                                               "availability_zone")},
                 "launched_at": _WHEN, "created_at": _WHEN, "deleted_at": _WHEN},
    "instance_disk": {"name": _text(), "instance_id": _text(36)},
    "instance_network_interface": {"name": _text(), "instance_id": _text(36)},
    "image": {"name": _text(), "container_format": _text(), "disk_format": _text()},
    "volume": {"display_name": _text(), "volume_type": _text(), "volume_type_id": _text(), "image_id": _text(36), "instance_id": _text(36)},
    "network": {}, "identity": {}, "stack": {},
    "swift_account": {"storage_policy": _text()},
    "volume_provider_pool": {"provider": _text()}, "volume_provider": {},
    "nova_compute": {"host_name": _text()},
    "prometheus": {"instance": {**_text(512), "required": True}, "job": {**_text(512), "required": True}},
}
"""The types of what is collected here, with Ceilometer's attributes."""
