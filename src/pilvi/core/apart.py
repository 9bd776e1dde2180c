"""Users' programs (yaql expressions, patterns that try all ways) in a process of their own, which may take no more than the kernel lets it.

An expression may count to 10^8, make a number of ten million digits in one step of the interpreter, or double a text forty times. No
count of steps would bound that; so the process limits itself (setrlimit), is ended by the kernel when it goes too far, and begun anew.
Questions and answers go through its pipes, a line of JSON each. Its input ends with this process, and then so does it.
"""
from __future__ import annotations

import atexit
import math
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import msgspec

ANSWER_BYTES_MOST = 4_194_304
SECONDS_MOST, MEMORY_MOST = 1, 512 * 2**20
"""Of the processor for a question, and a part of a second more; and of memory in bytes."""
SOURCES = Path(__file__).parents[2]


class Apart:
    """A module run as a program, from the first question on; one question at a time. It answers [true, value] or [false, why not]."""

    def __init__(self, module: str) -> None:
        self.module = module
        self._lock = Lock()
        self._child: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def ask(self, question: Any) -> Any:
        """The answer. Raises ValueError with the reason there is none."""
        try: written = msgspec.json.encode(question) + b"\n"
        except (TypeError, ValueError, OverflowError, RecursionError) as failure: raise ValueError(f"Bad data: {failure}") from None
        with self._lock: answer = self._line(written)
        if not answer.endswith(b"\n"): raise ValueError("It takes too much time or memory")
        good, value = msgspec.json.decode(answer)
        if not good: raise ValueError(value)
        return value

    def _line(self, question: bytes) -> bytes:
        """The answer's line; without its end if the process did not live to write it."""
        if self._child is None or self._child.poll() is not None: self._child = self._begin()
        assert self._child.stdin and self._child.stdout
        try:
            self._child.stdin.write(question)
            self._child.stdin.flush()
            answer = self._child.stdout.readline(ANSWER_BYTES_MOST + 1)
        except OSError: answer = b""
        if not answer.endswith(b"\n"): self.close()
        return answer

    def _begin(self) -> subprocess.Popen[bytes]:
        self.close()
        return subprocess.Popen([sys.executable, "-P", "-m", self.module], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, cwd="/",
                                env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(SOURCES)})

    def close(self) -> None:
        """Ends the process. Repeatable."""
        child, self._child = self._child, None
        if child is None: return
        child.kill()
        assert child.stdin and child.stdout
        try: child.stdin.close()
        except OSError: pass  # it was not there any more to read the rest
        child.stdout.close()
        child.wait()


def serve(answer: Callable[[Any], Any]) -> None:
    """What such a module does as a program: answers question by question. `answer` raises ValueError with the reason there is none; the
    kernel ends the process when one takes too long."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MOST, MEMORY_MOST))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin.buffer:
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + SECONDS_MOST, resource.RLIM_INFINITY))
        try: told = msgspec.json.encode([True, answer(msgspec.json.decode(line))])
        except (ValueError, TypeError, OverflowError, RecursionError) as failure: told = msgspec.json.encode([False, str(failure)])
        sys.stdout.buffer.write(told + b"\n")
        sys.stdout.buffer.flush()
