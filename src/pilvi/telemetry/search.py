"""The query language of the metric API: JSON trees ({"and": [{"=": {"project_id": "x"}}, …]}), or text (project_id = "x" and …).

Source: Gnocchi REST API, "Search". `checked` gives trees with one spelling of each operator; sqlalchemy is not known here.
"""
from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

from pilvi.telemetry import errors

COMPARISONS = {"=": "=", "==": "=", "eq": "=", "<": "<", "lt": "<", ">": ">", "gt": ">", "<=": "<=", "≤": "<=", "le": "<=",
               ">=": ">=", "≥": ">=", "ge": ">=", "!=": "!=", "≠": "!=", "ne": "!=", "like": "like", "in": "in"}
JUNCTIONS = {"and": "and", "∧": "and", "or": "or", "∨": "or"}
SCALAR = (str, int, float, bool, type(None))
DEEPEST, LONGEST_TEXT, MOST_TERMS = 40, 10_000, 900
"""SQLite takes expressions 1000 deep, and joins terms one after another."""
Tree = dict[str, Any]


def checked(tree: Any) -> Tree:
    """A JSON query, checked: {"and"|"or": [tree]}, {"not": tree} or {operator: {attribute: value}}; {} matches everything.
    Raises Malformed."""
    return _checked(tree, 0, [MOST_TERMS])


def _checked(tree: Any, depth: int, left: list[int]) -> Tree:
    left[0] -= 1
    if left[0] < 0: raise errors.invalid(f"the query has more than {MOST_TERMS} terms")
    if not isinstance(tree, dict): raise errors.invalid("expected a dictionary")
    if not tree: return {}
    if len(tree) > 1: raise errors.invalid("length of value must be at most 1")
    if depth > DEEPEST: raise errors.invalid("the query is nested too deeply")
    word, inner = next(iter(tree.items()))
    if word in JUNCTIONS:
        if not isinstance(inner, list) or not inner: raise errors.invalid("expected a list with at least one query", word)
        return {JUNCTIONS[word]: [_checked(part, depth + 1, left) for part in inner]}
    if word == "not": return {"not": _checked(inner, depth + 1, left)}
    if word not in COMPARISONS: raise errors.invalid("extra keys not allowed", word)
    if not isinstance(inner, dict) or len(inner) != 1: raise errors.invalid("expected a dictionary with one attribute", word)
    name, value = next(iter(inner.items()))
    if word == "like" and name == "id": raise errors.invalid("value must not be one of ['id']", word, "id")
    if word == "in":
        if not isinstance(value, list) or not value: raise errors.invalid("expected a list with at least one value", word, name)
        for index, one in enumerate(value): _scalar(one, word, name, index)
    else: _scalar(value, word, name)
    return {COMPARISONS[word]: {name: value}}


def _scalar(value: Any, *path: Any) -> None:
    if not isinstance(value, SCALAR): raise errors.invalid("expected a text, a number, a boolean or null", *path)


TOKEN = re.compile(r"""\s*(?:
    (?P<text>"[^"]*"|'[^']*') | (?P<open>[(\[]) | (?P<close>[)\]]) | (?P<comma>,) |
    (?P<operator><=|>=|!=|==|=|<|>|≠|≤|≥|∧|∨) |
    (?P<uuid>[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\b) |
    (?P<number>[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?(?![\w.])) | (?P<word>[A-Za-z][\w.]*)
)""", re.VERBOSE)
WORDS: dict[str, Any] = {"none": None, "null": None, "true": True, "false": False}


def parsed(text: str) -> Tree:
    """A query that was written as text, as a checked tree. Raises Malformed."""
    if len(text) > LONGEST_TEXT: raise errors.Malformed(reason="Invalid filter: it is too long")
    tokens: list[tuple[str, str]] = []
    at = 0
    while at < len(text.rstrip()):
        found = TOKEN.match(text, at)
        if found is None or not found.lastgroup: raise _unreadable(text, at)
        tokens.append((found.lastgroup, found[found.lastgroup]))
        at = found.end()
    reader = _Reader(text, tokens)
    tree = reader.disjunction(0)
    if reader.at != len(tokens): raise _unreadable(text, reader.at)
    return checked(tree)


def _unreadable(text: str, at: int) -> errors.Malformed:
    return errors.Malformed(reason=f"Invalid filter: it cannot be understood at {at} ({text[:100]!r})")


