"""Tells alarms' actions: POSTs to addresses, with or without a trust's token, or writes to the log.

Notices are rows that were written with the state change. One is taken by moving its `next_at` on: so it is told at least once, also after
a crash, and by one process at a time. A place that fails is asked again ever more seldom until `notice_seconds` have passed; no place
gets more than a share of the threads, so one that hangs holds up only itself.

Source: Alarming API v2 (Aodh), "Alarm actions"; openstack/aodh notifiers for the body.
"""
from __future__ import annotations

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from sqlalchemy import delete, select, update

from pilvi.core import clock
from pilvi.core.crypto import new_id
from pilvi.core.errors import Failure, Unavailable
from pilvi.core.http import fetch
from pilvi.core.http.app import Application
from pilvi.core.reconcile import Repeat
from pilvi.telemetry.alarm import trust
from pilvi.telemetry.resources.alarm_tables import Notice

LOG = structlog.get_logger()
THREADS, EACH_PLACE, CANDIDATES = 8, 2, 200
TIMEOUT_SECONDS = 10.0
LEASE_SECONDS = 60.0
IDLE_SECONDS = 2.0
SLOWEST_SECONDS = 300.0
MOST_BYTES = 65536


class NotTaken(Unavailable):
    """The place answered {status}."""


class Notifier:
    """The threads of a control process that tell notices."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.pool = ThreadPoolExecutor(THREADS, thread_name_prefix="notices")
        self.loop = Repeat("alarm notices", IDLE_SECONDS, self.hand_out)
        self.lock = threading.Lock()
        self.underway: Counter[str] = Counter()
        """How many notices are being told now, by place."""

    def start(self) -> None:
        self.loop.start()

    def poke(self) -> None:
        """There may be something to tell."""
        self.loop.poke()

    def stop(self) -> None:
        self.loop.stop()
        self.pool.shutdown(wait=True, cancel_futures=True)

    def hand_out(self) -> None:
        """Gives notices that are due to free threads."""
        for notice in self._take():
            with self.lock: self.underway[place_of(notice.action)] += 1
            self.pool.submit(self._tell, notice)

    def _take(self) -> list[Any]:
        database, now = self.application.database, clock.now()
        wanted = select(Notice).where(Notice.next_at <= now).order_by(Notice.next_at, Notice.created_at).limit(CANDIDATES)
        with database.read() as db:  # look without the write lock first
            if db.execute(select(Notice.id).where(Notice.next_at <= now).limit(1)).first() is None: return []
        with database.write() as db:
            with self.lock: busy = Counter(self.underway)
            taken = []
            for notice in db.scalars(wanted.with_for_update(skip_locked=True)):
                place = place_of(notice.action)
                if busy.total() >= THREADS or busy[place] >= EACH_PLACE: continue
                busy[place] += 1
                taken.append(notice)
            ids = [notice.id for notice in taken]
            db.execute(update(Notice).where(Notice.id.in_(ids)).values(next_at=now + LEASE_SECONDS, attempts=Notice.attempts + 1))
            db.expunge_all()
        return taken

    def _tell(self, notice: Any) -> None:
        try: self._settle(notice, self._outcome(notice))
        except Exception: LOG.exception("notice failed", alarm=notice.alarm_id)
        finally:
            with self.lock:
                self.underway[place_of(notice.action)] -= 1
                self.underway = +self.underway
            self.loop.poke()

    def _outcome(self, notice: Any) -> str | None:
        """None when it was told, or never can be; else why it has to be told again."""
        try: tell(self.application, notice.action, notice.body, notice.trust_id)
        except Unavailable as failure: return failure.message
        except Failure as failure: LOG.warning("notice refused", alarm=notice.alarm_id, reason=failure.message)
        return None

    def _settle(self, notice: Any, why: str | None) -> None:
        late = clock.now() - notice.created_at > self.application.config.notice_seconds
        if why is not None and late: LOG.warning("notice given up", alarm=notice.alarm_id, attempts=notice.attempts + 1, reason=why)
        with self.application.database.write() as db:
            mine = Notice.id == notice.id
            if why is None or late: db.execute(delete(Notice).where(mine))
            else: db.execute(update(Notice).where(mine).values(next_at=clock.now() + pause(notice.attempts + 1)))


def pause(attempts: int) -> float:
    """Seconds until the next attempt, after so many."""
    return min(SLOWEST_SECONDS, 2.0 ** min(attempts - 1, 20)) * random.uniform(0.8, 1.2)


def place_of(action: str) -> str:
    """Whose threads an action uses up."""
    parts = urlsplit(action)
    return parts.netloc if parts.scheme != "log" else "log"


def tell(application: Application, action: str, body: dict[str, Any], trust_id: str | None) -> None:
    """Tells one action. Raises Unavailable if it has to be told again, another Failure if that would be of no use."""
    if action.startswith("log:"):
        LOG.info("alarm", alarm=body["alarm_id"], name=body["alarm_name"], previous=body["previous"], current=body["current"],
                 severity=body["severity"], reason=body["reason"])
        return
    headers = {"content-type": "application/json", "x-openstack-request-id": "req-" + new_id(), "user-agent": "pilvi-alarm"}
    if action.startswith("trust+"):
        headers["x-auth-token"] = trust.token(application, trust_id or "")
        action = action.removeprefix("trust+")
    reply = fetch.fetch(action, method="POST", headers=headers, body=msgspec.json.encode(body), most_bytes=MOST_BYTES,
                        timeout_seconds=TIMEOUT_SECONDS)
    if reply.status >= 500 or reply.status in (408, 429): raise NotTaken(status=reply.status)
    if reply.status >= 400: raise Failure(f"the place answered {reply.status}")
