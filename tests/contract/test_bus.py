"""What every bus keeps, whatever carries it: one suite over memory, the hub's own end, clients of a hub in another process, and NATS."""
from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.contract.bus_worlds import NATS_SERVER, WORLDS, World, eventually, kill

from pilvi.core.bus.interface import (
    MAX_MESSAGE_BYTES,
    BusTimeout,
    Handler,
    Message,
    MessageTooLarge,
    NobodyListens,
    PeerLost,
    RemoteFailure,
)
from pilvi.core.errors import Conflict, Unavailable


class NoValidHost(Conflict):
    """No host for {server}."""


@pytest.fixture(params=list(WORLDS))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "nats" and not Path(NATS_SERVER).exists(): pytest.skip("nats-server is not installed")
    before = set(threading.enumerate())
    world = WORLDS[request.param](tmp_path)
    yield world
    world.close()
    eventually(lambda: not any(thread.name.startswith("bus-") for thread in set(threading.enumerate()) - before))


@pytest.fixture
def brokered(world: World) -> World:
    if not world.has_broker: pytest.skip("nothing is in the middle here")
    return world


@pytest.fixture
def with_peer(world: World) -> World:
    if type(world).__name__ == "MemoryWorld": pytest.skip("there is one process only")
    return world


def recorder(record: list[Any]) -> Handler:
    def note(args: dict[str, Any], message: Message) -> None: record.append(args)
    return note


def served(call: Callable[[], Any]) -> None:
    """Waits until the call is answered: what others serve becomes known a moment after they said so."""
    def answered() -> bool:
        try: call()
        except NobodyListens: return False
        return True
    eventually(answered)


def test_a_call_brings_back_what_the_handler_returns(world: World) -> None:
    world.another("agent").serve("compute.host-1", {"add": lambda args, message: {"sum": args["a"] + args["b"]}})
    assert world.first.call("compute.host-1", "add", {"a": 1, "b": 2}, deadline_seconds=10) == {"sum": 3}


def test_calls_go_in_both_directions(world: World) -> None:
    agent = world.another("agent")
    world.first.serve("conductor", {"facts": lambda args, message: {"flavor": "tiny"}})
    assert agent.call("conductor", "facts", {}, deadline_seconds=10) == {"flavor": "tiny"}


def test_a_handler_without_a_result_answers_with_nothing(world: World) -> None:
    world.first.serve("scheduler", {"note": lambda args, message: None})
    assert world.another("agent").call("scheduler", "note", {}, deadline_seconds=10) == {}


def test_a_handler_reads_who_asked_and_how_it_came(world: World) -> None:
    seen: list[Message] = []

    def look(args: dict[str, Any], message: Message) -> None: seen.append(message)
    world.another("agent").serve("look", {"look": look})
    began = time.time()
    world.first.call("look", "look", {}, deadline_seconds=10, headers={"trace": ["boot", 1]})
    message, = seen
    assert (message.sender, message.transport, message.target, message.method) == ("first", world.first.transport, "look", "look")
    assert message.headers == {"trace": ["boot", 1]} and began <= message.queued_at <= time.time() and message.id
    assert message.seconds_left is not None and message.seconds_left <= 10


def test_nobody_shares_objects(world: World) -> None:
    kept: list[Any] = []
    world.first.serve("keep", {"keep": recorder(kept)})
    given = {"list": [1]}
    world.first.call("keep", "keep", given, deadline_seconds=10)
    given["list"].append(2)
    assert kept == [{"list": [1]}]


def test_a_failure_travels_with_its_name_and_message(world: World) -> None:
    def refuse(args: dict[str, Any], message: Message) -> None: raise NoValidHost(server="web")
    world.another("agent").serve("scheduler", {"select": refuse})
    with pytest.raises(RemoteFailure, match=r"^No host for web\.$") as caught:
        world.first.call("scheduler", "select", {}, deadline_seconds=10)
    assert caught.value.kind == "NoValidHost"


def test_a_broken_handler_tells_its_log_and_not_its_caller(world: World, caplog: pytest.LogCaptureFixture) -> None:
    ids: list[str] = []

    def break_(args: dict[str, Any], message: Message) -> None:
        ids.append(message.id)
        raise KeyError("password-of-the-database")
    world.another("agent").serve("broken", {"break": break_})
    with caplog.at_level(logging.ERROR), pytest.raises(RemoteFailure) as caught:
        world.first.call("broken", "break", {}, deadline_seconds=10)
    assert caught.value.kind == "Internal" and "password" not in caught.value.message and ids[0] in caught.value.message
    assert ids[0] in caplog.text and "password-of-the-database" in caplog.text


