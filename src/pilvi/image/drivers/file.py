"""Image bytes as files of one directory. Written beside, synced, renamed; so a file is whole or absent, whatever happens to the machine."""
from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pilvi.image.drivers.interface import Store, Writer
from pilvi.image.errors import NotStored, StorageFull

PIECE = 1 << 20
PARTIAL = ".partial"


class FileStore(Store):
    """See the module."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / PARTIAL).mkdir(mode=0o700, parents=True, exist_ok=True)

    def begin(self, name: str) -> Writer:
        return FileWriter(self.directory / PARTIAL / name, self.directory / name)

    def size(self, name: str) -> int:
        try: return (self.directory / name).stat().st_size
        except FileNotFoundError: raise NotStored(name=name) from None

    def read(self, name: str, offset: int, length: int) -> Iterator[bytes]:
        try: descriptor = os.open(self.directory / name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError: raise NotStored(name=name) from None
        return _pieces(descriptor, offset, length)

    def remove(self, name: str) -> None:
        (self.directory / name).unlink(missing_ok=True)

    def names(self) -> Iterator[str]:
        for entry in os.scandir(self.directory):
            if entry.is_file(follow_symlinks=False): yield entry.name

    def free_bytes(self) -> int | None:
        return shutil.disk_usage(self.directory).free

    def tidy(self, older_than_seconds: float) -> None:
        for path in (self.directory / PARTIAL).iterdir():
            try: stale = path.stat().st_mtime < time.time() - older_than_seconds
            except FileNotFoundError: continue
            if stale: path.unlink(missing_ok=True)


def _pieces(descriptor: int, offset: int, length: int) -> Iterator[bytes]:
    try:
        while length > 0 and (piece := os.pread(descriptor, min(PIECE, length), offset)):
            offset, length = offset + len(piece), length - len(piece)
            yield piece
    finally:
        os.close(descriptor)


class FileWriter(Writer):
    """A file that has no name yet."""

    def __init__(self, partial: Path, path: Path) -> None:
        self.partial, self.path = partial, path
        self.file = os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "r+b", buffering=0)

    def write(self, piece: bytes) -> None:
        view = memoryview(piece)
        with _full():
            while view: view = view[self.file.write(view):]

    def read_at(self, offset: int, length: int) -> bytes:
        return os.pread(self.file.fileno(), length, offset)

    def commit(self) -> None:
        with _full():
            os.fsync(self.file.fileno())
            self.file.close()
            self.partial.rename(self.path)
            _sync_directory(self.path.parent)

    def abort(self) -> None:
        self.file.close()
        self.partial.unlink(missing_ok=True)


@contextmanager
def _full() -> Iterator[None]:
    try: yield
    except OSError as failure:
        if failure.errno in (errno.ENOSPC, errno.EDQUOT): raise StorageFull() from failure
        raise


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try: os.fsync(descriptor)
    finally: os.close(descriptor)
