"""yaql's functions for regular expressions, with patterns that cannot hold the process (core/pattern.py says why).

Source: the yaql library, "Regex functions": what takes a compiled pattern is the library's; what compiles one is here.
"""
from __future__ import annotations

import re
from typing import Any

from yaql.language import conventions, specs, yaqltypes  # type: ignore[import-untyped]
from yaql.standard_library import regex as library  # type: ignore[import-untyped]

from pilvi.core.pattern import linear

COMPILED = type(linear(""))
OF_COMPILED = (library.matches, library.matches_operator_regex, library.not_matches_operator_regex, library.search, library.search_all,
               library.split, library.split_string, library.replace, library.replace_string, library.replace_by, library.replace_by_string)
CONVENTION = conventions.CamelCaseConvention()


def regex(pattern: str, ignore_case: bool = False, multi_line: bool = False, dot_all: bool = False) -> re.Pattern[str]:
    return linear(pattern, ignore_case=ignore_case, multi_line=multi_line, dot_all=dot_all)


def matches(string: str, regexp: str) -> bool:
    return linear(regexp).search(string) is not None


def matches_not(string: str, regexp: str) -> bool:
    return not matches(string, regexp)


def is_regex(value: Any) -> bool:
    return isinstance(value, COMPILED)


def register(context: Any) -> None:
    """Makes them known to the expressions of this context."""
    for function in OF_COMPILED:
        known = specs.get_function_definition(function, convention=CONVENTION)
        known.set_parameter("regexp", COMPILED, overwrite=True)
        context.register_function(known)
    _add(context, regex, "regex", "pattern")
    _add(context, is_regex, "isRegex")
    _add(context, matches, "matches", "string", "regexp", method=True)
    _add(context, matches, "#operator_=~", "string", "regexp")
    _add(context, matches_not, "#operator_!~", "string", "regexp")
    context.register_function(library.escape_regex)


def _add(context: Any, function: Any, name: str, *strings: str, method: bool = False) -> None:
    """`strings` are its parameters that take nothing but a string; a method is called as one."""
    known = specs.get_function_definition(function, name=name, function=not method, method=method, convention=CONVENTION)
    for parameter in strings: known.set_parameter(parameter, yaqltypes.String(), overwrite=True)
    context.register_function(known)
