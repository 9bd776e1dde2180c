"""Order among things that require one another. Pure."""
from __future__ import annotations

from collections.abc import Iterable, Mapping

from pilvi.orchestration.errors import DependencyCycle


def check_acyclic(requires: Mapping[str, Iterable[str]]) -> None:
    """Raises DependencyCycle with the way round. `requires`: {name: names it comes after}."""
    done: set[str] = set()
    for start in requires:
        if start in done: continue
        path: list[str] = []
        inside: set[str] = set()
        stack = [(start, iter(sorted(requires.get(start, ()))))]
        path.append(start)
        inside.add(start)
        while stack:
            name, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                path.pop()
                inside.discard(name)
                done.add(name)
            elif following in inside: raise DependencyCycle(cycle=" -> ".join([*path[path.index(following):], following]))
            elif following not in done:
                stack.append((following, iter(sorted(requires.get(following, ())))))
                path.append(following)
                inside.add(following)


def reversed_edges(requires: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """{name: names that come after it}"""
    followers: dict[str, list[str]] = {name: [] for name in requires}
    for name, needed in requires.items():
        for other in needed: followers.setdefault(other, []).append(name)
    return followers
