"""An agent's side of durable tasks: take what is queued for this host, do it act by act, report each one.

Acts are plain functions `(errand) -> facts to add or None`, named as the AgentSteps of the flows. All acts of one subject run under its
lock file, so a delete waits for a boot's act on the same host. Casts say that there is work; without one the queue is asked every few
seconds.
"""
from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from pilvi.core import trace
from pilvi.core.bus.interface import Bus, Message, RemoteFailure
from pilvi.core.crypto import new_id
from pilvi.core.errors import Failure, Unavailable

LOG = structlog.get_logger()
POLL_SECONDS, SOON_SECONDS = 5.0, 1.0
"""How often the queue is asked; and how soon again after control was away, when casts may have been lost."""
CALL_SECONDS = 30.0


class Withdrawn(Exception):
    """The task was cancelled or taken over: leave it alone."""


@dataclass
class Errand:
    """One task in the agent's hands. `facts` grow with each act; `described` is what the conductor told beside them."""
    runner: Runner
    id: str
    flow: str
    subject_id: str
    attempt: int
    facts: dict[str, Any]
    described: dict[str, Any]
    host: str
    grant: str = ""
    """What the APIs are shown so that they let this host touch the task's things."""
    forward: bool = True

    def still_mine(self) -> None:
        """Asks whether the task is still this agent's, before an act that can't be taken back. Raises Withdrawn."""
        self.runner.ask("claim", {"host": self.host, "worker": self.runner.worker, "task_id": self.id}, must=True)


Act = Callable[[Errand], dict[str, Any] | None]


