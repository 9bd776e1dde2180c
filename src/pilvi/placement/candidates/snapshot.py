"""What there is: all providers with their inventories, traits and aggregates, as of one moment.

Whoever keeps a snapshot brings it up to date with `replace` and `retain`; a search only reads it.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

SHARING = "MISC_SHARES_VIA_AGGREGATE"
"""Providers with this trait give to all trees that are in one of their aggregates."""


class Stock(Struct, gc=False):
    """One inventory. `room` is what can still be taken, `capacity` what could be taken in all."""
    capacity: float
    used: int
    room: float
    least: int
    most: int
    step: int

    def gives(self, amount: int) -> bool:
        """Can this amount be taken, as one portion?"""
        return amount <= self.room and self.least <= amount <= self.most and amount % self.step == 0


class Provider(Struct, gc=False):
    """A resource provider. `rendered` keeps what was once made of it for an answer, until it changes."""
    id: str
    name: str
    generation: int
    parent_id: str | None
    root_id: str
    updated_at: float
    traits: frozenset[str]
    aggregates: frozenset[str]
    stocks: dict[str, Stock]
    rendered: dict[Any, Any] = {}


class Snapshot:
    """All providers, by id and by tree."""

    def __init__(self) -> None:
        self.number = -1
        """The last change that is in it (see resources/gate.py)."""
        self.providers: dict[str, Provider] = {}
        self.trees: dict[str, dict[str, Provider]] = {}
        self.sharing: dict[str, Provider] = {}

    def replace(self, changed: Iterable[Provider]) -> None:
        """Takes in providers that are new or have changed."""
        for one in changed:
            if (old := self.providers.get(one.id)) is not None and old.root_id != one.root_id: self._forget(old)
            self.providers[one.id] = one
            self.trees.setdefault(one.root_id, {})[one.id] = one
            if SHARING in one.traits: self.sharing[one.id] = one
            else: self.sharing.pop(one.id, None)

    def retain(self, ids: set[str]) -> None:
        """Drops all other providers."""
        for id in self.providers.keys() - ids: self._forget(self.providers[id])

    def _forget(self, one: Provider) -> None:
        del self.providers[one.id]
        self.sharing.pop(one.id, None)
        tree = self.trees[one.root_id]
        del tree[one.id]
        if not tree: del self.trees[one.root_id]
