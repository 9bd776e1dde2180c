"""Microversions: which one a request gets."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilvi.core.microversion import Microversions, VersionMalformed, VersionUnknown

RANGE = Microversions(("compute", "nova"), (2, 1), (2, 104), "x-openstack-nova-api-version")


@pytest.mark.parametrize(("headers", "served"), [
    ({}, (2, 1)), ({"openstack-api-version": "compute 2.90"}, (2, 90)), ({"openstack-api-version": "compute latest"}, (2, 104)),
    ({"openstack-api-version": "Nova 2.3"}, (2, 3)), ({"openstack-api-version": "volume 3.1,compute 2.2"}, (2, 2)),
    ({"openstack-api-version": "volume 3.1"}, (2, 1)), ({"openstack-api-version": ""}, (2, 1)),
    ({"openstack-api-version": "compute 2.5", "x-openstack-nova-api-version": "2.7"}, (2, 5)),
    ({"x-openstack-nova-api-version": "2.7"}, (2, 7))])
def test_served(headers: dict[str, str], served: tuple[int, int]) -> None:
    assert RANGE.negotiate(headers) == served


@pytest.mark.parametrize("asked", ["2", "2.", "2.a", "v2.1", "2.01", "02.1", "-2.1", "2.1.1", "newest"])
def test_malformed(asked: str) -> None:
    with pytest.raises(VersionMalformed): RANGE.negotiate({"openstack-api-version": f"compute {asked}"})


@pytest.mark.parametrize("asked", ["2.0", "2.105", "1.9", "3.1", "2.99999999999999999999"])
def test_outside(asked: str) -> None:
    with pytest.raises(VersionUnknown) as refused: RANGE.negotiate({"openstack-api-version": f"compute {asked}"})
    assert refused.value.facts["least"] == "2.1" and refused.value.facts["most"] == "2.104"


@given(st.text(max_size=60))
def test_whatever_is_asked_there_is_an_answer(text: str) -> None:
    try: served = RANGE.negotiate({"openstack-api-version": text})
    except (VersionMalformed, VersionUnknown): return
    assert RANGE.least <= served <= RANGE.most
