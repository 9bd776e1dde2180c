"""Archives that are small on the way and huge inside, and archives that say they are."""
from __future__ import annotations

import bz2
import io
import resource
import tarfile
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest

Ask = Callable[..., httpx.Response]
MIB = 1 << 20


def header(kind: bytes, size: int, name: str = "h") -> bytes:
    made = tarfile.TarInfo(name)
    made.type, made.size = kind, size
    return made.tobuf(tarfile.GNU_FORMAT)


def pax(facts: dict[str, str]) -> bytes:
    """An extended header with its records."""
    made = tarfile.TarInfo("f")
    made.pax_headers = facts
    return made.tobuf(tarfile.PAX_FORMAT)


def packed(form: str, first: bytes, often: bytes, times: int) -> bytes:
    """`first`, then something many times; only the packed bytes are ever in memory."""
    packer: Any = bz2.BZ2Compressor() if form == "tar.bz2" else zlib.compressobj(1, zlib.DEFLATED, 31)
    return b"".join([packer.compress(first), *(packer.compress(often) for _ in range(times)), packer.flush()])


ZEROS = b"\0" * MIB
HOLES = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "f"}
BOMBS: dict[str, tuple[str, bytes, bytes, int]] = {
    "nothing but zeros": ("tar.bz2", b"", ZEROS, 150), "zeros that are no archive": ("tar.gz", b"x" * 512, ZEROS, 150),
    "a long extended header": ("tar.gz", header(tarfile.XHDTYPE, 300 * MIB), ZEROS, 150),
    "a long name": ("tar.bz2", header(tarfile.GNUTYPE_LONGNAME, 300 * MIB), ZEROS, 150),
    "names of names": ("tar.gz", b"", header(tarfile.GNUTYPE_LONGNAME, 512) + b"a" * 512, 5_000),
    "folders": ("tar.gz", b"", header(tarfile.DIRTYPE, 0), 110_000), "holes": ("tar.gz", pax(HOLES), b"9\n" * (MIB // 2), 8),
    "old holes": ("tar.gz", header(tarfile.GNUTYPE_SPARSE, 512), b"\0" * 512, 1)}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_in_little_memory(ask: Ask, name: str) -> None:
    form, *parts = BOMBS[name]
    data = packed(form, *parts)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    done = ask("PUT", f"/v1/AUTH_one/box?extract-archive={form}", data, accept="application/json").json()
    assert done["Response Status"] == "400 Bad Request" and done["Number Files Created"] == 0
    assert done["Response Body"].startswith("Invalid Tar File: ")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_a_file_that_was_packed_small_comes_out_whole(ask: Ask) -> None:
    content = b"0123456789abcdef" * (3 * MIB // 16)
    for form, mode in (("tar", "w"), ("tar.gz", "w:gz"), ("tar.bz2", "w:bz2")):
        whole = io.BytesIO()
        with tarfile.open(fileobj=whole, mode=mode) as archive:  # type: ignore[call-overload]
            member = tarfile.TarInfo(f"far/{'long' * 40}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        done = ask("PUT", f"/v1/AUTH_one/packed?extract-archive={form}", whole.getvalue(), accept="application/json").json()
        assert done["Number Files Created"] == 1, done
        assert ask("GET", f"/v1/AUTH_one/packed/far/{'long' * 40}").content == content