class _Reader:
    """Recursive descent: or, and, not, comparison."""

    def __init__(self, text: str, tokens: list[tuple[str, str]]) -> None:
        self.text, self.tokens, self.at = text, tokens, 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def next(self) -> tuple[str, str]:
        token = self.peek()
        self.at += 1
        return token

    def disjunction(self, depth: int) -> Tree:
        return self._joined("or", lambda: self._joined("and", lambda: self.term(depth)))

    def _joined(self, word: str, part: Callable[[], Tree]) -> Tree:
        parts = [part()]
        while JUNCTIONS.get(self.peek()[1]) == word and self.peek()[0] in ("word", "operator"):
            self.next()
            parts.append(part())
        return parts[0] if len(parts) == 1 else {word: parts}

    def term(self, depth: int) -> Tree:
        if depth > DEEPEST: raise _unreadable(self.text, self.at)
        if self.peek() == ("word", "not"):
            self.next()
            return {"not": self.term(depth + 1)}
        if self.peek() == ("open", "("):
            self.next()
            inner = self.disjunction(depth + 1)
            if self.next() != ("close", ")"): raise _unreadable(self.text, self.at)
            return inner
        kind, name = self.next()
        word = self.next()[1]
        if kind not in ("word", "text") or word not in COMPARISONS: raise _unreadable(self.text, self.at)
        return {word: {name.strip("'\"") if kind == "text" else name: self.value()}}

    def value(self) -> Any:
        kind, text = self.next()
        if kind == "text": return text[1:-1]
        if kind == "uuid": return text
        if kind == "number": return float(text)
        if kind == "word": return WORDS.get(text.lower(), text)
        if (kind, text) == ("open", "["): return self._list()
        raise _unreadable(self.text, self.at)

    def _list(self) -> list[Any]:
        found: list[Any] = []
        while self.peek() != ("close", "]"):
            found.append(self.value())
            if self.peek()[0] == "comma": self.next()
            elif self.peek() != ("close", "]"): raise _unreadable(self.text, self.at)
        self.next()
        return found


# -- queries over values (search in a metric's measures)

MOST_VALUE_TERMS = 50
"""Each is looked at for each measure."""
VALUE_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge, "!=": operator.ne,
    "%": operator.mod, "mod": operator.mod, "+": operator.add, "add": operator.add, "-": operator.sub, "sub": operator.sub,
    "*": operator.mul, "×": operator.mul, "mul": operator.mul, "/": operator.truediv, "÷": operator.truediv, "div": operator.truediv,
    "**": operator.pow, "^": operator.pow, "pow": operator.pow}


def predicate(tree: Any) -> Callable[[float], Any]:
    """A query over a value ({"and": [{">=": 50}, {"=": [{"%": 2}, 0]}]}) as a function. Raises Malformed."""
    return _predicate(tree, 0, [MOST_VALUE_TERMS])


def _predicate(tree: Any, depth: int, left: list[int]) -> Callable[[float], Any]:
    left[0] -= 1
    if left[0] < 0: raise errors.invalid(f"the query has more than {MOST_VALUE_TERMS} terms")
    if not isinstance(tree, dict) or len(tree) != 1: raise errors.invalid("expected a dictionary with one operator")
    if depth > DEEPEST: raise errors.invalid("the query is nested too deeply")
    word, inner = next(iter(tree.items()))
    if word in JUNCTIONS or word == "not":
        if not isinstance(inner, list) or not inner: raise errors.invalid("expected a list", word)
        parts = [_predicate(part, depth + 1, left) for part in inner]
        if word == "not": return lambda value: not any(part(value) for part in parts)
        join = all if JUNCTIONS[word] == "and" else any
        return lambda value: join(part(value) for part in parts)
    act = VALUE_OPERATORS.get(COMPARISONS.get(str(word), str(word)))
    if act is None or word in ("in", "like"): raise errors.invalid("extra keys not allowed", word)
    if _number(inner): return lambda value: _safely(act, value, inner)
    if not isinstance(inner, list) or len(inner) != 2: raise errors.invalid("expected a number or two operands", word)
    first, second = (_operand(part, depth + 1, left) for part in inner)
    return lambda value: _safely(act, first(value), second(value))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _operand(part: Any, depth: int, left: list[int]) -> Callable[[float], Any]:
    return (lambda value: part) if _number(part) else _predicate(part, depth, left)


def _safely(act: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """As floats, since whole numbers to the power of others can be too large for any machine."""
    try: return act(float(left), float(right))
    except (ZeroDivisionError, OverflowError, TypeError): return float("nan")
