"""A process of its own at the other end of a bus, for tests that kill it: `bus_peer.py hub|client|nats ADDRESS TARGET`."""
from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from pilvi.core.bus.interface import Message
from pilvi.core.bus.nats import NatsBus
from pilvi.core.bus.unix_socket import UnixSocketClient, UnixSocketHub


def pid(args: dict[str, Any], message: Message) -> dict[str, Any]:
    return {"pid": os.getpid()}


def sleep(args: dict[str, Any], message: Message) -> dict[str, Any]:
    """`begun`: a file that is there once it has begun."""
    Path(args["begun"]).touch()
    time.sleep(args["seconds"])
    return {"pid": os.getpid()}


def main(kind: str, address: str, target: str) -> None:
    bus: UnixSocketHub | UnixSocketClient | NatsBus
    if kind == "hub": bus = UnixSocketHub(Path(address), name="peer")
    elif kind == "client": bus = UnixSocketClient(Path(address), name="peer")
    else: bus = NatsBus([address], name="peer")
    bus.serve(target, {"pid": pid, "sleep": sleep, "echo": lambda args, message: args})
    bus.start()
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
