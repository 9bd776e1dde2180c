"""The small language of extra specs: '>= 4', '<in> avx', '<or> x86_64 <or> aarch64', or just a word.

Source: nova, "Extra specs", operators; oslo.utils' specs_matcher, which a test compares it with.
"""
from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable

NUMBERS: dict[str, Callable[[float, float], bool]] = {
    "=": operator.ge,  # sic: an upstream legacy that flavors rely on
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
WORDS: dict[str, Callable[[str, str], bool]] = {
    "s==": operator.eq, "s!=": operator.ne, "s<": operator.lt, "s<=": operator.le, "s>": operator.gt, "s>=": operator.ge}
OPERATOR = re.compile(r"\s*(s==|s!=|s<=|s>=|s<|s>|==|=|!=|<=|>=|<in>|<all-in>|<or>|<range-in>|<|>)\s*(.*)", re.DOTALL)
RANGE = re.compile(r"([\[(])\s*(\S+)\s+(\S+)\s*([\])])\s*")


def meets(value: str, requirement: str) -> bool:
    """Whether the host's value is what the flavor asks for. A value that is no number meets no numerical requirement."""
    found = OPERATOR.fullmatch(requirement)
    if not found or not found[2].strip(): return value == requirement
    sign, rest = found[1], found[2].strip()
    if sign in WORDS: return WORDS[sign](value, rest)
    if sign == "<in>": return rest in value
    if sign == "<or>": return value in [each.strip() for each in rest.split("<or>")]
    if sign == "<all-in>": return set(rest.split()) <= set(_items(value))
    try: return _within(float(value), rest) if sign == "<range-in>" else NUMBERS[sign](float(value), float(rest))
    except ValueError: return False


def _items(value: str) -> list[str]:
    try: items = ast.literal_eval(value)
    except (ValueError, SyntaxError): return []
    return [str(item) for item in items] if isinstance(items, list | tuple | set) else []


def _within(number: float, interval: str) -> bool:
    """Raises ValueError for what is no interval."""
    found = RANGE.fullmatch(interval)
    if not found: raise ValueError(interval)
    low, high = float(found[2]), float(found[3])
    return (number >= low if found[1] == "[" else number > low) and (number <= high if found[4] == "]" else number < high)
