"""Clouds to be treated badly: one of real processes, one inside the test's process."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from tests.crash.inside import Cloud as Inside
from tests.outside.clouds import Cloud, free_port


@pytest.fixture(scope="session")
def processes(cloud_at: Callable[[str], Cloud]) -> Cloud:
    """A simulated cloud of two hosts, started as its users start it, whose processes may be killed at any step."""
    made = cloud_at("crash")
    privileged = ["--privileged-control"] if os.geteuid() == 0 else []
    done = made.pilvi("up", "--simulated", "--empty", "--hosts", "2", "--listen", f"127.0.0.1:{free_port()}", *privileged, check=False,
                      PILVI_CRASH_POINTS="1")
    assert done.returncode == 0, done.stdout + done.stderr
    return made


@pytest.fixture(scope="module")
def inside() -> Iterator[Inside]:
    """A cloud of two hosts for the tests of a file."""
    cloud = Inside()
    yield cloud
    cloud.close()
