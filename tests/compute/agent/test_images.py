"""Fetching an image: checked before it is trusted, kept once, and nothing half-written is left, whatever goes wrong."""
from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pilvi.compute.agent import images
from pilvi.compute.agent.images import DiskFull, ImageDamaged, Images
from pilvi.core import disk_image
from pilvi.core.context import Call
from pilvi.core.errors import Unavailable
from pilvi.core.http import client
from pilvi.core.http.client import Message, Reply, Socket

BYTES = os.urandom(3 << 20)
FACTS: dict[str, Any] = {"id": "3a1c", "disk_format": "raw", "size": len(BYTES), "os_hash_algo": "sha512",
                         "os_hash_value": hashlib.sha512(BYTES).hexdigest()}


class Api(Socket):
    """An image service that sends these bytes, and says that it sends all of the image."""

    def __init__(self, data: bytes) -> None:
        super().__init__("http://127.0.0.1:1")
        self.data, self.asked = data, 0

    @contextmanager
    def stream(self, message: Message) -> Iterator[tuple[Reply, Callable[[int], bytes]]]:
        self.asked += 1
        left = bytearray(self.data)

        def read(most: int) -> bytes:
            piece = bytes(left[:most])
            del left[:most]
            return piece

        yield Reply(200, {"content-length": str(len(BYTES))}, b""), read


@pytest.fixture()
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setattr(images, "KEEP_FREE_BYTES", 0)
    made = Api(BYTES)
    monkeypatch.setitem(client.TRANSPORTS, "image", made)
    return made


@pytest.fixture()
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system with one MiB."""
    if os.geteuid() != 0: pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_it_is_fetched_once(api: Api, tmp_path: Path) -> None:
    kept = Images(tmp_path)
    path = kept.fetch(Call(), FACTS)
    assert path.read_bytes() == BYTES and kept.fetch(Call(), FACTS) == path and api.asked == 1
    assert list(tmp_path.iterdir()) == [path]


def test_damaged_bytes_are_not_kept(api: Api, tmp_path: Path) -> None:
    api.data = BYTES[:-1] + bytes([BYTES[-1] ^ 1])
    with pytest.raises(ImageDamaged): Images(tmp_path).fetch(Call(), FACTS)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_names_another_file_is_refused_here_too(api: Api, tmp_path: Path) -> None:
    """The image service looks at what is uploaded; a host does not rely on that."""
    backing = b"/etc/shadow"
    head = disk_image.HEADER.pack(disk_image.MAGIC, 2, 72 + 8, len(backing), 16, 1 << 20, 0).ljust(80, b"\0") + backing
    api.data = head.ljust(len(BYTES), b"\0")
    facts = FACTS | {"disk_format": "qcow2", "os_hash_value": hashlib.sha512(api.data).hexdigest()}
    with pytest.raises(disk_image.ImageRefused, match="backing file"): Images(tmp_path).fetch(Call(), facts)
    assert not list(tmp_path.iterdir())


def test_an_end_too_early_is_tried_again_later(api: Api, tmp_path: Path) -> None:
    api.data = BYTES[:1000]
    kept = Images(tmp_path)
    with pytest.raises(Unavailable): kept.fetch(Call(), FACTS)
    assert not list(tmp_path.iterdir())
    api.data = BYTES
    assert kept.fetch(Call(), FACTS).read_bytes() == BYTES


def test_a_disk_without_room_is_seen_before(api: Api, small: Path) -> None:
    with pytest.raises(DiskFull) as refused: Images(small).fetch(Call(), FACTS)
    assert FACTS["id"] in refused.value.message and api.asked == 0 and not list(small.iterdir())


def test_a_disk_that_fills_meanwhile(api: Api, small: Path) -> None:
    """The size that was promised fits, the bytes that come do not."""
    with pytest.raises(DiskFull) as refused: Images(small).fetch(Call(), FACTS | {"size": None})
    assert "No space left" in refused.value.message and not list(small.iterdir())


def test_what_a_killed_agent_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".abc.raw.1.part").write_bytes(b"half")
    Images(tmp_path)
    assert not list(tmp_path.iterdir())
