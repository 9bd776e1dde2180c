"""What every process that the supervisor starts does alike."""
from __future__ import annotations

import gc
import os
import signal
from typing import NamedTuple


class End(NamedTuple):
    """The end of this process, as its supervisor asks for it: SIGTERM or SIGINT, kept from `expect` on, whichever thread they reach, even
    while the process begins or ends. They aren't blocked, since children (machines, daemons) would inherit that."""
    asked: int
    """The reading end of a pipe, into which a signal writes."""

    @classmethod
    def expect(cls) -> End:
        """In the main thread only, as Python wants it."""
        asked, tell = os.pipe()
        os.set_blocking(tell, False)
        signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT): signal.signal(number, lambda *_: None)
        return cls(asked)

    def wait(self) -> None:
        """Returns once it was asked for, also if that was before."""
        os.read(self.asked, 1)


def ready() -> None:
    """Tells the supervisor that this process works. What it has by now it keeps to its end: the garbage collector need not look at it
    again and again, which was half of what a list of 1,000 servers cost."""
    gc.freeze()
    descriptor = os.environ.pop("PILVI_READY_FD", None)
    if descriptor is not None:
        os.write(int(descriptor), b"READY\n")
        os.close(int(descriptor))
