"""Which domains have a directory, and how it is asked: a few questions at a time, and none while it is away.

A question never begins inside a transaction. A directory that hangs costs its own domain's requests some seconds and nobody else's: GATE
threads wait for it, and once they have waited for SLOW_SECONDS the others are told at once.
"""
from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from threading import BoundedSemaphore, Lock, get_ident
from typing import Any, TypeVar

import msgspec
import structlog

from pilvi.core import clock
from pilvi.core.db.open import forbid_open
from pilvi.core.http.app import Application
from pilvi.identity import errors
from pilvi.identity.drivers.interface import Directory, Refused, Unanswered
from pilvi.identity.resources.domain_config import secrets_included

LOG = structlog.get_logger()
GATE, SLOW_SECONDS = 3, 1.0
"""Of the eight threads of identity so many may ask one directory; others wait for their turn if that comes quickly."""
AWAY_SECONDS = 2.0
"""After a question that was not answered nobody asks for so long."""
FRESH_SECONDS = 10.0
"""So long an answer is good."""
REMEMBERED = 10_000
Answer = TypeVar("Answer")


class Source:
    """The directory of one domain, as long as its configuration stays what it is."""

    def __init__(self, domain_id: str, directory: Directory, mark: bytes) -> None:
        self.domain_id, self.directory, self.mark = domain_id, directory, mark
        self.gate, self.lock = BoundedSemaphore(GATE), Lock()
        self.began: dict[int, float] = {}
        """When the questions that are being asked began, by thread."""
        self.away_until = 0.0
        self.told: OrderedDict[tuple[str, ...], float] = OrderedDict()

    def ask(self, question: Callable[[Directory], Answer]) -> Answer:
        """The answer. Raises DirectoryAway."""
        forbid_open()
        if clock.monotonic() < self.away_until or not self._turn(): raise errors.DirectoryAway(id=self.domain_id)
        self.began[get_ident()] = clock.monotonic()
        try: return question(self.directory)
        except Unanswered as failure:
            if not isinstance(failure, Refused): self.away_until = clock.monotonic() + AWAY_SECONDS
            LOG.warning("a directory does not answer", domain=self.domain_id, reason=str(failure))
            raise errors.DirectoryAway(id=self.domain_id) from failure
        finally:
            self.began.pop(get_ident(), None)
            self.gate.release()

    def _turn(self) -> bool:
        if self.gate.acquire(blocking=False): return True
        longest = clock.monotonic() - min([*self.began.values()], default=clock.monotonic())
        return longest < SLOW_SECONDS and self.gate.acquire(timeout=SLOW_SECONDS)

    def fresh(self, *topic: str) -> bool:
        """Was this asked a moment ago?"""
        return self.told.get(topic, 0.0) > clock.monotonic()

    def answered(self, *topic: str) -> None:
        """This is known now, for a moment."""
        with self.lock:
            self.told[topic] = clock.monotonic() + FRESH_SECONDS
            self.told.move_to_end(topic)
            while len(self.told) > REMEMBERED: self.told.popitem(last=False)


class Sources:
    """The directories of all domains, each opened when it is first needed."""

    def __init__(self, app: Application, drivers: Callable[[str], type[Directory] | None]) -> None:
        self.app, self.drivers, self.lock = app, drivers, Lock()
        self.open: dict[str, Source] = {}

    def of(self, domain_id: str) -> Source | None:
        """The directory of a domain; None: its users are identity's own. Raises DirectoryAway for options that make no sense."""
        options = self._options(domain_id)
        if options is None: return None
        mark = hashlib.sha256(msgspec.json.encode(options)).digest()
        with self.lock:
            known = self.open.get(domain_id)
            if known and known.mark == mark: return known
            if known: self.open.pop(domain_id).directory.close()
            driver = self.drivers(options["driver"])
            assert driver is not None
            try: made = Source(domain_id, driver(options["ldap"]), mark)
            except Unanswered as failure:
                LOG.warning("a directory cannot be opened", domain=domain_id, reason=str(failure))
                raise errors.DirectoryAway(id=domain_id) from failure
            self.open[domain_id] = made
            return made

    def _options(self, domain_id: str) -> dict[str, Any] | None:
        with self.app.database.read() as db: groups = secrets_included(self.app, db, domain_id)
        driver = groups.get("identity", {}).get("driver")
        return {"driver": driver, "ldap": groups.get("ldap", {})} if driver and self.drivers(driver) else None

    def close(self) -> None:
        """Gives up all connections."""
        for source in self.open.values(): source.directory.close()


def source_of(app: Application, domain_id: str | None) -> Source | None:
    """The directory of a domain, if it has one."""
    sources: Sources = app.state["directories"]
    return sources.of(domain_id) if domain_id else None
