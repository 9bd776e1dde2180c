"""The agents' door to a service's tasks: claim, report, fail, renew. Agents have no database: what they know and do passes here.

A service serves `handlers(...)` on the bus target "<service>.conductor". Answers carry the next act, so an agent that has several steps
in a row asks once per step.
"""
from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core import clock, task, trace
from pilvi.core.bus.interface import Message
from pilvi.core.task import Flow

if TYPE_CHECKING:
    from pilvi.core.http.app import Application

MOST_NAMED = 500
"""Hosts that a query names one by one; a process that simulates more looks through all tasks of hosts."""


def agent_of(application: Application, host: str) -> str:
    """The host by whose name the bus reaches the agent; another one's only where one process simulates many."""
    name: str = application.state.get("agents", {}).get(host, host)
    return name


def cast(application: Application, host: str, task_id: str) -> None:
    """Tells the host's agent that a task waits for it: a hint."""
    target = f"{application.service.name}.host.{agent_of(application, host)}"
    if application.bus: application.bus.cast(target, "run", {"host": host, "task_id": task_id})


@dataclass
class Door:
    """One service's door. `describe(application, db, task)` gives what the agent must know to act; `keep(db, task, spans)` stores spans."""
    table: Any
    flows: Mapping[str, Flow]
    describe: Callable[[Application, Session, Any], dict[str, Any]]
    keep: Callable[[Session, Any, list[trace.Span]], None] = lambda db, task, spans: None
    wake: Callable[[Application], None] = lambda application: None
    """Called after a commit that gave a task back to control."""

    def handlers(self) -> dict[str, Callable[[Application, dict[str, Any], Message], dict[str, Any] | None]]:
        """For the service's manifest."""
        return {"hello": self.hello, "claim": self.claim, "report": self.report, "fail": self.fail, "renew": self.renew,
                "queued": self.queued}

    def hello(self, application: Application, args: dict[str, Any], message: Message) -> None:
        """{host, worker}: a new agent process; what an earlier one of that host had claimed is free again."""
        with application.database.write() as db: task.release(db, self.table, args["host"], but=args["worker"])

    def queued(self, application: Application, args: dict[str, Any], message: Message) -> dict[str, Any]:
        """{hosts} → {tasks: [(host, task id)]}: what waits for these hosts; the answer to a lost cast."""
        if len(hosts := args["hosts"]) > 1: application.state.setdefault("agents", {}).update(dict.fromkeys(hosts, hosts[0]))
        queues = {f"host:{host}": host for host in hosts}
        ours = self.table.queue.in_(list(queues)) if len(queues) <= MOST_NAMED else self.table.queue.like("host:%")
        free = [self.table.progress.in_(("ready", "debt")), self.table.lease_until < clock.now(), ours]
        with application.database.read() as db:
            rows = db.execute(select(self.table.queue, self.table.id).where(*free).order_by(self.table.created_at).limit(1000)).all()
        return {"tasks": [(queues[queue], id) for queue, id in rows if queue in queues]}

    def claim(self, application: Application, args: dict[str, Any], message: Message) -> dict[str, Any]:
        """{host, worker, task_id?} → {task: None or {id, flow, subject_id, attempt, act, forward, facts, …described}}"""
        story = trace.from_header(message.headers.get("trace"))
        names = story.steps if story else {}
        with trace.active(story):
            trace.mark(names.get("taken"), "queue", "conductor", message.transport, method=message.method)
            with application.database.write() as db:
                with trace.step(names.get("query"), "conductor", "database", "sql"):
                    claimed = task.claim(db, self.table, f"host:{args['host']}", args["worker"], task_id=args.get("task_id"))
                    facts = self.describe(application, db, claimed) if claimed is not None else None
                if claimed is not None:
                    trace.mark(names.get("found"), "database", "conductor", "sql", flow=claimed.flow, subject=claimed.subject_id)
                    trace.mark(names.get("answer"), "conductor", "queue", message.transport)
        if claimed is None or facts is None: return {"task": None}
        spans = trace.encode(story.spans) if story else None
        return {"task": self._shown(claimed) | facts, "spans": spans}

    def _shown(self, claimed: Any) -> dict[str, Any]:
        return {"id": claimed.id, "flow": claimed.flow, "subject_id": claimed.subject_id, "attempt": claimed.attempt,
                "forward": claimed.forward, "facts": claimed.facts, "act": self._act(claimed)}

    def _act(self, claimed: Any) -> str | None:
        """The name of the next act if it is the host's."""
        flow = self.flows[claimed.flow]
        queue = flow.where(claimed)
        if queue is None or queue == task.CONTROL: return None
        name: str = flow.steps[claimed.step].name if claimed.forward else flow.undos()[claimed.step][1]
        return name

    def report(self, application: Application, args: dict[str, Any], message: Message) -> dict[str, Any]:
        """{task_id, attempt, act, facts, spans}: the act is done → {act: the next one or None}. Raises Superseded."""
        def write(db: Session, current: Any) -> None:
            if self._act(current) == args["act"]: task.advance(db, self.flows[current.flow], current, args.get("facts"))

        return self._commit(application, args, write)

    def fail(self, application: Application, args: dict[str, Any], message: Message) -> dict[str, Any]:
        """{task_id, attempt, act, error, spans}: the act failed → {act: an undo on this host or None}. Raises Superseded."""
        def write(db: Session, current: Any) -> None:
            if self._act(current) == args["act"]: task.turn(db, self.flows[current.flow], current, args["error"])

        return self._commit(application, args, write)

    def _commit(self, application: Application, args: dict[str, Any], write: Callable[[Session, Any], None]) -> dict[str, Any]:
        with application.database.write() as db:
            current = task.held(db, self.table, args["task_id"], args["attempt"])
            if args.get("spans"): self.keep(db, current, _decode(args["spans"]))
            write(db, current)
            db.flush()
        goes_on = current.progress in ("ready", "debt") and current.claimed_by is not None
        act = self._act(current) if goes_on else None
        if act is None and current.queue == task.CONTROL: self.wake(application)
        return {"act": act, "facts": current.facts, "forward": current.forward}

    def renew(self, application: Application, args: dict[str, Any], message: Message) -> None:
        """{worker, task_ids}: these are still being worked on."""
        with application.database.write() as db: task.renew(db, self.table, args["worker"], args["task_ids"])


def _decode(encoded: str) -> list[trace.Span]:
    return msgspec.msgpack.decode(base64.b64decode(encoded), type=list[trace.Span])


