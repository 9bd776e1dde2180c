"""From a token to an identity: every service asks identity, and remembers the answer for a moment.

`run/` says once how identity is asked (`VALIDATORS`). What identity revokes is forgotten at once in this process (`forget`) and, through
the bus, in the others. Should that message be lost, an answer still lives TOKEN_SECONDS at most, and identity's own memory as long again: a
token that was ended opens nothing a second later, whatever happens.
"""
from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from threading import Lock, local

from pilvi.core import clock, trace
from pilvi.core.context import Identity
from pilvi.core.db.open import OPEN
from pilvi.core.errors import Unauthenticated
from pilvi.core.pattern import linear

TOKEN_SECONDS = 0.5
REMEMBERED = 10_000
VALIDATORS: dict[str, Callable[[str, trace.Trace | None], Identity]] = {}
EPOCH = [0]
PENDING = local()
TELLERS: dict[str, Callable[[], None]] = {}
"""How the other processes learn of it, by the way."""


def validate_with(validate: Callable[[str, trace.Trace | None], Identity]) -> None:
    """Says how identity is asked about a token; it raises Unauthenticated for one that is not valid."""
    VALIDATORS["identity"] = validate


def forget() -> None:
    """Something was revoked: answers given before are asked for again. Inside a transaction it takes effect with the commit: an answer
    that is asked for until then would still be the old one."""
    if getattr(OPEN, "depth", 0): PENDING.revoked = True
    else: _tell()


def committed() -> None:
    """A transaction of identity has been committed (Database.written)."""
    if not getattr(PENDING, "revoked", False): return
    PENDING.revoked = False
    _tell()


def heard() -> None:
    """Another process has revoked something."""
    EPOCH[0] += 1


def _tell() -> None:
    EPOCH[0] += 1
    for tell in list(TELLERS.values()): tell()


def within(rules: Iterable[Mapping[str, str]], types: Iterable[str], method: str, path: str) -> bool:
    """Does one of an application credential's access rules name this request to a service of these types?"""
    path = path.encode(errors="replace").decode()  # what was no UTF-8 is a lone surrogate
    return any(rule["service"] in types and rule["method"] == method and _pattern(rule["path"]).fullmatch(path) for rule in rules)


@lru_cache(4096)
def _pattern(path: str) -> re.Pattern[str]:
    """`*` and `{name}` stand for one segment of a path, `**` for any number. Users write these, so it has to take linear time."""
    pieces = re.findall(r"\*\*|\*|\{[^{}/]*\}|[^*{}]+|[{}]", path)
    return linear("".join(".*" if piece == "**" else "[^/]+" if piece == "*" or (piece[0] == "{" and len(piece) > 1)
                              else re.escape(piece) for piece in pieces))


class Authenticator:
    """One service's memory of tokens."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.ask: Callable[[str, trace.Trace | None], Identity] = lambda token, story: VALIDATORS["identity"](token, story)
        """How identity is asked; identity itself looks into its own keys instead."""
        self.known: OrderedDict[bytes, tuple[float, int, Identity]] = OrderedDict()
        self.lock = Lock()

    def remembered(self, token: str) -> Identity | None:
        """Who it speaks for if that was asked a moment ago: no wait, for callers on an event loop."""
        known = self.known.get(_key(token))
        return known[2] if known and known[0] > clock.now() and known[1] == EPOCH[0] and known[2].expires_at > clock.now() else None

    def identify(self, token: str, transport: str) -> Identity:
        """Who the token speaks for. Raises Unauthenticated."""
        if not token: raise Unauthenticated()
        key = _key(token)
        story = trace.ACTIVE.get()
        name = story.steps.get("validate") if story else None
        now = clock.now()
        # A request that begins a story asks afresh: its trace is to show the check, and the login behind the token.
        known = None if story and "arrive" in story.steps else self.known.get(key)
        if known and known[0] > now and known[1] == EPOCH[0] and known[2].expires_at > now:
            trace.mark(name, f"{self.service} API", "identity", "cached")
            if story and name and (answer := story.steps.get("validated")):
                trace.mark(answer, "identity", f"{self.service} API", "cached", user=known[2].user_id, roles=list(known[2].roles))
            return known[2]
        epoch = EPOCH[0]
        with trace.step(name, f"{self.service} API", "identity", transport):
            identity = self.ask(token, story)
        with self.lock:
            self.known[key] = (now + TOKEN_SECONDS, epoch, identity)
            while len(self.known) > REMEMBERED: self.known.popitem(last=False)
        return identity


def _key(token: str) -> bytes:
    return hashlib.blake2b(token.encode(errors="replace"), digest_size=16).digest()
