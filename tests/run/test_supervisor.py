"""The supervisor with real processes: readiness, failures, restarts, ends, and what it knows about who runs."""
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pilvi.run import supervisor, watcher
from pilvi.run.supervisor import Process, StartFailed

READY = "import os, sys, time, signal; say = lambda: os.write(int(os.environ['PILVI_READY_FD']), b'READY\\n'); "
SERVE = READY + "say(); time.sleep(600)"


def python(name: str, code: str = SERVE, **more: object) -> Process:
    return Process(name, [sys.executable, "-S", "-E", "-c", code], env={"PATH": os.environ["PATH"]}, **more)  # type: ignore[arg-type]


def start(directory: Path, *processes: Process) -> list[str]:
    ready: list[str] = []
    supervisor.start(directory, processes, ready.append)
    return ready


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.02)


def find(directory: Path, name: str) -> supervisor.Status:
    return next(entry for entry in supervisor.status(directory) if entry.name == name)


def alive(pid: int) -> bool:
    return supervisor.identity(pid) is not None


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    supervisor.stop(tmp_path)


def test_all_are_ready_when_start_returns_and_gone_when_stop_does(directory: Path) -> None:
    assert sorted(start(directory, python("one"), python("two"))) == ["one", "two"]
    entries = supervisor.status(directory)
    assert [(entry.name, entry.state) for entry in entries] == [("supervisor", "ready"), ("one", "ready"), ("two", "ready")]
    for entry in entries:
        assert entry.pid and alive(entry.pid) and entry.uptime_seconds < 300
        assert entry.memory_bytes and 1_000_000 < entry.memory_bytes < 15_000_000
    supervisor.stop(directory)
    assert not any(alive(entry.pid) for entry in entries if entry.pid)
    assert supervisor.status(directory) == [] and not list((directory / "run").glob("*.pid"))
    supervisor.stop(directory)  # may be repeated


def test_the_supervisor_is_small(directory: Path) -> None:
    start(directory, python("one"))
    pid = find(directory, "supervisor").pid
    resident = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    assert int(resident.split()[1]) < 15_000


def test_the_order_of_those_that_wait_for_others(directory: Path) -> None:
    first = READY + "time.sleep(0.5); open('first', 'w'); say(); time.sleep(600)"
    second = READY + "assert os.path.exists('first'); say(); time.sleep(600)"
    assert start(directory, python("b", second, cwd=str(directory), after=("a",)), python("a", first, cwd=str(directory))) == ["a", "b"]


def test_a_process_that_dies_at_the_start_stops_all_and_says_why(directory: Path) -> None:
    with pytest.raises(StartFailed, match=r"(?s)two: exit status 3.*no such database"):
        start(directory, python("one"), python("two", "print('no such database', flush=True); raise SystemExit(3)"))
    assert supervisor.status(directory) == []


def test_a_program_that_does_not_exist_says_so(directory: Path) -> None:
    with pytest.raises(StartFailed, match="FileNotFoundError"):
        start(directory, Process("one", ["/nowhere/program"]))


def test_a_process_that_never_becomes_ready(directory: Path) -> None:
    with pytest.raises(StartFailed, match=r"one: not ready after 0\.3 s"):
        start(directory, python("one", "import time; print('waiting', flush=True); time.sleep(600)", ready_seconds=0.3))
    assert supervisor.status(directory) == []


def test_a_dead_process_is_started_again(directory: Path) -> None:
    start(directory, python("one"), python("two"))
    old, other = find(directory, "one").pid, find(directory, "two").pid
    assert old
    os.kill(old, signal.SIGKILL)
    until(lambda: find(directory, "one").restarts == 1 and find(directory, "one").state == "ready")
    entry = find(directory, "one")
    assert entry.pid != old and entry.last_exit == "signal 9"
    assert find(directory, "two").pid == other


def test_one_that_keeps_dying_is_tried_more_and_more_rarely(directory: Path) -> None:
    code = READY + "say(); time.sleep(0.05); sys.exit(9 if os.path.exists('broken') else time.sleep(600))"
    start(directory, python("one", code, cwd=str(directory)))
    (directory / "broken").touch()
    pid = find(directory, "one").pid
    assert pid
    os.kill(pid, signal.SIGTERM)
    began = time.monotonic()
    seen = list[supervisor.Status]()

    def waits_again() -> bool:
        seen[:] = [find(directory, "one")]
        return seen[0].restarts >= 3 and seen[0].state == "waiting"

    until(waits_again)
    assert time.monotonic() - began > 1.4  # 0.5 + 1 s between them
    assert seen[0].last_exit == "exit status 9"
    (directory / "broken").unlink()
    until(lambda: find(directory, "one").state == "ready")


