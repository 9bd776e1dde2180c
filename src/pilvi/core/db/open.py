"""Which threads are inside a transaction. Apart from session.py because agents, which have no database, call services too."""
from __future__ import annotations

import threading

OPEN = threading.local()


class OpenTransaction(RuntimeError):
    """A service was called while a transaction was open: the callee could wait for the caller's lock for ever."""


def forbid_open() -> None:
    """Raises OpenTransaction if this thread is inside a transaction."""
    if getattr(OPEN, "depth", 0): raise OpenTransaction("a service was called inside a transaction")
