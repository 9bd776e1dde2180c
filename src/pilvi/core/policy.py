"""Who may do what: oslo.policy's rule language, compiled to closures (a check costs about a microsecond; oslo.policy's own 150).

    role:member and project_id:%(project_id)s        what the token says against what the target says
    rule:admin or not (role:reader and …)            other rules, and/or/not, parentheses; @ always, ! never
    'public':%(visibility)s    True:%(enabled)s      a literal against the target
    user.id:%(target.trust.trustor_id)s              dots go into nested values on both sides

Source: oslo.policy, "policy language"; a test compares both on random rules. Unlike there, a rule that cannot be understood is an error
and not a silent refusal, and `http:` checks are refused: a question to another server per request is not what an API should wait for.
"""
from __future__ import annotations

import ast
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

RELOAD_SECONDS = 1.0
WORDS = {True: "yes", False: "no"}
REFERENCE = re.compile(r"%\(([^()]+)\)s")

Creds = Mapping[str, Any]
Target = Mapping[str, Any]
Check = Callable[[Creds, Target], bool]
ALWAYS: Check = lambda creds, target: True  # noqa: E731
NEVER: Check = lambda creds, target: False  # noqa: E731
Text = str | Sequence[str | Sequence[str]]
"""A rule as written: the language, or the older list of lists (an "or" of "and"s)."""

log = logging.getLogger("pilvi.policy")


class PolicyInvalid(ValueError):
    """A rule that cannot be understood; the text says which and why."""


class Rule(Struct, frozen=True):
    """A rule as a service declares it."""
    check: Text
    scope_types: tuple[str, ...] = ()
    """Which tokens may use it at all: system, domain, project. Empty: any."""
    description: str = ""
    deprecated_name: str | None = None
    """Its former name; a policy file that overrides that one still counts."""


class Node(Struct, frozen=True):
    """A part of a rule: `kind` is all, any, not, rule, role, always, never or the left side of a comparison."""
    kind: str
    match: str = ""
    parts: tuple[Node, ...] = ()

    def __str__(self) -> str:
        fixed = {"all": "all of", "any": "any of", "not": "not", "always": "@", "never": "!"}
        return fixed.get(self.kind) or f"{self.kind.removeprefix('=')}:{self.match}"


class Rules:
    """A service's rules, with an operator's file over them that is read again when it changes."""

    def __init__(self, defaults: Mapping[str, Rule], path: Path | None = None) -> None:
        """Raises PolicyInvalid for a default or a file that cannot be understood: a service must not start half protected."""
        self._defaults, self._path = dict(defaults), path
        self._lock, self._look_at = threading.Lock(), 0.0
        self._seen: tuple[int, int] | None = None
        self.problem: str | None = None
        """Why the file as it is now is not in force; None when all is well."""
        self._nodes: dict[str, Node] = {}
        self._checks: dict[str, tuple[tuple[str, ...], Check]] = {}
        self._take(self._read())

    def allows(self, name: str, creds: Creds, target: Target) -> bool:
        """Whether a caller with these credentials may do it to this target. A rule that does not exist refuses."""
        if self._path and time.monotonic() >= self._look_at: self._refresh()
        scope_types, check = self._checks.get(name) or self._checks.get("default") or ((), NEVER)
        if scope_types and _scope(creds) not in scope_types: return False
        return check(creds, target)

    def explain(self, name: str, creds: Creds, target: Target) -> list[str]:
        """Why: a tree, a line for each part of the rule, with yes or no and the values compared."""
        lines = [f"{name}: {WORDS[self.allows(name, creds, target)]}"]
        scope_types, _ = self._checks.get(name, ((), NEVER))
        if scope_types:
            lines.append(f"  scope {' or '.join(scope_types)}: {WORDS[_scope(creds) in scope_types]} (the token's is {_scope(creds)})")
        if not (node := self._nodes.get(name) or self._nodes.get("default")): return [*lines, "  there is no such rule: no"]
        self._describe(node, creds, target, "  ", lines)
        return lines

    def _describe(self, node: Node, creds: Creds, target: Target, indent: str, lines: list[str]) -> None:
        answer = _compiled(node, self._nodes, {}, ())(creds, target)
        lines.append(f"{indent}{node}: {WORDS[answer]}{_facts(node, creds, target)}")
        parts = node.parts
        if node.kind == "rule" and (referred := self._nodes.get(node.match) or self._nodes.get("default")): parts = (referred,)
        for part in parts: self._describe(part, creds, target, indent + "  ", lines)

    def _refresh(self) -> None:
        with self._lock:
            if time.monotonic() < self._look_at: return
            self._look_at = time.monotonic() + RELOAD_SECONDS
            if self._signature() == self._seen: return
            try: self._take(self._read())
            except (PolicyInvalid, OSError) as error:
                self.problem = f"{self._path}: {error}"
                log.error("the policy file is not in force, the rules from before are: %s", self.problem)
            else: self.problem = None

    def _signature(self) -> tuple[int, int] | None:
        """When the file was changed last and its size; None: there is none, so the defaults hold."""
        try: found = os.stat(self._path or "")
        except FileNotFoundError: return None
        return found.st_mtime_ns, found.st_size

    def _read(self) -> dict[str, Text]:
        self._seen = self._signature()
        if self._path is None or self._seen is None: return {}
        try: content = yaml.safe_load(self._path.read_text()) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error: raise PolicyInvalid(f"neither YAML nor JSON: {error}") from error
        if not isinstance(content, dict): raise PolicyInvalid("rules are expected as 'name: rule'")
        return content

    def _take(self, overrides: Mapping[str, Text]) -> None:
        """Puts defaults and overrides in force, together or not at all."""
        texts: dict[str, Text] = {name: rule.check for name, rule in self._defaults.items()}
        texts |= {name: overrides[old] for name, rule in self._defaults.items() if (old := rule.deprecated_name) and old in overrides}
        texts |= overrides
        nodes, checks = dict[str, Node](), dict[str, Check]()
        for name, text in texts.items():
            try: nodes[name] = parse(text)
            except PolicyInvalid as error: raise PolicyInvalid(f"{name}: {error}") from None
        for name in nodes: _referred(name, nodes, checks, ())
        self._nodes = nodes
        self._checks = {name: (self._defaults[name].scope_types if name in self._defaults else (), check) for name, check in checks.items()}


