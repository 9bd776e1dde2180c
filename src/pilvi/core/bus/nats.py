"""The bus between hosts, over NATS: targets are subjects with a queue group, topics plain subjects, answers come to an inbox of our own.

Subjects: pilvi.target.<target>, pilvi.topic.<topic>, pilvi.answer.<name>.<secret>.<call id>: a host's credentials can be narrowed to its
own. The broker carries 8 MiB only if its `max_payload` allows that (its default is 1 MiB).
Source: NATS client protocol, "No Responders" (a message with status 503 to the answer's subject).
"""
from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from pilvi.core.bus.exchange import Exchange
from pilvi.core.bus.frames import CALL, FAILED, FANOUT, NOBODY, Reply, Request, decode_reply, decode_request, encode
from pilvi.core.bus.interface import MAX_MESSAGE_BYTES

RECONNECT_SECONDS = 1
CONNECT_LIMIT_SECONDS = 5
ENVELOPE_BYTES = 64 * 1024

log = logging.getLogger("pilvi.bus")


class NatsBus(Exchange):
    """One process's connection to the broker; found again for ever. nats-py lives on an event loop in a thread of its own."""

    transport = "nats"

    def __init__(self, servers: list[str], *, name: str, tls: ssl.SSLContext | None = None, credentials: Path | None = None) -> None:
        """`servers`: nats://[user:password@]host:port, or tls://… with `tls`. `credentials`: a NATS .creds file."""
        super().__init__(name)
        self._servers, self._tls, self._credentials = servers, tls, credentials
        self._inbox = f"pilvi.answer.{name}.{secrets.token_hex(8)}."
        self._client = Client()
        self._heard: dict[str, Subscription] = {}
        self._hearing = asyncio.Lock()
        self._problem = "not started"
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="bus-nats", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeper: asyncio.Task[Any] | None = None

    def start(self) -> None:
        self._problem = "not yet connected"
        self._thread.start()
        self._soon(self._keep_connected())

    def health(self) -> str | None:
        if self._client.is_connected and not self._closing: return None
        return f"no connection to {', '.join(urlsplit(server).netloc.rpartition('@')[2] for server in self._servers)}: {self._problem}"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _soon(self, act: Coroutine[Any, Any, None]) -> None:
        """Does it on the loop, in the order of the calls as far as it need not wait."""
        try: self._loop.call_soon_threadsafe(self._spawn, act)
        except RuntimeError: act.close()  # the loop has ended: whoever still calls is told so by close()

    def _spawn(self, act: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(act)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_connected(self) -> None:
        """nats-py reconnects by itself, but gives up for good on some errors (a refused password among them)."""
        self._keeper = asyncio.current_task()
        while not self._closing:
            client, ended = Client(), asyncio.Event()

            async def has_ended(ended: asyncio.Event = ended) -> None: ended.set()
            try:
                await client.connect(
                    list(self._servers), name=self.name, tls=self._tls, max_reconnect_attempts=-1, reconnect_time_wait=RECONNECT_SECONDS,
                    user_credentials=str(self._credentials) if self._credentials else None, connect_timeout=CONNECT_LIMIT_SECONDS,
                    error_cb=self._note, reconnected_cb=self._come_back, closed_cb=has_ended)
                self._client, self._heard = client, {}
                await self._listen()
                self._connected()
                await ended.wait()
            except (NatsError, OSError) as error: await self._note(error)
            finally: await self._part_from(client)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _part_from(self, client: Client) -> None:
        """Within a limit: a broker that does not answer must not keep the process from ending."""
        try: await asyncio.wait_for(client.close(), CONNECT_LIMIT_SECONDS)
        except (NatsError, OSError) as error: await self._note(error)

    async def _come_back(self) -> None:
        await self._listen()  # nats-py subscribes again by itself, but not to what has been served meanwhile
        self._connected()

    async def _note(self, error: Exception) -> None:
        self._problem = str(error) or type(error).__name__
        log.info("%s: %s", self.name, self._problem)

    async def _listen(self) -> None:
        """Subscribes to what is served and not heard yet."""
        client = self._client
        if not client.is_connected or self._closing: return
        wanted = {self._inbox + ">": ("", self._take_answer)}
        wanted |= {f"pilvi.target.{target}": ("workers", self._take) for target in self._workers.targets}
        wanted |= {f"pilvi.topic.{topic}": ("", self._take) for topic in self._workers.topics}
        async with self._hearing:
            for subject in wanted.keys() - self._heard.keys():
                queue_group, take = wanted[subject]
                self._heard[subject] = await client.subscribe(subject, queue=queue_group, cb=take)

    async def _take(self, received: Msg) -> None:
        try: request = decode_request(received.data)
        except msgspec.DecodeError as error:
            log.warning("%s: what cannot be read arrived at %s: %s", self.name, received.subject, error)
            return
        self._workers.take(request, lambda reply: self._give(received.reply, reply))

    async def _take_answer(self, received: Msg) -> None:
        if received.headers and received.headers.get("Status") == "503":
            self._resolve(Reply(received.subject.removeprefix(self._inbox), NOBODY))
        else: self._resolve(decode_reply(received.data))

    def _give(self, subject: str, reply: Reply) -> None:
        payload = encode(reply)
        if len(payload) > self._client.max_payload:
            text = f"The answer has {len(payload)} bytes; the broker carries {self._client.max_payload}."
            payload = encode(Reply(reply.id, FAILED, "MessageTooLarge", text))
        self._soon(self._publish(subject, payload, ""))

    def _transmit(self, request: Request) -> None:
        if not self._client.is_connected: return
        subject = f"pilvi.{'topic' if request.verb == FANOUT else 'target'}.{request.target}"
        self._soon(self._publish(subject, encode(request), self._inbox + request.id if request.verb == CALL else ""))

    async def _publish(self, subject: str, payload: bytes, answer_to: str) -> None:
        try: await self._client.publish(subject, payload, reply=answer_to)
        except (NatsError, OSError) as error: await self._note(error)

    def _limit_bytes(self) -> int:
        return min(MAX_MESSAGE_BYTES, self._client.max_payload - ENVELOPE_BYTES) if self._client.is_connected else MAX_MESSAGE_BYTES

    def _announce(self) -> None:
        self._soon(self._listen())

    def _disconnect(self, drain_seconds: float) -> None:
        if not self._thread.ident:
            self._workers.close(0.0)
            self._loop.close()
            return
        asyncio.run_coroutine_threadsafe(self._hear_no_more(), self._loop).result()
        self._workers.close(drain_seconds)
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _hear_no_more(self) -> None:
        try:
            for subject, subscription in self._heard.items():
                if not subject.startswith(self._inbox): await subscription.unsubscribe()
        except (NatsError, OSError) as error: await self._note(error)

    async def _hang_up(self) -> None:
        answers = [task for task in self._tasks if task is not self._keeper]
        if answers: await asyncio.wait(answers, timeout=CONNECT_LIMIT_SECONDS)
        tasks = list(self._tasks)
        for task in tasks: task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
