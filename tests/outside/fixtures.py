"""Fixtures of the outside tests."""
from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.outside.clouds import Cloud


@pytest.fixture(scope="session")
def cloud_at() -> Iterator[Callable[[str], Cloud]]:
    """Makes state folders for clouds; takes the clouds down and the folders away at the end."""
    made: list[Cloud] = []
    base = Path(tempfile.mkdtemp(prefix="pilvi-test-", dir="/var/tmp"))
    base.chmod(0o755)

    def make(name: str) -> Cloud:
        cloud = Cloud(base / name)
        made.append(cloud)
        return cloud

    yield make
    for cloud in made:
        if (cloud.state / "cloud.json").exists(): cloud.pilvi("down", check=False)
    shutil.rmtree(base, ignore_errors=True)
