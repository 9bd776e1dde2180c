"""The functions on lists and maps, and the two values that are none: UNKNOWN and VOID."""
from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from pilvi.core.apart import Apart
from pilvi.orchestration.errors import TemplateInvalid

LOOPS_MOST = 10_000
EXPRESSIONS = Apart("pilvi.orchestration.template.expression")


class FunctionInvalid(TemplateInvalid):
    """{reason}"""


class _Special:
    def __init__(self, name: str) -> None: self.name = name
    def __repr__(self) -> str: return self.name


UNKNOWN: Any = _Special("UNKNOWN")
"""Not known yet."""
VOID: Any = _Special("VOID")
"""Leaves its map or list without a trace."""


def unknown_in(value: Any) -> bool:
    """Is any part of it not known yet?"""
    if value is UNKNOWN: return True
    if isinstance(value, Mapping): return any(map(unknown_in, value.values()))
    return isinstance(value, list) and any(map(unknown_in, value))


def known(value: Any) -> Any:
    """The value with None for what is not known yet."""
    if value is UNKNOWN: return None
    if isinstance(value, Mapping): return {key: known(one) for key, one in value.items()}
    return [known(one) for one in value] if isinstance(value, list) else value


def select(value: Any, path: list[Any]) -> Any:
    """The part of a value at a path of keys and indices; empty text if there is none, as in Heat."""
    for step in path:
        if value is UNKNOWN: return UNKNOWN
        if isinstance(value, Mapping): value = value.get(str(step), value.get(step))
        elif isinstance(value, list):
            try: value = value[int(step)]
            except (ValueError, IndexError): return ""
        else: return ""
        if value is None: return ""
    return value


def loops(for_each: Mapping[str, Any], permute: Any) -> Iterator[dict[str, Any]]:
    """Each turn of a repeat: {placeholder: value}."""
    lists = []
    for name, values in for_each.items():
        if values is None: values = []
        if isinstance(values, Mapping): values = list(values)
        if not isinstance(values, list): raise FunctionInvalid(f'"repeat": the for_each list of {name} must be a list')
        lists.append(values)
    if not permute and len({len(one) for one in lists}) > 1:
        raise FunctionInvalid('"repeat": without permutations, all lists of for_each must have the same length')
    size = 1
    for one in lists: size *= len(one)
    if permute and size > LOOPS_MOST: raise FunctionInvalid(f'"repeat" would loop {size} times, at most {LOOPS_MOST}')
    for turn in itertools.product(*lists) if permute else zip(*lists, strict=True): yield dict(zip(for_each, turn, strict=True))


def map_merge(given: Any, version: str) -> Any:
    """[map, map, …] → one map, the later ones win."""
    if not isinstance(given, list): raise FunctionInvalid("Incorrect arguments to map_merge: a list of maps is needed")
    merged: dict[str, Any] = {}
    for one in given:
        if one is None: continue
        if not isinstance(one, Mapping): raise FunctionInvalid("Incorrect arguments to map_merge: a list of maps is needed")
        merged.update(one)
    return merged


def map_replace(given: Any, version: str) -> Any:
    """[map, {keys: {old: new}, values: {old: new}}]"""
    if not isinstance(given, list) or len(given) != 2 or not all(isinstance(one, Mapping) for one in given):
        raise FunctionInvalid("a list of a map and its replacements (keys, values) is needed")
    source, replacements = given
    if unknown := set(replacements) - {"keys", "values"}: raise FunctionInvalid(f"unknown key {sorted(unknown)[0]!r} in the replacements")
    keys, values = replacements.get("keys") or {}, replacements.get("values") or {}
    made: dict[str, Any] = {}
    for key, value in source.items():
        new = keys.get(key, key)
        if new in made: raise FunctionInvalid(f"key replacement {new} collides with a key in the output map")
        made[new] = values.get(value, value) if isinstance(value, str | int | float | bool | None) else value
    return made


def filter_(given: Any, version: str) -> Any:
    """[values, list] → the list without the values."""
    if not isinstance(given, list) or len(given) != 2 or not all(isinstance(one, list) for one in given):
        raise FunctionInvalid("Argument to filter must be a list of two lists: the values to drop, and the list")
    dropped = {_comparable(one) for one in given[0]}
    return [one for one in given[1] if _comparable(one) not in dropped]


def list_concat(given: Any, version: str) -> Any:
    """[list, list, …] → one list."""
    if not isinstance(given, list): raise FunctionInvalid("a list of lists is needed")
    joined: list[Any] = []
    for one in given:
        if one is None: continue
        if not isinstance(one, list): raise FunctionInvalid("Incorrect arguments: a list of lists is needed")
        joined += one
    return joined


def list_concat_unique(given: Any, version: str) -> Any:
    """The same, each item once."""
    unique: dict[Any, Any] = {}
    for one in list_concat(given, version): unique.setdefault(_comparable(one), one)
    return list(unique.values())


def _comparable(value: Any) -> Any:
    """What can be looked for in a set, and is equal where the values are: comparing each with each would take hours."""
    if isinstance(value, Mapping): return frozenset((key, _comparable(one)) for key, one in value.items())
    return tuple(map(_comparable, value)) if isinstance(value, list) else value


def contains(given: Any, version: str) -> Any:
    """[value, sequence] → is it in it?"""
    if not isinstance(given, list) or len(given) != 2: raise FunctionInvalid("[value, sequence] is needed")
    value, sequence = given
    if isinstance(sequence, str): return str(value) in sequence
    if not isinstance(sequence, list | Mapping): raise FunctionInvalid("Second argument should be a sequence.")
    return value in sequence


def yaql(given: Any, version: str) -> Any:
    """{expression, data} → what the expression makes of the data."""
    if not isinstance(given, Mapping) or set(given) != {"expression", "data"} or not isinstance(given["expression"], str):
        raise FunctionInvalid("Arguments should be a map with expression and data")
    expression = given["expression"]
    try: return EXPRESSIONS.ask([expression, given["data"]])
    except ValueError as failure: raise FunctionInvalid(f"Bad expression {expression[:80]!r}: {str(failure)[:200]}") from None


def fn_select(given: Any, version: str) -> Any:
    """[index or key, collection]"""
    if not isinstance(given, list) or len(given) != 2: raise FunctionInvalid("[index, collection] is needed")
    index, collection = given
    if isinstance(collection, str) and not isinstance(index, int) and not str(index).isdigit(): return ""
    return select(collection, [index])


def fn_get_azs(given: Any, version: str) -> Any:
    """The availability zones; this cloud's hosts are in one unless an aggregate says otherwise."""
    return ["nova"]


def fn_member_list_to_map(given: Any, version: str) -> Any:
    """[name of keys, name of values, ["name.0=a", "value.0=b"]] → {a: b}"""
    if not isinstance(given, list) or len(given) != 3 or not isinstance(given[2], list):
        raise FunctionInvalid("[key name, value name, list] is needed")
    name, value = str(given[0]), str(given[1])
    parts: dict[str, dict[str, str]] = {}
    for entry in given[2]:
        left, _, said = str(entry).partition("=")
        pieces = left.split(".")
        if len(pieces) < 2: raise FunctionInvalid(f"{entry!r} is not of the form NUMBER.NAME=VALUE")
        number, word = (pieces[-2], pieces[-1]) if pieces[-1] in (name, value) else (pieces[-1], pieces[-2])
        parts.setdefault(number, {})[word] = said
    return {one[name]: one.get(value, "") for one in parts.values() if name in one}
