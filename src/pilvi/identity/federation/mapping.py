"""What an assertion of an identity provider makes of somebody here: rules in, an assertion in, a user with groups and projects out. Pure.

A rule's `remote` part says what the assertion must hold; what it holds is then put, by number, into the `local` part. Values of an
attribute are separated by `;`. Source: Keystone administrator guide, "Mapping combinations"; schema versions 1.0 and 2.0.
"""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from pilvi.core.errors import Invalid, Unauthenticated
from pilvi.core.pattern import Pattern

NAMED = {"type": "object", "properties": {"id": {"type": "string"}, "name": {"type": "string"}}, "additionalProperties": False}
WORDS = {"type": "array", "items": {"type": "string"}}
GROUP = {"type": "object", "additionalProperties": False, "properties": {**NAMED["properties"], "domain": NAMED}}  # type: ignore[dict-item]
ROLE = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}, "additionalProperties": False}
PROJECT = {"type": "object", "required": ["name", "roles"], "additionalProperties": False, "properties": {
    "name": {"type": "string"}, "domain": NAMED, "roles": {"type": "array", "items": ROLE}}}
USER = {"type": "object", "additionalProperties": False, "properties": {
    **NAMED["properties"], "email": {"type": "string"}, "domain": NAMED,  # type: ignore[dict-item]
    "type": {"type": "string", "enum": ["ephemeral", "local"]}}}
LOCAL = {"type": "object", "additionalProperties": False, "properties": {
    "user": USER, "group": GROUP, "groups": {"type": "string"}, "group_ids": {"type": "string"}, "domain": NAMED,
    "projects": {"type": "array", "items": PROJECT}}}
REMOTE = {"type": "object", "required": ["type"], "additionalProperties": False, "properties": {
    "type": {"type": "string", "minLength": 1}, "regex": {"type": "boolean"},
    "any_one_of": WORDS, "not_any_of": WORDS, "whitelist": WORDS, "blacklist": WORDS}}
CONDITIONS = ("any_one_of", "not_any_of", "whitelist", "blacklist")
SCHEMA: dict[str, Any] = {"type": "array", "minItems": 1, "maxItems": 200, "items": {
    "type": "object", "required": ["local", "remote"], "additionalProperties": False, "properties": {
        "local": {"type": "array", "minItems": 0, "maxItems": 100, "items": LOCAL},
        "remote": {"type": "array", "minItems": 1, "maxItems": 100, "items": REMOTE}}}}
LONGEST_PATTERN = 1024


class NothingFits(Unauthenticated):
    """No rule of the mapping fits the assertion of the identity provider."""


class Person(Struct):
    """Who somebody is here. `kind`: ephemeral (made by the assertion) or local (a user that exists already). `groups` are (name, {"id"} or
    {"name"} of the domain); `projects` as in the rule, filled in."""
    kind: str = "ephemeral"
    id: str = ""
    name: str = ""
    email: str | None = None
    domain: dict[str, str] = {}
    group_ids: list[str] = []
    groups: list[tuple[str, dict[str, str]]] = []
    projects: list[dict[str, Any]] = []


def check(rules: Sequence[Mapping[str, Any]]) -> None:
    """Raises Invalid for rules that could not be applied: two conditions at once, a number that no `remote` fills, a bad pattern."""
    for number, rule in enumerate(rules):
        for remote in rule["remote"]:
            if sum(name in remote for name in CONDITIONS) > 1 and not {"whitelist", "blacklist"} >= {n for n in CONDITIONS if n in remote}:
                raise Invalid(f"Rule {number}: '{remote['type']}' has more than one condition.")
            if remote.get("regex"):
                for text in (t for name in CONDITIONS for t in remote.get(name, ())): _pattern(text)
        filled = sum(1 for remote in rule["remote"] if not _is_condition(remote))
        for index in map(int, re.findall(r"\{(\d{1,6})\}", repr(rule["local"]))):
            if index >= filled: raise Invalid(f"Rule {number}: {{{index}}} in local stands for nothing; remote gives {filled} values.")


