"""Clouds inside the test's process."""
from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.crash.inside import Cloud


@pytest.fixture(scope="module")
def inside() -> Iterator[Cloud]:
    """A cloud of two hosts for the tests of a file."""
    cloud = Cloud()
    yield cloud
    cloud.close()
