"""Environments: parameters, defaults and the resource registry, which says what a type name means in which place.

Source: Template Guide, "Environments".
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from pilvi.orchestration.errors import TemplateInvalid
from pilvi.orchestration.template.document import load_map

SECTIONS = ("parameters", "parameter_defaults", "parameter_merge_strategies", "resource_registry", "event_sinks", "encrypted_param_names")
HOOKS = ("pre-create", "pre-update", "pre-delete", "post-create", "post-update", "post-delete")
RESTRICTIONS = ("update", "replace")
STRATEGIES = ("overwrite", "merge", "deep_merge")
NOT_TYPES = ("resources", "hooks", "restricted_actions", "base_url")


@dataclass(frozen=True)
class Environment:
    """A stack's environment, all its files merged."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    registry: Mapping[str, Any] = field(default_factory=dict)
    sinks: Sequence[Any] = ()
    encrypted: Sequence[str] = ()

    def shown(self) -> dict[str, Any]:
        """As the API tells it."""
        return {"parameters": dict(self.parameters), "parameter_defaults": dict(self.defaults), "event_sinks": list(self.sinks),
                "resource_registry": {**self.registry, "resources": self.registry.get("resources") or {}}}

    def stored(self) -> dict[str, Any]:
        """As the database keeps it; `parse` reads it again."""
        return {"parameters": dict(self.parameters), "parameter_defaults": dict(self.defaults), "resource_registry": dict(self.registry),
                "event_sinks": list(self.sinks), "encrypted_param_names": list(self.encrypted)}

    def type_of(self, name: str, resource: str) -> str:
        """What a type name stands for in the place of the resource: a type, or the name of a template's file."""
        seen = {name}
        while True:
            target = self._mapped(name, resource)
            if not isinstance(target, str) or target == name: return name
            if target in seen: raise TemplateInvalid(reason=f"The resource registry maps {name} to itself by way of {target}")
            seen.add(target)
            name = target

    def _mapped(self, name: str, resource: str) -> Any:
        for section in (*self._sections(resource), self.registry):
            if name in section and name not in NOT_TYPES: return section[name]
            best = max((pattern for pattern in section if pattern.endswith("*") and name.startswith(pattern[:-1])), key=len, default=None)
            if best is not None and isinstance(section[best], str):
                target = section[best]
                return target[:-1] + name[len(best) - 1:] if target.endswith("*") else target
        return None

    def _sections(self, resource: str) -> list[Mapping[str, Any]]:
        """The registry's sections for a resource, the exact name before the patterns."""
        named = self.registry.get("resources")
        if not isinstance(named, Mapping): return []
        fitting = [key for key in named if fnmatchcase(resource, key) and isinstance(named[key], Mapping)]
        return [named[key] for key in sorted(fitting, key=lambda key: key != resource)]

    def hooks(self, resource: str) -> frozenset[str]:
        """The hooks set on a resource."""
        return self._words(resource, "hooks")

    def restrictions(self, resource: str) -> frozenset[str]:
        """What may not be done to a resource: update, replace."""
        return self._words(resource, "restricted_actions")

    def _words(self, resource: str, key: str) -> frozenset[str]:
        found: set[str] = set()
        for section in self._sections(resource):
            said = section.get(key) or ()
            found |= {said} if isinstance(said, str) else set(said)
        return frozenset(found)

    def files(self) -> list[str]:
        """Names of template files that the registry mentions."""
        found = []

        def walk(section: Mapping[str, Any]) -> None:
            for key, value in section.items():
                if key in ("hooks", "restricted_actions", "base_url"): continue
                if isinstance(value, Mapping): walk(value)
                elif isinstance(value, str) and is_file(value): found.append(value)

        walk(self.registry)
        return found

    def within(self, resource: str) -> Environment:
        """The environment of the stack nested in a resource: the registry and defaults go down, its own section becomes the registry's."""
        inner: dict[str, Any] = {}
        for section in reversed(self._sections(resource)):
            inner |= {key: value for key, value in section.items() if key not in ("hooks", "restricted_actions") and not is_type(key)}
        registry = {key: value for key, value in self.registry.items() if key != "resources"}
        for section in reversed(self._sections(resource)):
            registry |= {key: value for key, value in section.items() if is_type(key)}
        if inner: registry["resources"] = inner
        return Environment({}, self.defaults, registry, (), self.encrypted)


