"""The kinds of failure a user can meet; each service names its own in its errors.py.

A class's docstring is its message, with the facts in braces:

    class KeypairExists(Conflict):
        "Key pair '{name}' already exists."

    raise KeypairExists(name="k")

The tree is the list of statuses: Invalid 400, Unauthenticated 401, Forbidden 403, NotFound 404, NotAllowed 405, NotAcceptable 406,
Conflict 409, TooLarge 413, Unsupported 415, NotServed 501, Unavailable 503.
"""
from __future__ import annotations

from typing import Any


class Failure(Exception):
    """Something went wrong that a user can act on."""

    status = 500
    code: str | None = None
    """A stable word for programs (placement's `code`); None: none."""

    def __init__(self, message: str | None = None, /, **facts: Any) -> None:
        self.facts = facts
        super().__init__(message if message is not None else (type(self).__doc__ or "").strip().format(**facts))

    @property
    def message(self) -> str:
        return str(self.args[0])


class Invalid(Failure):
    """The request is not valid: {reason}"""
    status = 400


class Unauthenticated(Failure):
    """The request you have made requires authentication."""
    status = 401


class Forbidden(Failure):
    """You are not allowed to perform the requested action: {action}"""
    status = 403


class NotFound(Failure):
    """The resource could not be found."""
    status = 404


class NotAllowed(Failure):
    """The method {method} is not allowed for this resource."""
    status = 405


class NotAcceptable(Failure):
    """{reason}"""
    status = 406


class Conflict(Failure):
    """The request conflicts with the current state: {reason}"""
    status = 409


class PreconditionFailed(Failure):
    """{reason}"""
    status = 412


class TooLarge(Failure):
    """The request is too large: {reason}"""
    status = 413


class Unsupported(Failure):
    """The content type {content_type} is not supported here."""
    status = 415


class NotServed(Failure):
    """This cloud does not offer {what}."""
    status = 501


class Unavailable(Failure):
    """The service is not available now: {reason}. Try again in a moment."""
    status = 503
