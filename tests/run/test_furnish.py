"""The pieces of the first server that need no cloud; the whole is in test_lifecycle.py and the outside tests."""
from __future__ import annotations

import socket
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from pilvi.run import furnish


def test_the_key_is_one_that_ssh_takes(tmp_path: Path) -> None:
    path = tmp_path / "key"
    public = furnish._key(path)
    assert public == furnish._key(path), "made once"
    assert path.stat().st_mode & 0o077 == 0
    told = subprocess.run(["ssh-keygen", "-y", "-f", path], capture_output=True, text=True, check=True).stdout.split()
    assert told[:2] == public.split()[:2] and public.endswith(" hello")


def test_it_waits_for_a_word_not_for_a_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve() -> None:
            silent, _ = server.accept()
            silent.close()
            speaking, _ = server.accept()
            speaking.sendall(b"SSH-2.0-x\r\n")
            speaking.close()

        thread = threading.Thread(target=serve)
        thread.start()
        furnish.wait_answer("127.0.0.1", server.getsockname()[1])
        thread.join(30)
        assert not thread.is_alive(), "the silent answer was not enough"


def test_a_failed_server_says_why() -> None:
    class Failed:
        def ask(self, *words: Any, **query: Any) -> Any:
            return {"server": {"status": "ERROR", "fault": {"message": "No valid host was found."}}}

    with pytest.raises(furnish.ServerFailed, match="No valid host"): furnish.wait_active(Failed(), "id")  # type: ignore[arg-type]
