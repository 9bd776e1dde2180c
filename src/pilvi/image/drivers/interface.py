"""What a store of image bytes does: take an object in pieces, give it back from any offset, forget it.

Objects are written once, under names that are never used again, and exist whole or not at all. Methods block and are called from threads.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path


class Writer(ABC):
    """An object that is being written; nobody sees it before `commit`."""

    @abstractmethod
    def write(self, piece: bytes) -> None:
        """Adds bytes. Raises StorageFull."""

    @abstractmethod
    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes that were written already; fewer at the end."""

    @abstractmethod
    def commit(self) -> None:
        """Makes the object exist, on stable storage. Raises StorageFull."""

    @abstractmethod
    def abort(self) -> None:
        """Forgets it. Repeatable; does nothing after commit."""


class Store(ABC):
    """A store. `directory` is where this cloud's images belong; drivers that keep them elsewhere may use it for their own notes."""

    @abstractmethod
    def __init__(self, directory: Path) -> None: ...

    @abstractmethod
    def begin(self, name: str) -> Writer:
        """Begins to write an object."""

    @abstractmethod
    def size(self, name: str) -> int:
        """An object's length in bytes. Raises NotStored."""

    @abstractmethod
    def read(self, name: str, offset: int, length: int) -> Iterator[bytes]:
        """Pieces of an object. Goes on to the end even if the object is removed meanwhile. Raises NotStored at once."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Forgets an object. Repeatable."""

    @abstractmethod
    def names(self) -> Iterator[str]:
        """The objects there are, whole ones only."""

    @abstractmethod
    def free_bytes(self) -> int | None:
        """Room that is left; None if the store cannot tell."""

    @abstractmethod
    def tidy(self, older_than_seconds: float) -> None:
        """Removes what writers that died have left behind for so long."""
