"""Routes as a tree of path segments: one dictionary step per segment, so that a hundred routes cost no more than one.

A pattern has literal segments, `{name}` for one segment and, at its end, `{name:path}` for the rest.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from pilvi.core.errors import NotAllowed, NotFound
from pilvi.core.wire import version

ANYONE = ""
"""The policy of a route that needs no token."""


@dataclass(frozen=True, slots=True)
class Route:
    """One path and method, with who may call it. The function gets `(call, **path parameters)` and returns a body or a Response.

    `policy` is a rule's name, checked before the function runs; ANYONE: no token needed; None: the function checks, with its target.
    `transaction`: "read", "write" or None, what the function finds in `call.db`. `body`: JSON Schema of the request's body, or a function
    of the microversion that gives it. `stream`: an async function `(call, receive, send, **parameters)` for bodies that do not fit in
    memory.
    `story`: names that acts of this request have in a trace that begins with it.
    """
    path: str
    method: str
    function: Callable[..., Any]
    policy: str | None
    since: tuple[int, int] | None = None
    until: tuple[int, int] | None = None
    status: int = 200
    transaction: str | None = None
    body: Any = None
    stream: bool = False
    story: dict[str, str] | None = None
    raw: bool = False
    """The function reads the request's body itself, whatever type it is said to have."""


def route(path: str, method: str, function: Callable[..., Any], policy: str | None, *, since: str | None = None, until: str | None = None,
          **options: Any) -> Route:
    """A Route with microversions written as text."""
    return Route(path, method, function, policy, version(since) if since else None, version(until) if until else None, **options)


@dataclass(slots=True)
class Node:
    """A place in the tree."""
    literal: dict[str, Node] = field(default_factory=dict)
    parameter: tuple[str, Node] | None = None
    rest: tuple[str, Node] | None = None
    routes: dict[str, list[Route]] = field(default_factory=dict)


class Routes:
    """All routes of a service."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.root = Node()
        self.all = list(routes)
        for entry in self.all: self._add(entry)

    def _add(self, entry: Route) -> None:
        node = self.root
        for segment in entry.path.strip("/").split("/") if entry.path.strip("/") else []:
            if segment.endswith(":path}"):
                node.rest = node.rest or (segment[1:-6], Node())
                node = node.rest[1]
            elif segment.startswith("{"):
                node.parameter = node.parameter or (segment[1:-1], Node())
                node = node.parameter[1]
            else:
                node = node.literal.setdefault(segment, Node())
        node.routes.setdefault(entry.method, []).append(entry)

    def find(self, path: str) -> tuple[Node, list[str]]:
        """The node of a path (percent-encoded, as it came) and its parameters' values. Raises NotFound."""
        segments = [unquote(segment) for segment in path.strip("/").split("/")] if path.strip("/") else []
        found = self._walk(self.root, segments, 0)
        if found is None: raise NotFound()
        return found

    def _walk(self, node: Node, segments: list[str], at: int) -> tuple[Node, list[str]] | None:
        if at == len(segments): return (node, []) if node.routes else None
        if (child := node.literal.get(segments[at])) is not None:
            found = self._walk(child, segments, at + 1)
            if found is not None: return found
        if node.parameter is not None and segments[at]:
            found = self._walk(node.parameter[1], segments, at + 1)
            if found is not None: return found[0], [segments[at], *found[1]]
        if node.rest is not None: return node.rest[1], ["/".join(segments[at:])]
        return None

    def names(self, entry: Route) -> list[str]:
        """The parameters of a route in order."""
        return [s[1:-1].removesuffix(":path") for s in entry.path.split("/") if s.startswith("{")]


def offered(node: Node, method: str) -> list[Route]:
    """The routes of a method at any microversion; HEAD is a GET whose body stays behind."""
    return node.routes.get(method) or (node.routes.get("GET", []) if method == "HEAD" else [])


def choose(node: Node, method: str, version: tuple[int, int]) -> Route:
    """The route of a method at a microversion. Raises NotAllowed (the method), NotFound (not at this microversion)."""
    candidates = offered(node, method)
    if not candidates: raise NotAllowed(method=method, allow=", ".join(sorted(node.routes)))
    for entry in candidates:
        if (entry.since is None or version >= entry.since) and (entry.until is None or version <= entry.until): return entry
    raise NotFound()