@dataclass
class Runner:
    """Works on one service's tasks for the hosts this process stands for (one; many when they are simulated: then all are addressed by the
    name of the first)."""
    bus: Bus
    service: str
    hosts: list[str]
    flows: Mapping[str, Mapping[str, Act]]
    locks: Path
    threads: int = 4
    stories: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Names of the acts in a flow's trace: {flow: {"take": …, "ask": …, "got": …, "taken"/"query"/"found"/"answer": …}}"""
    worker: str = ""
    _pool: ThreadPoolExecutor | None = None
    _running: dict[str, str] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _poke: threading.Event = field(default_factory=threading.Event)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Serves the hosts' queues from now on."""
        self.locks.mkdir(parents=True, exist_ok=True)
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix=f"{self.service}-errand")
        self.instance = f"{os.getpid()}.{new_id()[:8]}"
        self.worker = f"{self.hosts[0]}/{self.instance}"
        self.bus.serve(f"{self.service}.host.{self.hosts[0]}", {"run": self._cast}, threads=2)
        self.bus.on_connect(self._poke.set)
        threading.Thread(target=self._poll, name=f"{self.service}-poll", daemon=True).start()

    def stop(self) -> None:
        """Takes nothing more and lets running acts end."""
        self._stop.set()
        self._poke.set()
        if self._pool: self._pool.shutdown(wait=True, cancel_futures=True)

    def _cast(self, args: dict[str, Any], message: Message) -> None:
        self._submit(args["host"], args["task_id"], message.transport)

    def _submit(self, host: str, task_id: str | None, transport: str) -> None:
        if self._pool and not self._stop.is_set(): self._pool.submit(self._guarded, host, task_id, transport)

    def _poll(self) -> None:
        greeted = False
        while not self._stop.is_set():
            self._poke.clear()
            pause = POLL_SECONDS
            try:
                if not greeted: self._greet()
                greeted = True
                self._look()
            except Failure as failure:
                LOG.info("control is away", service=self.service, reason=failure.message)
                pause = SOON_SECONDS
            self._poke.wait(pause)

    def _greet(self) -> None:
        """A new process: what an earlier one of this host had claimed is free again."""
        for host in self.hosts[:1]:
            self.bus.call(f"{self.service}.conductor", "hello", {"host": host, "worker": self.worker}, deadline_seconds=CALL_SECONDS)

    def _look(self) -> None:
        """Keeps the leases of what runs here, and takes what waits for these hosts."""
        with self._mutex: running = list(self._running)
        if running:
            self.bus.call(f"{self.service}.conductor", "renew", {"worker": self.worker, "task_ids": running}, deadline_seconds=CALL_SECONDS)
        found = self.bus.call(f"{self.service}.conductor", "queued", {"hosts": self.hosts}, deadline_seconds=CALL_SECONDS)
        for host, task_id in found["tasks"]: self._submit(host, task_id, "poll")

    def _guarded(self, host: str, task_id: str | None, transport: str) -> None:
        with self._mutex:
            if task_id in self._running: return
            if task_id: self._running[task_id] = host
        try: self._run(host, task_id, transport)
        except Withdrawn: pass
        except Unavailable as failure: LOG.info("control is away", service=self.service, reason=failure.message)
        except Exception: LOG.exception("errand failed", service=self.service, task=task_id)
        finally:
            with self._mutex: self._running.pop(task_id or "", None)

    def _run(self, host: str, task_id: str | None, transport: str) -> None:
        story = trace.Trace()
        names: Mapping[str, str] = {}
        for candidate in self.stories.values(): names = candidate
        with trace.active(story):
            trace.mark(names.get("take"), "queue", "compute agent", transport, host=host)
            with trace.step(names.get("ask"), "compute agent", "queue", self.bus.transport, method="claim"):
                answer = self.ask("claim", {"host": host, "worker": self.worker, "task_id": task_id},
                                  headers={"trace": story.header(**{k: v for k, v in names.items() if k not in ("take", "ask", "got")})})
                story.take(answer.get("spans"))
            task = answer["task"]
            if task is None: return
            if task["flow"] not in self.stories or not task["forward"]: story.spans.clear()
            else: trace.mark(names.get("got"), "queue", "compute agent", self.bus.transport, facts=sorted(task.get("described", {})))
            self._carry_out(Errand(self, task["id"], task["flow"], task["subject_id"], task["attempt"], task["facts"],
                                   task.get("described", {}), host, task.get("grant", ""), task["forward"]), task["act"], story)

    def _carry_out(self, errand: Errand, act: str | None, story: trace.Trace) -> None:
        with self.lock(errand.subject_id):
            while act is not None and not self._stop.is_set():
                try:
                    facts = self.flows[errand.flow][act](errand)
                except Withdrawn:
                    raise
                except Exception as failure:
                    if not isinstance(failure, Failure): LOG.exception("act failed", flow=errand.flow, act=act, subject=errand.subject_id)
                    answer = self._tell("fail", errand, act, story, {"error": _sentence(failure)})
                else:
                    answer = self._tell("report", errand, act, story, {"facts": facts or {}})
                errand.facts, errand.forward = answer["facts"], answer["forward"]
                act = answer["act"]

    def _tell(self, what: str, errand: Errand, act: str, story: trace.Trace, more: dict[str, Any]) -> dict[str, Any]:
        spans, story.spans = story.spans, []
        args = {"task_id": errand.id, "attempt": errand.attempt, "act": act, "spans": trace.encode(spans) if spans else None, **more}
        return self.ask(what, args, call_id=f"{errand.id}.{errand.attempt}.{act}.{what}.{errand.forward}")

    def ask(self, method: str, args: dict[str, Any], *, headers: dict[str, Any] | None = None, call_id: str | None = None,
            must: bool = False) -> dict[str, Any]:
        """Asks the conductor, for as long as it takes a restarted control process to come back. Raises Withdrawn."""
        while True:
            try:
                answer = self.bus.call(f"{self.service}.conductor", method, args, deadline_seconds=CALL_SECONDS, headers=headers,
                                       call_id=call_id)
                if must and answer.get("task") is None: raise Withdrawn()
                return answer
            except RemoteFailure as failure:
                if failure.kind == "Superseded": raise Withdrawn() from None
                if failure.kind != "Unavailable": raise
            except Unavailable:
                pass
            if self._stop.wait(1.0): raise Withdrawn()

    @contextmanager
    def lock(self, subject_id: str) -> Iterator[None]:
        """One at a time for a subject on this host, over threads and processes."""
        path = self.locks / subject_id
        while True:
            with open(path, "w") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                try: same = os.fstat(file.fileno()).st_ino == os.stat(path).st_ino
                except FileNotFoundError: same = False
                if not same: continue  # whoever held it before has removed the file
                try: yield
                finally: path.unlink(missing_ok=True)
                return


def _sentence(failure: Exception) -> str:
    return failure.message if isinstance(failure, Failure) else f"{type(failure).__name__}: {failure}"
