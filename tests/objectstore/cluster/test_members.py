"""Which copy is read first."""
from __future__ import annotations

from pilvi.objectstore.cluster.members import Members
from pilvi.objectstore.node.interface import Node, NodeDown
from pilvi.objectstore.policies import Policies, Policy
from pilvi.objectstore.ring.lookup import Device, Ring, single


def nobody(device: Device) -> Node:
    raise NodeDown(reason=device.name)


def members(ring: Ring, own: str) -> Members:
    return Members({"object": ring}, Policies([Policy(index=0, name="p")]), b"key", own, None, nobody)


def test_the_nearest_copy_is_read_first() -> None:
    """Own node, own zone, own region, elsewhere; a zone of the same number in another region is not near."""
    far, near, zone, own = (Device(0, 2, 1, "far", "d", 1.0), Device(1, 1, 2, "near", "d", 1.0), Device(2, 1, 1, "zone", "d", 1.0),
                            Device(3, 1, 1, "own", "d", 1.0))
    for ring in (single([far, near, zone, own], 4, 0), single([own, far, zone, near], 4, 0)):
        order = members(ring, "own")
        assert [device.node for device in order.reading_order(ring, 0)] == ["own", "zone", "near", "far"]
        order.suspect(own)
        assert [device.node for device in order.reading_order(ring, 0)] == ["zone", "near", "far", "own"]
    ring = single([far, near], 2, 0)
    assert [device.node for device in members(ring, "elsewhere").reading_order(ring, 0)] == ["far", "near"]
