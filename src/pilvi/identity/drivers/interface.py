"""What a directory is asked: who is there, who belongs to which group, whether a password fits. It is never written to.

A driver is made from the options of its domain (`Driver(options)`, as they stand in the domain's configuration; it connects when it is
first asked) and may be used by several threads at once.
"""
from __future__ import annotations

from typing import Any, Protocol

from msgspec import Struct


class Unanswered(Exception):
    """The directory does not answer, or not as it should; the text says why, without any secret."""


class Refused(Unanswered):
    """The directory answers, but not this question."""


class Person(Struct, frozen=True):
    """A user as the directory has it. `id` is its own name for the user, which must not change; `place` is where it lies there."""
    id: str
    name: str
    place: str
    email: str | None = None
    description: str | None = None
    enabled: bool = True


class Circle(Struct, frozen=True):
    """A group as the directory has it."""
    id: str
    name: str
    place: str
    description: str = ""


class Directory(Protocol):
    """Every method raises Unanswered; what is not there is None or left out. Texts from outside are data, never part of a query."""

    def __init__(self, options: dict[str, Any]) -> None: ...

    def person(self, id: str) -> Person | None:
        """The user with that id. None also if there are several: nobody could tell which is meant."""
        ...

    def people(self, name: str | None = None) -> list[Person]:
        """All users, or those of that name."""
        ...

    def circle(self, id: str) -> Circle | None:
        """The group with that id."""
        ...

    def circles(self, name: str | None = None) -> list[Circle]:
        """All groups, or those of that name."""
        ...

    def circles_of(self, person: Person) -> list[Circle]:
        """The groups that a user is in."""
        ...

    def members(self, circle: Circle) -> list[Person]:
        """The users in a group; members that are no users of this directory are left out."""
        ...

    def fits(self, person: Person | None, password: str) -> bool:
        """Is it the user's password? An empty one never is; for nobody it takes about as long to say no."""
        ...

    def close(self) -> None:
        """Gives up its connections."""
        ...
