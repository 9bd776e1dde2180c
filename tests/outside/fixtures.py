"""Fixtures of the outside tests."""
from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.outside.clouds import Cloud


def share(earlier: Path, state: Path) -> None:
    """What takes long to make is taken over from an earlier cloud: the environment (by link) and the guest image."""
    state.mkdir(exist_ok=True)
    for environment in earlier.glob("env-*"):
        if environment.is_dir() and not (state / environment.name).exists(): (state / environment.name).symlink_to(environment)
    if (earlier / "guest" / "vmlinuz").exists() and not (state / "guest").exists(): shutil.copytree(earlier / "guest", state / "guest")


@pytest.fixture(scope="session")
def cloud_at() -> Iterator[Callable[[str], Cloud]]:
    """Makes state folders for clouds; takes the clouds down and the folders away at the end."""
    made: list[Cloud] = []
    base = Path(tempfile.mkdtemp(prefix="pilvi-test-", dir="/var/tmp"))
    base.chmod(0o755)

    def make(name: str) -> Cloud:
        cloud = Cloud(base / name)
        for earlier in made: share(earlier.state, cloud.state)
        made.append(cloud)
        return cloud

    yield make
    for cloud in made:
        if (cloud.state / "cloud.json").exists(): cloud.pilvi("down", check=False)
    shutil.rmtree(base, ignore_errors=True)