def test_an_unknown_method_is_a_failure(world: World) -> None:
    world.first.serve("scheduler", {})
    with pytest.raises(RemoteFailure) as caught: world.another("agent").call("scheduler", "dance", {}, deadline_seconds=10)
    assert caught.value.kind == "NoSuchMethod"


def test_a_call_to_nobody_says_so_long_before_its_deadline(world: World) -> None:
    began = time.monotonic()
    with pytest.raises(NobodyListens): world.first.call("nobody", "hello", {}, deadline_seconds=60)
    assert time.monotonic() - began < 20


def test_a_cast_to_nobody_is_lost_without_a_word(world: World) -> None:
    world.first.cast("nobody", "hello", {})
    world.another("agent").cast("nobody", "hello", {})


def test_a_cast_arrives(world: World) -> None:
    heard: list[Any] = []
    world.another("agent").serve("compute.host-1", {"boot": recorder(heard), "ready": lambda args, message: None})
    served(lambda: world.first.call("compute.host-1", "ready", {}, deadline_seconds=10))
    world.first.cast("compute.host-1", "boot", {"server_id": "s"})
    eventually(lambda: heard == [{"server_id": "s"}])


def test_a_call_has_a_deadline(world: World) -> None:
    release = threading.Event()
    world.another("agent").serve("slow", {"wait": lambda args, message: {"done": release.wait(20)}, "ready": lambda args, message: None})
    served(lambda: world.first.call("slow", "ready", {}, deadline_seconds=10))
    began = time.monotonic()
    with pytest.raises(BusTimeout): world.first.call("slow", "wait", {}, deadline_seconds=0.3)
    assert 0.3 <= time.monotonic() - began < 10
    release.set()


def test_a_call_whose_caller_waits_no_longer_is_not_run(world: World) -> None:
    began, release, ran = threading.Event(), threading.Event(), list[Any]()

    def wait(args: dict[str, Any], message: Message) -> None:
        began.set()
        release.wait(20)
    world.another("agent").serve("one", {"wait": wait, "run": recorder(ran)}, threads=1)
    with ThreadPoolExecutor() as callers:
        waiting = callers.submit(world.first.call, "one", "wait", {}, deadline_seconds=20)
        assert began.wait(10)
        with pytest.raises(BusTimeout): world.first.call("one", "run", {"n": 1}, deadline_seconds=0.5)
        time.sleep(2)  # the limit counts from the arrival here: clocks of two hosts need not agree
        release.set()
        waiting.result()
    world.first.call("one", "run", {"n": 2}, deadline_seconds=10)
    assert ran == [{"n": 2}]


def test_a_repeated_call_gets_the_stored_answer(world: World) -> None:
    runs: list[Any] = []

    def count(args: dict[str, Any], message: Message) -> dict[str, Any]:
        runs.append(args)
        time.sleep(0.1)
        return {"runs": len(runs)}
    world.another("agent").serve("count", {"count": count})
    with ThreadPoolExecutor() as callers:  # also while the first one runs
        at_once = [callers.submit(world.first.call, "count", "count", {}, deadline_seconds=10, call_id="same") for _ in range(3)]
        assert [each.result() for each in at_once] == [{"runs": 1}] * 3
    assert world.first.call("count", "count", {}, deadline_seconds=10, call_id="same") == {"runs": 1}
    assert world.first.call("count", "count", {}, deadline_seconds=10, call_id="other") == {"runs": 2}


def test_a_repeated_call_that_failed_is_run_again(world: World) -> None:
    runs: list[Any] = []

    def unlucky_once(args: dict[str, Any], message: Message) -> dict[str, Any]:
        runs.append(args)
        if len(runs) == 1: raise Unavailable(reason="the database is away")
        return {"runs": len(runs)}
    world.another("agent").serve("unlucky", {"report": unlucky_once})
    with pytest.raises(RemoteFailure): served(lambda: world.first.call("unlucky", "report", {}, deadline_seconds=10, call_id="same"))
    assert world.first.call("unlucky", "report", {}, deadline_seconds=10, call_id="same") == {"runs": 2}