def is_type(name: str) -> bool:
    """OS::Nova::Server, as against a file or a resource's name."""
    return "::" in name


def is_file(name: str) -> bool:
    """Does a type name mean a template?"""
    return name.endswith((".yaml", ".yml", ".template", ".json")) or "://" in name


def parse(given: Any) -> Environment:
    """An environment from text or a map. Raises TemplateInvalid."""
    raw = load_map(given, "environment") if isinstance(given, str) else given
    if raw is None: raw = {}
    if not isinstance(raw, Mapping): raise TemplateInvalid(reason="The environment is not a valid YAML mapping.")
    for name in raw:
        if name not in SECTIONS: raise TemplateInvalid(reason=f'environment has wrong section "{name}"')
    for name in ("parameters", "parameter_defaults", "resource_registry", "parameter_merge_strategies"):
        if raw.get(name) is not None and not isinstance(raw[name], Mapping):
            raise TemplateInvalid(reason=f'Environment section "{name}" must be a mapping, not {type(raw[name]).__name__}')
    registry = dict(raw.get("resource_registry") or {})
    _check_words(registry)
    return Environment(dict(raw.get("parameters") or {}), dict(raw.get("parameter_defaults") or {}), _with_base_url(registry),
                       list(raw.get("event_sinks") or ()), list(raw.get("encrypted_param_names") or ()))


def _check_words(section: Mapping[str, Any]) -> None:
    """Raises TemplateInvalid for hooks and restrictions that there are not."""
    for key, value in section.items():
        if isinstance(value, Mapping): _check_words(value)
        allowed = {"hooks": HOOKS, "restricted_actions": RESTRICTIONS}.get(key)
        if allowed is None or value is None: continue
        for word in [value] if isinstance(value, str) else value if isinstance(value, list) else [str(value)]:
            if word not in allowed:
                raise TemplateInvalid(reason=f'Invalid {"hook" if key == "hooks" else "restricted action"} type "{word}" for resource, '
                                             f"acceptable types are: {', '.join(allowed)}")


def _with_base_url(registry: dict[str, Any]) -> dict[str, Any]:
    base = registry.pop("base_url", None)
    if not base: return registry
    return {key: base.rstrip("/") + "/" + value if isinstance(value, str) and is_file(value) and "://" not in value else value
            for key, value in registry.items()}


def merge(given: Sequence[Any]) -> dict[str, Any]:
    """Environment files, the later ones over the earlier ones, parameters by the merge strategies of the file. Raises TemplateInvalid."""
    merged: dict[str, Any] = {}
    for one in given:
        raw = load_map(one, "environment") if isinstance(one, str) else dict(one or {})
        strategies = raw.get("parameter_merge_strategies") or {}
        for section, new in raw.items():
            if section == "parameter_merge_strategies": continue
            if section in ("parameters", "parameter_defaults") and isinstance(new, Mapping):
                old = merged.setdefault(section, {})
                for name, value in new.items():
                    strategy = strategies.get(name, strategies.get("default", "overwrite"))
                    old[name] = _by_strategy(old[name], value, strategy) if name in old else value
            elif isinstance(new, Mapping) and isinstance(merged.get(section), Mapping): merged[section] = _deep(merged[section], new)
            elif isinstance(new, list): merged[section] = [*merged.get(section, []), *new]
            elif new is not None: merged[section] = new
    return merged


def _by_strategy(old: Any, new: Any, strategy: str) -> Any:
    if strategy not in STRATEGIES: raise TemplateInvalid(reason=f'Invalid merge strategy "{strategy}", one of {", ".join(STRATEGIES)}')
    if strategy == "overwrite": return new
    old, new = (_structured(one) for one in (old, new))
    if isinstance(old, list) and isinstance(new, list): return [*old, *new]
    if isinstance(old, Mapping) and isinstance(new, Mapping): return _deep(old, new) if strategy == "deep_merge" else {**old, **new}
    return str(old) + str(new) if isinstance(old, str) and isinstance(new, str) else new


def _structured(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in "[{":
        try: return msgspec.json.decode(value)
        except msgspec.DecodeError: return value
    return value


def _deep(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _deep(merged[key], value) if both else value
    return merged
