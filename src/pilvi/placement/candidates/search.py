"""Which providers fit: for each tree, each group's choices, merged (merge.py) into whole candidates.

Most clouds are ten thousand trees of one provider and one group without a suffix; that case is a single loop without any product.
"""
from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product

from msgspec import Struct

from pilvi.placement.candidates.merge import Candidate, merged
from pilvi.placement.candidates.request import Group, Request
from pilvi.placement.candidates.snapshot import Provider, Snapshot


class Choice(Struct):
    """One way to satisfy one group."""
    suffix: str
    givers: list[tuple[Provider, str, int]]
    """(provider, resource class, amount)"""
    providers: list[Provider]
    """Who it is mapped to; a group without resources has a provider and gives nothing."""


def search(snapshot: Snapshot, request: Request, start: int = 0) -> list[Candidate]:
    """The candidates, at most `limit`. `start` says at which tree to begin, so that a limit does not always favour the same hosts."""
    roots = list(snapshot.trees)
    begin = start % len(roots) if roots else 0
    found = _plain(snapshot, request, [*roots[begin:], *roots[:begin]])
    return list(islice(found, request.limit))


def _plain(snapshot: Snapshot, request: Request, roots: list[str]) -> Iterator[Candidate]:
    simple = len(request.groups) == 1 and not request.groups[0].suffix and not snapshot.sharing
    group = request.groups[0]
    seen: set[object] = set()
    if (only := _tree_of(snapshot, group)) is not None and simple: roots = [root for root in (only,) if root in snapshot.trees]
    for root in roots:
        tree = snapshot.trees[root]
        head = tree.get(root)
        if head is None or not request.root_required <= head.traits or request.root_forbidden & head.traits: continue
        if simple and len(tree) == 1:
            if _suits(head, group) and _gives(head, group):
                yield Candidate([(head.id, group.resources)], {"": [head.id]})
            continue
        for candidate in _in_tree(snapshot, request, tree):
            key = candidate.key()
            if key not in seen:
                seen.add(key)
                yield candidate


def _gives(one: Provider, group: Group) -> bool:
    stocks = one.stocks
    for name, amount in group.resources.items():
        stock = stocks.get(name)
        if stock is None or not stock.gives(amount): return False
    return True


def _suits(one: Provider, group: Group) -> bool:
    """Do traits and aggregates allow it to satisfy the group alone?"""
    if group.forbidden and group.forbidden & one.traits: return False
    for names in group.required:
        if not names & one.traits: return False
    return _belongs(one.aggregates, group)


def _belongs(aggregates: frozenset[str], group: Group) -> bool:
    return not group.not_member_of & aggregates and all(names & aggregates for names in group.member_of)


def _tree_of(snapshot: Snapshot, group: Group) -> str | None:
    """The root that in_tree means; "" if that provider does not exist, None if none is asked."""
    if group.in_tree is None: return None
    named = snapshot.providers.get(group.in_tree)
    return named.root_id if named else ""


def _in_tree(snapshot: Snapshot, request: Request, tree: dict[str, Provider]) -> Iterator[Candidate]:
    around = frozenset().union(*(one.aggregates for one in tree.values()))
    pool = [*tree.values(), *(one for one in snapshot.sharing.values() if one.id not in tree and one.aggregates & around)]
    choices = []
    for group in request.groups:
        found = list(_alone(snapshot, group, pool) if group.suffix else _together(snapshot, group, pool))
        if not found: return
        choices.append(found)
    for combination in product(*choices):
        candidate = merged(combination, request, snapshot.providers)
        if candidate is not None: yield candidate


def _alone(snapshot: Snapshot, group: Group, pool: list[Provider]) -> Iterator[Choice]:
    """A group with a suffix: one provider for all of it."""
    only = _tree_of(snapshot, group)
    for one in pool:
        if (only is None or one.root_id == only) and _suits(one, group) and _gives(one, group):
            yield Choice(group.suffix, [(one, name, amount) for name, amount in group.resources.items()], [one])


def _together(snapshot: Snapshot, group: Group, pool: list[Provider]) -> Iterator[Choice]:
    """The group without a suffix: each class from any provider; the traits of all who give count together."""
    only = _tree_of(snapshot, group)
    fit = [one for one in pool if (only is None or one.root_id == only) and not group.forbidden & one.traits
           and _belongs_by_root(snapshot, one, group)]
    options = []
    for name, amount in group.resources.items():
        givers = [(one, name, amount) for one in fit if name in one.stocks and one.stocks[name].gives(amount)]
        if not givers: return
        options.append(givers)
    for combination in product(*options):
        traits = frozenset().union(*(one.traits for one, _, _ in combination))
        if all(names & traits for names in group.required):
            yield Choice("", list(combination), list({one.id: one for one, _, _ in combination}.values()))


def _belongs_by_root(snapshot: Snapshot, one: Provider, group: Group) -> bool:
    """What is asked of aggregates may be true of the provider or of its root; what is forbidden must be true of neither."""
    if not group.member_of and not group.not_member_of: return True
    root = snapshot.providers.get(one.root_id, one)
    if group.not_member_of & (one.aggregates | root.aggregates): return False
    return all(names & (one.aggregates | root.aggregates) for names in group.member_of)


def matching(snapshot: Snapshot, group: Group, name: str | None = None) -> Iterator[Provider]:
    """The providers that satisfy the group each by itself (the filters of GET /resource_providers)."""
    only = _tree_of(snapshot, group)
    for one in (snapshot.providers if only is None else snapshot.trees.get(only, {})).values():
        if (name is None or one.name == name) and _suits(one, group) and _gives(one, group): yield one