def test_those_who_serve_one_target_share_its_messages(world: World) -> None:
    records: list[list[Any]] = [[], []]
    known: list[list[Any]] = [[], []]
    for name, record, asked in zip(("one", "two"), records, known, strict=True):
        world.another(name).serve("scheduler", {"select": recorder(record), "ready": recorder(asked)})

    def both_are_known() -> bool:
        served(lambda: world.first.call("scheduler", "ready", {}, deadline_seconds=10))
        return all(known)
    eventually(both_are_known)
    for n in range(40): world.first.call("scheduler", "select", {"n": n}, deadline_seconds=10)
    assert sorted(args["n"] for record in records for args in record) == list(range(40))
    assert all(len(record) > 3 for record in records)


def test_a_fanout_reaches_everyone_in_order(world: World) -> None:
    records: list[list[Any]] = [[], [], []]
    for bus, record in zip((world.first, world.another("one"), world.another("two")), records, strict=True):
        bus.subscribe("tokens.revoked", {"note": recorder(record)})

    def all_hear() -> bool:
        world.first.fanout("tokens.revoked", "note", {"n": -1})
        time.sleep(0.05)
        return all(records)
    eventually(all_hear)
    for n in range(20): world.first.fanout("tokens.revoked", "note", {"n": n})
    eventually(lambda: all(record[-1] == {"n": 19} for record in records))
    assert all([args["n"] for args in record if args["n"] >= 0] == list(range(20)) for record in records)


def test_handlers_run_in_as_many_threads_as_agreed(world: World) -> None:
    running, most, lock, all_at_work = 0, 0, threading.Lock(), threading.Event()

    def work(args: dict[str, Any], message: Message) -> None:
        nonlocal running, most
        with lock: running, most = running + 1, max(most, running + 1)
        if most == 3: all_at_work.set()
        all_at_work.wait(20)
        time.sleep(0.05)  # one more than agreed would begin meanwhile
        with lock: running -= 1
    agent = world.another("agent")
    agent.serve("work", {"work": work}, threads=3)
    with ThreadPoolExecutor(12) as callers:
        list(callers.map(lambda _: world.first.call("work", "work", {}, deadline_seconds=60), range(12)))
    assert most == 3 and agent.serves()["work"].threads == 3


def test_a_handler_may_call_others(world: World) -> None:
    agent = world.another("agent")
    agent.serve("compute", {"boot": lambda args, message: agent.call("conductor", "facts", {}, deadline_seconds=10)}, threads=1)
    world.first.serve("conductor", {"facts": lambda args, message: world.first.call("compute2", "x", {}, deadline_seconds=10)}, threads=1)
    agent.serve("compute2", {"x": lambda args, message: {"deep": True}}, threads=1)
    assert world.first.call("compute", "boot", {}, deadline_seconds=10) == {"deep": True}


def test_messages_of_eight_mebibytes_pass_and_larger_ones_are_refused(world: World) -> None:
    world.another("agent").serve("big", {"echo": lambda args, message: args, "grow": lambda args, message: {"x": bytes(MAX_MESSAGE_BYTES)}})
    large = {"x": os.urandom(MAX_MESSAGE_BYTES - 100)}
    assert world.first.call("big", "echo", large, deadline_seconds=30) == large
    with pytest.raises(MessageTooLarge, match="at most 8388608"):
        world.first.call("big", "echo", {"x": bytes(MAX_MESSAGE_BYTES)}, deadline_seconds=10)
    with pytest.raises(RemoteFailure) as caught: world.first.call("big", "grow", {}, deadline_seconds=10)
    assert caught.value.kind == "MessageTooLarge"


def test_names_are_words_joined_by_dots(world: World) -> None:
    for name in ("", "a b", "a.", "a.*", ">"):
        with pytest.raises(ValueError): world.first.serve(name, {})
        with pytest.raises(ValueError): world.first.cast(name, "hello", {})


def test_many_callers_at_once_each_get_their_own_answer(world: World) -> None:
    world.another("agent").serve("echo", {"echo": lambda args, message: args}, threads=8)
    with ThreadPoolExecutor(16) as callers:
        answers = callers.map(lambda n: world.first.call("echo", "echo", {"n": n}, deadline_seconds=30)["n"], range(2000))
        assert list(answers) == list(range(2000))


def test_closing_lets_a_running_handler_end(world: World) -> None:
    began = threading.Event()

    def work(args: dict[str, Any], message: Message) -> dict[str, Any]:
        began.set()
        time.sleep(0.4)
        return {"done": True}
    agent = world.another("agent")
    agent.serve("work", {"work": work})
    with ThreadPoolExecutor() as callers:
        answer = callers.submit(world.first.call, "work", "work", {}, deadline_seconds=20)
        assert began.wait(10)
        agent.close(10)
        assert answer.result() == {"done": True}


