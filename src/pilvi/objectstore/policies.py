"""Storage policies: in how many copies, or fragments, a container's objects are kept, and in which ring.

Source: Object Storage API, `X-Storage-Policy`; a container has one policy for its life.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from pilvi.core.errors import Invalid


class UnknownPolicy(Invalid):
    """Invalid X-Storage-Policy '{name}'"""


class Policy(Struct, frozen=True, kw_only=True):
    """One policy. `replicas` counts copies, or for erasure coding fragments (data + parity)."""
    index: int
    name: str
    replicas: float = 1
    default: bool = False
    deprecated: bool = False
    """No new containers."""
    data_fragments: int = 0
    """0: whole copies; else erasure coding: any so many of the fragments give the object back."""

    @property
    def folder(self) -> str:
        """Below a device."""
        return f"objects-{self.index}" if self.index else "objects"

    @property
    def erasure_coded(self) -> bool:
        return self.data_fragments > 0

    @property
    def parity_fragments(self) -> int:
        return int(self.replicas) - self.data_fragments if self.data_fragments else 0


class Policies:
    """All policies of a cluster; the first is the default unless one says it is."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._by_index = {policy.index: policy for policy in policies}
        self.default = next((policy for policy in policies if policy.default), policies[0])

    def __iter__(self) -> Iterator[Policy]:
        return iter(self._by_index.values())

    def __getitem__(self, index: int) -> Policy:
        """Raises KeyError."""
        return self._by_index[index]

    def named(self, name: str) -> Policy:
        """By name, whatever its case. Raises UnknownPolicy; a deprecated one is found too."""
        for policy in self:
            if policy.name.lower() == name.lower(): return policy
        raise UnknownPolicy(name=name)