def _is_condition(remote: Mapping[str, Any]) -> bool:
    return "any_one_of" in remote or "not_any_of" in remote


def _pattern(text: str) -> Pattern:
    if len(text) > LONGEST_PATTERN: raise Invalid(f"A pattern may have {LONGEST_PATTERN} characters.")
    try: return Pattern(text)
    except ValueError as problem: raise Invalid(f"{problem}.") from None


def apply(rules: Sequence[Mapping[str, Any]], assertion: Mapping[str, str]) -> Person:
    """The person that the fitting rules make, in their order; the first user wins, groups and projects add up. Raises NothingFits."""
    person, found, fits = Person(), False, False
    for rule in rules:
        values = _values(rule["remote"], assertion)
        if values is None: continue
        fits = True
        for local in rule["local"]:
            found = _take_user(person, local, values, found) or found
            _take_groups(person, local, values)
            person.projects += [_filled(project, values) for project in local.get("projects", ())]
    if not fits: raise NothingFits()
    if not found: person.name = assertion.get("REMOTE_USER", "")
    if not person.name and not person.id: raise NothingFits("The mapping gives the person neither a name nor an id.")
    return person


def _values(remotes: Sequence[Mapping[str, Any]], assertion: Mapping[str, str]) -> list[list[str]] | None:
    """What stands for {0}, {1} …: the values of each remote that is no condition; None if the assertion does not fit."""
    found = []
    for remote in remotes:
        if remote["type"] not in assertion: return None
        given = [value for value in assertion[remote["type"]].split(";") if value]
        if "any_one_of" in remote:
            if not _chosen(given, remote["any_one_of"], remote): return None
        elif "not_any_of" in remote:
            if _chosen(given, remote["not_any_of"], remote): return None
        else:
            if "blacklist" in remote:
                refused = set(_chosen(given, remote["blacklist"], remote))
                given = [value for value in given if value not in refused]
            if "whitelist" in remote: given = _chosen(given, remote["whitelist"], remote)
            found.append(given)
    return found


def _chosen(given: Sequence[str], words: Sequence[str], remote: Mapping[str, Any]) -> list[str]:
    if not remote.get("regex"): return [value for value in given if value in words]
    patterns = [_pattern(word) for word in words]
    try: return [value for value in given if any(pattern.search(value) for pattern in patterns)]
    except ValueError as problem: raise Invalid(f"{problem}.") from None


def _filled(part: Any, values: Sequence[Sequence[str]]) -> Any:
    """A part of `local` with its numbers filled in."""
    if isinstance(part, str): return re.sub(r"\{(\d{1,6})\}", lambda hit: ";".join(values[int(hit[1])]), part)
    if isinstance(part, Mapping): return {name: _filled(one, values) for name, one in part.items()}
    return [_filled(one, values) for one in part] if isinstance(part, list) else part


def _take_user(person: Person, local: Mapping[str, Any], values: Sequence[Sequence[str]], found: bool) -> bool:
    if "user" not in local or found: return False
    user = _filled(local["user"], values)
    person.kind = user.get("type", "ephemeral")
    person.id, person.name, person.email = user.get("id", ""), user.get("name", ""), user.get("email")
    person.domain = user.get("domain") or _filled(local.get("domain") or {}, values)
    return True


def _take_groups(person: Person, local: Mapping[str, Any], values: Sequence[Sequence[str]]) -> None:
    if group := local.get("group"):
        filled = _filled(group, values)
        if "id" in filled: person.group_ids = [*person.group_ids, filled["id"]]
        else: person.groups = [*person.groups, (filled["name"], filled.get("domain") or {})]
    if "groups" in local:
        domain = _filled(local.get("domain") or {}, values)
        person.groups = [*person.groups, *((name, domain) for name in _several(local["groups"], values))]
    if "group_ids" in local: person.group_ids = [*person.group_ids, *_several(local["group_ids"], values)]


def _several(text: str, values: Sequence[Sequence[str]]) -> list[str]:
    return [name for name in _filled(text, values).split(";") if name]