def test_closing_does_not_wait_for_a_handler_longer_than_agreed(world: World) -> None:
    began, release = threading.Event(), threading.Event()

    def work(args: dict[str, Any], message: Message) -> None:
        began.set()
        release.wait(20)
    world.first.serve("work", {"work": work})
    with ThreadPoolExecutor() as callers:
        answer = callers.submit(world.first.call, "work", "work", {}, deadline_seconds=20)
        assert began.wait(10)
        start = time.monotonic()
        world.first.close(0.2)
        assert time.monotonic() - start < 8
        with pytest.raises(PeerLost): answer.result()
        with pytest.raises(PeerLost): world.first.call("work", "work", {}, deadline_seconds=5)
    release.set()


def test_a_killed_peer_is_noticed_and_its_successor_served(with_peer: World, tmp_path: Path) -> None:
    first = with_peer.first
    peer = with_peer.peer("compute.host-1")
    served(lambda: first.call("compute.host-1", "pid", {}, deadline_seconds=20))
    with ThreadPoolExecutor() as callers:
        begun = tmp_path / "begun"
        in_flight = callers.submit(first.call, "compute.host-1", "sleep", {"seconds": 30, "begun": str(begun)},
                                   deadline_seconds=5 if first.transport == "nats" else 60)
        eventually(begun.exists)
        kill(peer)
        with pytest.raises(BusTimeout if first.transport == "nats" else PeerLost): in_flight.result()
    with pytest.raises(NobodyListens): first.call("compute.host-1", "pid", {}, deadline_seconds=20)
    successor = with_peer.peer("compute.host-1")
    served(lambda: first.call("compute.host-1", "pid", {}, deadline_seconds=20))
    assert first.call("compute.host-1", "pid", {}, deadline_seconds=20) == {"pid": successor.pid}


def test_a_stopped_peer_costs_its_callers_their_deadline_and_nobody_else_anything(with_peer: World) -> None:
    first = with_peer.first
    peer = with_peer.peer("compute.host-1")
    first.serve("mine", {"echo": lambda args, message: args})
    served(lambda: first.call("compute.host-1", "pid", {}, deadline_seconds=20))
    peer.send_signal(signal.SIGSTOP)
    eventually(lambda: all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in Path(f"/proc/{peer.pid}/task").glob("*/stat")))
    with pytest.raises(BusTimeout): first.call("compute.host-1", "pid", {}, deadline_seconds=0.5)
    assert with_peer.another("agent").call("mine", "echo", {"n": 1}, deadline_seconds=20) == {"n": 1}
    peer.send_signal(signal.SIGCONT)
    assert first.call("compute.host-1", "pid", {}, deadline_seconds=20) == {"pid": peer.pid}


def test_calls_outlive_a_killed_broker(brokered: World) -> None:
    agent, broker, runs = brokered.another("agent"), brokered.broker(), list[Any]()

    def work(args: dict[str, Any], message: Message) -> dict[str, Any]:
        runs.append(args["n"])
        time.sleep(args["seconds"])
        return {"n": args["n"]}
    agent.serve("work", {"work": work}, threads=4)
    served(lambda: brokered.first.call("work", "work", {"n": 0, "seconds": 0}, deadline_seconds=10))
    with ThreadPoolExecutor() as callers:
        in_flight = callers.submit(brokered.first.call, "work", "work", {"n": 1, "seconds": 0.5}, deadline_seconds=60)
        eventually(lambda: 1 in runs)
        broker.kill()
        eventually(lambda: brokered.first.health() is not None and agent.health() is not None)
        while_away = callers.submit(brokered.first.call, "work", "work", {"n": 2, "seconds": 0}, deadline_seconds=60)
        brokered.first.cast("work", "work", {"n": -1, "seconds": 0})  # lost, without a word
        agent.serve("late", {"echo": lambda args, message: args})
        with pytest.raises(BusTimeout): brokered.first.call("work", "work", {"n": 3, "seconds": 0}, deadline_seconds=0.5)
        broker.restart()
        assert in_flight.result() == {"n": 1} and while_away.result() == {"n": 2}
    assert brokered.first.call("work", "work", {"n": 4, "seconds": 0}, deadline_seconds=30) == {"n": 4}
    assert brokered.first.call("late", "echo", {"n": 5}, deadline_seconds=30) == {"n": 5}
    assert runs == [0, 1, 2, 4], "the call in flight was sent again, and its stored answer given"
    assert brokered.first.health() is None
