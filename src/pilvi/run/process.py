"""What every process that the supervisor starts does alike."""
from __future__ import annotations

import os
import signal


def ready() -> None:
    """Tells the supervisor that this process works."""
    descriptor = os.environ.pop("PILVI_READY_FD", None)
    if descriptor is not None:
        os.write(int(descriptor), b"READY\n")
        os.close(int(descriptor))


def wait_for_end() -> None:
    """Returns at SIGTERM or SIGINT."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
