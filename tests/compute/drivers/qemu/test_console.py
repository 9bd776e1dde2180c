"""The console log is read from its end and kept short."""
from __future__ import annotations

from pathlib import Path

import pytest

from pilvi.compute.drivers.qemu import console
from pilvi.compute.drivers.qemu.definition import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "s").mkdir()
    return Home(tmp_path, "s")


def test_lines_from_the_end(home: Home):
    assert console.log(home, None) == ""
    home.console_log.write_bytes(b"one\ntwo\n\xff three")
    assert console.log(home, 2) == "two\n\ufffd three"
    assert console.log(home, 0) == ""
    assert console.log(home, 99) == console.log(home, None) == "one\ntwo\n\ufffd three"


def test_at_most_a_mebibyte_is_read(home: Home):
    home.console_log.write_bytes(b"x" * (console.KEPT_BYTES + 5) + b"end")
    assert len(console.log(home, None)) == console.KEPT_BYTES and console.log(home, None).endswith("end")


def test_a_long_log_is_cut_while_qemu_writes(home: Home):
    console.trim(home)
    with home.console_log.open("ab", buffering=0) as qemu:
        qemu.write(b"short")
        console.trim(home)
        assert home.console_log.stat().st_size == 5
        qemu.write(b"x" * (4 * console.KEPT_BYTES) + b"end")
        console.trim(home)
        qemu.write(b" and on")
    assert home.console_log.stat().st_size == console.KEPT_BYTES + 7
    assert console.log(home, None).endswith("xend and on")
