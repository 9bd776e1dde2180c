"""A machine's serial console log, which the guest fills as it likes and which therefore must be kept short."""
from __future__ import annotations

import os

from pilvi.compute.drivers.qemu.definition import Home

KEPT_BYTES = 1 << 20
_TRIM_AT_BYTES = 4 * KEPT_BYTES


def log(home: Home, lines: int | None) -> str:
    """The last lines (None: all) of the last KEPT_BYTES bytes."""
    try:
        with home.console_log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - KEPT_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    if lines is None: return text
    return "".join(text.splitlines(keepends=True)[-lines:]) if lines > 0 else ""


def trim(home: Home) -> None:
    """Cut a log that grew too long to its end. QEMU appends, so it goes on at the new end; a line written in this very moment may be
    lost.
    """
    try:
        with home.console_log.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            if size < _TRIM_AT_BYTES: return
            file.seek(size - KEPT_BYTES)
            kept = file.read()
            file.seek(0)
            file.truncate()
            file.write(kept)
    except FileNotFoundError:
        pass
