"""The ring builder's promises, for any devices: everything has a place, weights are met, copies are apart, little moves."""
from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilvi.objectstore.ring import build, file
from pilvi.objectstore.ring.lookup import Device, Ring
from pilvi.objectstore.ring.report import report
from pilvi.objectstore.ring.targets import targets, weighted

HOUR = 480_000


def ring_of(zones: list[list[float]], power: int = 7, replicas: float = 3.0, **more: float) -> Ring:
    """A ring with a device for each weight of each zone."""
    ring = build.empty(power, replicas, **more)  # type: ignore[arg-type]
    for zone, weights in enumerate(zones):
        for number, weight in enumerate(weights): ring = build.with_device(ring, Device(0, 1, zone, f"n{zone}", f"d{number}", weight))
    return ring


SHAPES = st.lists(st.lists(st.sampled_from([50.0, 100.0, 200.0]), min_size=1, max_size=4), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.sampled_from([1.0, 2.0, 2.5, 3.0]), st.integers(0, 5))
def test_every_copy_has_a_device_of_its_own(zones: list[list[float]], replicas: float, seed: int) -> None:
    count = sum(map(len, zones))
    ring = ring_of(zones, replicas=replicas)
    if count < math.ceil(replicas):
        with pytest.raises(build.TooFewDevices): build.rebalance(ring, hour=HOUR, seed=seed)
        return
    made, _ = build.rebalance(ring, hour=HOUR, seed=seed)
    full = sum(len(row) for row in made.table)
    assert full == round(made.partitions * replicas)
    for partition in range(made.partitions):
        devices = made.nodes(partition)
        assert len({device.id for device in devices}) == len(devices) >= int(replicas)


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(0, 5))
def test_weights_are_met(zones: list[list[float]], seed: int) -> None:
    if sum(map(len, zones)) < 3: return
    made, _ = build.rebalance(ring_of(zones), hour=HOUR, seed=seed)
    held = Counter(device_id for row in made.table for device_id in row)
    wanted = weighted([device for device in made.devices if device], 3.0)
    for device_id, copies in wanted.items(): assert abs(held[device_id] - copies * made.partitions) <= 2 + 0.05 * copies * made.partitions


@pytest.mark.parametrize("zones", [[[100.0] * 2] * 3, [[100.0] * 3] * 4, [[100.0]] * 3])
def test_copies_are_in_different_zones(zones: list[list[float]]) -> None:
    made, _ = build.rebalance(ring_of(zones, power=9), hour=HOUR)
    assert all(len({device.zone for device in made.nodes(partition)}) == 3 for partition in range(made.partitions))
    assert report(made).dispersion == 0
    assert report(made).balance < 1.5


def test_a_rebalance_of_a_good_ring_moves_nothing() -> None:
    made, _ = build.rebalance(ring_of([[100.0] * 3] * 3), hour=HOUR)
    again, moved = build.rebalance(made, hour=HOUR + 100)
    assert moved == 0
    assert again.version == made.version + 1


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 5), st.integers(2, 4), st.integers(0, 3))
def test_a_new_device_takes_its_share_and_nothing_else_moves(zones: int, each: int, zone: int) -> None:
    made, _ = build.rebalance(ring_of([[100.0] * each] * zones, power=8), hour=HOUR)
    more = build.with_device(made, Device(0, 1, zone % zones, f"n{zone % zones}", "new", 100.0))
    grown, moved = build.rebalance(more, hour=HOUR + 10)
    share = made.partitions * 3 / (zones * each + 1)
    assert moved <= share + 3
    assert sum(row.count(len(made.devices)) for row in grown.table) == pytest.approx(share, abs=3 + 0.1 * share)


def test_a_lost_device_moves_only_what_it_had() -> None:
    made, _ = build.rebalance(ring_of([[100.0] * 3] * 4, power=8), hour=HOUR)
    had = report(made).parts[0]
    healed, moved = build.rebalance(build.without_device(made, 0), hour=HOUR + 1)
    assert had <= moved <= had * 1.1
    assert all(0 not in row for row in healed.table)


def test_a_drained_device_gives_everything_away_in_time() -> None:
    ring, _ = build.rebalance(ring_of([[100.0] * 3] * 4, power=8), hour=HOUR)
    ring = build.with_weight(ring, 0, 0.0)
    for step in range(1, 4): ring, _ = build.rebalance(ring, hour=HOUR + 10 * step)
    assert all(0 not in row for row in ring.table)


def test_in_one_rebalance_one_copy_of_a_partition_moves_at_most() -> None:
    made, _ = build.rebalance(ring_of([[100.0] * 2] * 3, power=8), hour=HOUR)
    ring = made
    for number in range(6): ring = build.with_device(ring, Device(0, 1, number, f"n{number}", "new", 500.0))
    grown, _ = build.rebalance(ring, hour=HOUR + 10)
    for partition in range(made.partitions):
        assert len(set(made.nodes(partition)) - set(grown.nodes(partition))) <= 1
    again, _ = build.rebalance(build.with_weight(grown, 0, 10.0), hour=HOUR + 10)
    just_moved = [p for p in range(made.partitions) if grown.moved_at[p] == HOUR + 10]
    assert just_moved
    assert all(row[p] == before[p] for p in just_moved for row, before in zip(again.table, grown.table, strict=True))


def test_overload_buys_dispersion() -> None:
    zones = [[100.0], [100.0], [300.0, 300.0]]
    tight, _ = build.rebalance(ring_of(zones, power=8), hour=HOUR)
    loose, _ = build.rebalance(ring_of(zones, power=8, overload=5.0), hour=HOUR)
    assert report(tight).dispersion > 30
    assert report(loose).dispersion == 0


def test_targets_lie_between_weight_and_dispersion() -> None:
    devices = [device for device in ring_of([[100.0], [100.0], [300.0, 300.0]]).devices if device]
    assert sum(targets(devices, 3.0, 0.0).values()) == pytest.approx(3.0)
    assert sum(targets(devices, 3.0, 0.2).values()) == pytest.approx(3.0)
    assert targets(devices, 3.0, 0.0)[0] < targets(devices, 3.0, 0.2)[0] < targets(devices, 3.0, 9.0)[0] == pytest.approx(1.0)


def test_handoffs_are_all_other_devices_far_ones_first() -> None:
    made, _ = build.rebalance(ring_of([[100.0] * 2] * 4), hour=HOUR)
    for partition in range(made.partitions):
        owners, handoffs = made.nodes(partition), list(made.handoffs(partition))
        assert {device.id for device in [*owners, *handoffs]} == set(range(8))
        assert handoffs[0].zone not in {device.zone for device in owners}


def test_a_file_holds_the_ring() -> None:
    made, _ = build.rebalance(ring_of([[100.0] * 2] * 4, replicas=2.5), hour=HOUR)
    assert file.decode(file.encode(made)) == made
    damaged = bytearray(file.encode(made))
    damaged[40] ^= 1
    with pytest.raises(file.RingBroken): file.decode(bytes(damaged))