def test_children_end_when_the_supervisor_is_killed_but_guests_stay(directory: Path) -> None:
    guest = "import os, time\nif os.fork(): os._exit(0)\nos.setsid(); open('guest', 'w').write(str(os.getpid())); time.sleep(600)"
    code = READY + f"import subprocess; subprocess.run([sys.executable, '-c', {guest!r}]); say(); time.sleep(600)"
    start(directory, python("agent", code, cwd=str(directory)))
    pid, chief = find(directory, "agent").pid, find(directory, "supervisor").pid
    until(lambda: (directory / "guest").exists() and (directory / "guest").read_text())
    guest_pid = int((directory / "guest").read_text())
    try:
        assert pid and chief
        os.kill(chief, signal.SIGKILL)
        until(lambda: not alive(pid))
        assert alive(guest_pid)
        assert {entry.state for entry in supervisor.status(directory)} == {"stopped"}
        assert start(directory, python("agent")) == ["agent"], "a killed supervisor is no obstacle"
    finally:
        os.kill(guest_pid, signal.SIGKILL)


def test_a_daemon_that_forked_away_leaves_no_zombie(directory: Path) -> None:
    daemon = "import os, time\nif os.fork(): os._exit(0)\nos.setsid(); open('daemon', 'w').write(str(os.getpid()))"
    code = READY + f"import subprocess; subprocess.run([sys.executable, '-c', {daemon!r}]); say(); time.sleep(600)"
    start(directory, python("agent", code, cwd=str(directory)))
    until(lambda: (directory / "daemon").exists() and (directory / "daemon").read_text())
    pid = int((directory / "daemon").read_text())
    until(lambda: not Path(f"/proc/{pid}").exists())


def test_stop_ends_what_a_killed_supervisor_left(directory: Path) -> None:
    stubborn = READY + "signal.signal(signal.SIGTERM, lambda *_: open('asked', 'w')); say()\nwhile True: time.sleep(600)"
    start(directory, python("one", stubborn, cwd=str(directory)))
    pid, chief = find(directory, "one").pid, find(directory, "supervisor").pid
    assert pid and chief
    os.kill(chief, signal.SIGKILL)
    until(lambda: (directory / "asked").exists())
    assert find(directory, "one").pid == pid
    with pytest.raises(StartFailed, match="still running: one"):
        start(directory, python("one"))
    supervisor.end(directory, ["one"], 0.2)
    assert not alive(pid)


def test_a_second_supervisor_is_refused(directory: Path) -> None:
    start(directory, python("one"))
    pid = find(directory, "one").pid
    with pytest.raises(StartFailed, match="still running: supervisor, one"):
        start(directory, python("one"))
    assert find(directory, "one").pid == pid


@pytest.mark.parametrize("recorded", ["{pid}", "{pid} 1 boot", "{pid} {ticks} another-boot", "", "x y z", "99999999 1 boot"])
def test_a_pid_that_belongs_to_another_is_not_touched(directory: Path, recorded: str) -> None:
    (directory / "run").mkdir()
    _, ticks, _ = (supervisor.identity(os.getpid()) or "").split()
    (directory / "run" / "one.pid").write_text(recorded.format(pid=os.getpid(), ticks=ticks))
    assert supervisor.running(directory, "one") is None
    supervisor.stop(directory)


def test_the_pid_files_of_other_daemons_stay(directory: Path) -> None:
    start(directory, python("one"))
    (directory / "run" / "ovsdb.pid").write_text(f"{os.getpid()}\n")
    assert "ovsdb" not in [entry.name for entry in supervisor.status(directory)]
    supervisor.stop(directory)
    assert (directory / "run" / "ovsdb.pid").exists()


def test_what_a_process_gets(directory: Path) -> None:
    with socket.socket() as stranger:
        stranger.set_inheritable(True)
        code = READY + ("import json; print(json.dumps([sorted(os.environ), os.getcwd(), os.getuid(), os.getgid(), os.getgroups(), "
                        "os.listdir('/proc/self/fd'), os.getsid(0) == os.getpid()]), flush=True); say(); time.sleep(600)")
        root = os.geteuid() == 0
        start(directory, python("one", code, uid=65534 if root else None, gid=65534 if root else None))
    environment, cwd, uid, gid, groups, descriptors, leader = supervisor.json.loads((directory / "logs" / "one.log").read_text())
    assert (set(environment) - {"LC_CTYPE"}, cwd, leader) == ({"PATH", "PILVI_READY_FD"}, "/", True)
    assert len(descriptors) == 5  # three, the pipe, and the listing's own
    if root:
        assert (uid, gid, groups) == (65534, 65534, [])
        pid = find(directory, "one").pid
        chief = find(directory, "supervisor").pid
        assert pid and chief
        os.kill(chief, signal.SIGKILL)
        until(lambda: not alive(pid))  # the parent's death reaches it in spite of the change of uid


def test_a_full_log_is_kept_once_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "LOG_BYTES", 1000)
    log = tmp_path / "one.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"a" * 900)
        watcher.rotate(log)
        assert not (tmp_path / "one.log.1").exists()
        writer.write(b"b" * 900)
        watcher.rotate(log)
        writer.write(b"c")
    assert log.read_bytes() == b"c" and (tmp_path / "one.log.1").read_bytes() == b"a" * 900 + b"b" * 900