def parse(text: Text) -> Node:
    """The parts of a rule. An empty rule allows. Raises PolicyInvalid."""
    if not isinstance(text, str | list | tuple): raise PolicyInvalid(f"{text!r} is neither a rule nor a list")
    if not text: return Node("always")
    if isinstance(text, str):
        tokens = _tokens(text)
        node = _expression(tokens, text)
        if not tokens: return node
        raise PolicyInvalid(f"{text!r}: '{tokens[0]}' is not expected there")
    groups = [[inner] if isinstance(inner, str) else inner for inner in text if inner]
    alternatives = [_joined("all", [_leaf(check) for check in group]) for group in groups]
    return _joined("any", alternatives) if alternatives else Node("never")


def _tokens(text: str) -> list[str]:
    """Words; parentheses count only at a word's ends, within they belong to %(…)s."""
    tokens: list[str] = []
    for word in text.split():
        bare = word.lstrip("(")
        core = bare.rstrip(")")
        tokens += ["("] * (len(word) - len(bare)) + ([core] if core else []) + [")"] * (len(bare) - len(core))
    return tokens


def _expression(tokens: list[str], text: str, words: tuple[str, ...] = ("or", "and")) -> Node:
    """Takes an expression off the tokens; `words` join its parts, the loosest first."""
    if not words: return _single(tokens, text)
    parts = [_expression(tokens, text, words[1:])]
    while tokens and tokens[0].lower() == words[0]:
        del tokens[0]
        parts.append(_expression(tokens, text, words[1:]))
    return _joined("any" if words[0] == "or" else "all", parts)


def _single(tokens: list[str], text: str) -> Node:
    token = tokens.pop(0) if tokens else ""
    if token.lower() == "not": return Node("not", parts=(_single(tokens, text),))
    if token == "(":
        node = _expression(tokens, text)
        if not tokens or tokens.pop(0) != ")": raise PolicyInvalid(f"{text!r}: a parenthesis is not closed")
        return node
    if token.lower() in ("", ")", "and", "or"): raise PolicyInvalid(f"{text!r}: a check is missing")
    return _leaf(token)


def _joined(kind: str, parts: list[Node]) -> Node:
    return parts[0] if len(parts) == 1 else Node(kind, parts=tuple(parts))


def _leaf(token: str) -> Node:
    if token in ("@", "!"): return Node("always" if token == "@" else "never")
    kind, colon, match = token.partition(":")
    if not colon: raise PolicyInvalid(f"'{token}' is no check: 'kind:value' is expected")
    if kind in ("http", "https"): raise PolicyInvalid(f"'{token}': {kind} checks are not offered here")
    if "%" in REFERENCE.sub("", match).replace("%%", ""): raise PolicyInvalid(f"'{token}': only %(name)s can be filled in")
    return Node(kind if kind in ("rule", "role") else "=" + kind, match)


