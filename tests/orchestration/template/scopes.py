"""A scope of a few parameters and resources, for functions."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pilvi.orchestration.errors import ParameterMissing
from pilvi.orchestration.template.budget import Budget
from pilvi.orchestration.template.values import UNKNOWN, select


@dataclass
class Fixed:
    """Everything is known, but the attributes of `late`."""
    version: str = "2021-04-16"
    conditions: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)

    def parameter(self, name: str) -> Any:
        if name not in self.parameters: raise ParameterMissing(name=name)
        return self.parameters[name]

    def has_parameter(self, name: str) -> bool:
        return name in self.parameters

    def reference(self, name: str) -> Any:
        return f"id-of-{name}"

    def attribute(self, name: str, attribute: str | None, path: list[Any]) -> Any:
        if name == "late": return UNKNOWN
        found = {"address": "10.0.0.1", "nets": {"a": ["1", "2"]}}
        return found if attribute is None else select(found.get(attribute), path)

    def file(self, name: str) -> str:
        return f"text of {name}"

    def facade(self, part: str) -> Any:
        return {"metadata": {"k": "v"}, "deletion_policy": "Retain", "update_policy": {}}[part]
