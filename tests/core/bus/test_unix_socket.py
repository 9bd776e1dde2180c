"""What only the unix socket has: who may connect, sockets left behind, peers that misbehave."""
from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pilvi.core.bus import unix_socket
from pilvi.core.bus.interface import PeerLost
from pilvi.core.bus.unix_socket import UnixSocketClient, UnixSocketHub

NOBODY = 65534


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[UnixSocketHub]:
    hub = UnixSocketHub(tmp_path / "bus")
    hub.serve("echo", {"echo": lambda args, message: args})
    hub.start()
    yield hub
    hub.close(0.2)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter; pytest's own are closed to them."""
    if os.geteuid() != 0: pytest.skip("needs root to become somebody else")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


def connected(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    sock.connect(str(path))
    return sock


def test_only_expected_users_get_in(open_folder: Path) -> None:
    path = open_folder / "bus"
    program = f"""
import os, socket
os.setuid({NOBODY})
sock = socket.socket(socket.AF_UNIX)
sock.settimeout(1)
sock.connect({str(path)!r})
try: print("closed" if sock.recv(1) == b"" else "data")
except TimeoutError: print("accepted")
"""
    answers = {}
    for allowed in (12345, NOBODY):
        hub = UnixSocketHub(path, allowed_uids={allowed})
        hub.start()
        answers[allowed] = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False).stdout.strip()
        hub.close(0.2)
    assert answers == {12345: "closed", NOBODY: "accepted"}


def test_without_expected_strangers_the_socket_is_ours_alone(hub: UnixSocketHub, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "bus").stat().st_mode) == 0o600


def test_a_client_refuses_a_hub_of_a_stranger(open_folder: Path) -> None:
    path = open_folder / "bus"
    program = f"""
import os, socket, sys
os.setuid({NOBODY})
sock = socket.socket(socket.AF_UNIX)
sock.bind({str(path)!r})
sock.listen()
print(".", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stranger:
        assert stranger.stdout and stranger.stdout.read(1)
        client = UnixSocketClient(path, name="agent")
        client.start()
        ends_at = time.monotonic() + 20
        while f"uid {NOBODY}" not in (client.health() or "") and time.monotonic() < ends_at: time.sleep(0.02)
        assert f"uid {NOBODY}" in (client.health() or "")
        client.close()


def test_the_socket_of_a_killed_hub_is_replaced_and_a_living_one_is_not(hub: UnixSocketHub, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="another control process"): UnixSocketHub(tmp_path / "bus").start()
    left_behind = tmp_path / "left"
    with socket.socket(socket.AF_UNIX) as sock: sock.bind(str(left_behind))
    successor = UnixSocketHub(left_behind)
    successor.start()
    connected(left_behind).close()
    successor.close()
    assert not left_behind.exists()


@pytest.mark.parametrize("nonsense", [b"\x00\x00\x00\x03abc", b"\xff\xff\xff\xff", b"\x00\x00\x00\x02\x91\x07", b"\x00\x00"])
def test_a_peer_that_talks_nonsense_is_cut_off_and_others_are_served(hub: UnixSocketHub, tmp_path: Path, nonsense: bytes) -> None:
    with connected(tmp_path / "bus") as sock:
        sock.sendall(nonsense)
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
    client = UnixSocketClient(tmp_path / "bus", name="agent")
    client.start()
    assert client.call("echo", "echo", {"n": 1}, deadline_seconds=20) == {"n": 1}
    client.close()


def test_a_peer_that_takes_nothing_is_cut_off(hub: UnixSocketHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unix_socket, "SEND_LIMIT_SECONDS", 1)  # five seconds are long for a test
    with connected(tmp_path / "bus") as sock:
        body = unix_socket.encode(unix_socket.Announcement("deaf", ["deaf"], []))
        sock.sendall(len(body).to_bytes(4, "big") + body)
        with pytest.raises(PeerLost):
            hub.call("deaf", "hear", {"x": bytes(8_000_000)}, deadline_seconds=20)