def _referred(name: str, nodes: Mapping[str, Node], checks: dict[str, Check], above: tuple[str, ...]) -> Check:
    """The check of a rule by name, compiled once. Raises PolicyInvalid for rules that lead back to themselves."""
    if name not in nodes: name = "default"
    if name in above: raise PolicyInvalid(f"rules in a circle: {' > '.join((*above, name))}")
    if name not in nodes: return NEVER
    if name not in checks: checks[name] = _compiled(nodes[name], nodes, checks, (*above, name))
    return checks[name]


def _compiled(node: Node, nodes: Mapping[str, Node], checks: dict[str, Check], above: tuple[str, ...]) -> Check:
    if node.kind in ("always", "never"): return ALWAYS if node.kind == "always" else NEVER
    if node.kind == "rule": return _referred(node.match, nodes, checks, above)
    if node.kind == "role": return _role(node.match)
    if node.kind.startswith("="): return _comparison(node.kind[1:], node.match)
    parts = [_compiled(part, nodes, checks, above) for part in node.parts]
    first, last = parts[0], parts[-1]
    if node.kind == "not": return lambda creds, target: not first(creds, target)
    if len(parts) == 2 and node.kind == "all": return lambda creds, target: first(creds, target) and last(creds, target)
    if len(parts) == 2: return lambda creds, target: first(creds, target) or last(creds, target)
    if node.kind == "all": return lambda creds, target: all(part(creds, target) for part in parts)
    return lambda creds, target: any(part(creds, target) for part in parts)


def _role(match: str) -> Check:
    wanted = _filled(match)

    def has_role(creds: Creds, target: Target) -> bool:
        role = wanted(target)
        roles = creds.get("roles") or ()
        return role is not None and (role in roles or role.lower() in [each.lower() for each in roles])
    return has_role


def _comparison(kind: str, match: str) -> Check:
    """What the token (or a literal) says against the target; as text, as in oslo.policy: None equals None."""
    wanted, literal, path = _filled(match), _literal(kind), kind.split(".")
    if literal is not None: return lambda creds, target: wanted(target) == literal

    def same(creds: Creds, target: Target) -> bool:
        text = wanted(target)
        if text is None: return False
        if len(path) == 1 and type(value := creds.get(kind)) is str: return value == text
        if kind == "system" and creds.get("system_scope"): return str(creds["system_scope"]) == text
        return _holds(creds, path, text)
    return same


def _literal(kind: str) -> str | None:
    try: return str(ast.literal_eval(kind))
    except (ValueError, SyntaxError): return None


def _holds(value: Any, path: Sequence[str], text: str) -> bool:
    """Whether the text is found there; of a list, any item may hold it."""
    if not path: return str(value) == text
    if not isinstance(value, Mapping) or path[0] not in value: return False
    value = value[path[0]]
    return any(_holds(item, path[1:], text) for item in value) if isinstance(value, list) else _holds(value, path[1:], text)


def _filled(template: str) -> Callable[[Target], str | None]:
    """Fills the target's values in; None when one is missing, and then the check refuses."""
    if "%" not in template: return lambda target: template
    if whole := REFERENCE.fullmatch(template):
        only = whole[1]

        def value(target: Target) -> str | None:
            try: found = target[only] if only in target else _nested(target, only)
            except KeyError: return None
            return found if type(found) is str else str(found)
        return value

    def text(target: Target) -> str | None:
        try: return template % {key: target[key] if key in target else _nested(target, key) for key in REFERENCE.findall(template)}
        except KeyError: return None
    return text


def _nested(value: Any, key: str) -> Any:
    for word in key.split("."):
        if not isinstance(value, Mapping): raise KeyError(key)
        value = value[word]
    return value


def _scope(creds: Creds) -> str:
    if creds.get("system") or creds.get("system_scope"): return "system"
    return "domain" if creds.get("domain_id") else "project"


def _facts(node: Node, creds: Creds, target: Target) -> str:
    """The values behind an answer, for explain."""
    if node.kind == "role": return f" (roles: {', '.join(creds.get('roles') or ()) or 'none'})"
    if not node.kind.startswith("="): return ""
    text, kind = _filled(node.match)(target), node.kind[1:]
    asked = "the target does not say" if text is None else f"wanted {text!r}"
    if _literal(kind) is not None: return f" ({asked})"
    try: return f" ({asked}, the token says {str(_nested(creds, kind))!r})"
    except KeyError: return f" ({asked}, the token does not say)"
