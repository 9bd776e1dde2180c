"""One choice for each group as one candidate, if the choices go together."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from pilvi.placement.candidates.request import Request
from pilvi.placement.candidates.snapshot import Provider

if TYPE_CHECKING:
    from pilvi.placement.candidates.search import Choice


class Candidate(Struct, gc=False):
    """Who would give what. `mappings`: {suffix: provider ids}."""
    allocations: list[tuple[str, dict[str, int]]]
    mappings: dict[str, list[str]]

    def key(self) -> object:
        """Equal for equal candidates."""
        return (frozenset((id, frozenset(amounts.items())) for id, amounts in self.allocations),
                frozenset((suffix, frozenset(ids)) for suffix, ids in self.mappings.items()))


def merged(choices: Sequence[Choice], request: Request, providers: Mapping[str, Provider]) -> Candidate | None:
    """The candidate of one choice per group; None if together they ask too much or break a rule over groups."""
    sums: dict[str, dict[str, int]] = {}
    for choice in choices:
        for one, name, amount in choice.givers:
            amounts = sums.setdefault(one.id, {})
            amounts[name] = amounts.get(name, 0) + amount
    for id, amounts in sums.items():
        stocks = providers[id].stocks
        if any(amount > stocks[name].room or amount > stocks[name].most for name, amount in amounts.items()): return None
    mappings = {choice.suffix: [one.id for one in choice.providers] for choice in choices}
    if request.isolate:
        apart = [ids[0] for suffix, ids in mappings.items() if suffix]
        if len(set(apart)) < len(apart): return None
    if not all(_one_subtree({id for suffix in names for id in mappings[suffix]}, providers) for names in request.same_subtree): return None
    if not request.nested and _spans_a_tree(sums, providers): return None
    return Candidate(list(sums.items()), mappings)


def _one_subtree(ids: set[str], providers: Mapping[str, Provider]) -> bool:
    """Is one of them an ancestor of all the others?"""
    return bool(set.intersection(*(_ancestors(id, providers) for id in ids)) & ids)


def _ancestors(id: str, providers: Mapping[str, Provider]) -> set[str]:
    """The provider and all above it."""
    found: set[str] = set()
    at: str | None = id
    while at is not None and at in providers and at not in found:
        found.add(at)
        at = providers[at].parent_id
    return found


def _spans_a_tree(ids: Mapping[str, object], providers: Mapping[str, Provider]) -> bool:
    roots = [providers[id].root_id for id in ids]
    return len(set(roots)) < len(roots)
