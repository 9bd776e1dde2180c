"""Opens a store: makes its rings, key and devices the first time, and joins the nodes.

    DIR/key                 the cluster's secret: names are hashed with it, and nodes know each other by it
    DIR/rings/NAME.ring     account, container, object, object-1 …
    DIR/devices/NAME/       this process's devices
"""
from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from pilvi.core.crypto import secret_file
from pilvi.core.drivers import Drivers
from pilvi.objectstore.cluster.members import Members
from pilvi.objectstore.cluster.options import StorageOptions
from pilvi.objectstore.cluster.store import ClusterStore
from pilvi.objectstore.node.device import LocalDevice
from pilvi.objectstore.node.interface import Node, NodeDown
from pilvi.objectstore.node.local import LocalNode
from pilvi.objectstore.node.update import ContainerTeller
from pilvi.objectstore.policies import Policies, Policy
from pilvi.objectstore.ring import build, file
from pilvi.objectstore.ring.lookup import Device, Ring

OWN = "control"
"""The node that is the API's own process."""


def open_store(directory: Path, options: StorageOptions | None = None, *, own: str = OWN) -> ClusterStore:
    """The store kept in a directory. May be called without a running event loop; use it from one only."""
    options = options or StorageOptions()
    directory.mkdir(parents=True, exist_ok=True)
    key = secret_file(directory / "key").encode()[:64]
    policies = Policies(options.all_policies())
    rings = {name: _ring(directory / "rings" / f"{name}.ring", replicas, options, own) for name, replicas in ring_names(options).items()}
    names = sorted({device.name for ring in rings.values() for device in ring.devices if device is not None and device.node == own})
    local = LocalNode({})
    members = Members(rings, policies, key, own, local, partial(_reach, key))
    local.devices |= {name: LocalDevice(name, directory / "devices" / name, options.reserve_bytes, members.powers()) for name in names}
    local.teller = ContainerTeller(members)
    return ClusterStore(members)


NODES = Drivers[Any]({"remote": "pilvi.objectstore.node.remote:RemoteNode"})
"""Its HTTP library is loaded where there is a second node only."""


def _reach(key: bytes, device: Device) -> Node:
    if not device.url: raise NodeDown(reason=f"the ring has no address of node {device.node}")
    node: Node = NODES["remote"](device.url, key)
    return node


def ring_names(options: StorageOptions) -> dict[str, float]:
    """{ring: replicas}"""
    found: dict[str, float] = {"account": options.replicas, "container": options.replicas}
    return found | {ring_of(policy): policy.replicas for policy in options.all_policies()}


def ring_of(policy: Policy) -> str:
    """The name of a policy's ring."""
    return policy.folder.replace("objects", "object")


def _ring(path: Path, replicas: float, options: StorageOptions, own: str) -> Ring:
    """The ring, made of this process's devices if there is none."""
    if path.exists(): return file.load(path)
    ring = build.empty(options.partition_power, replicas)
    for number in range(1, options.devices + 1):
        ring = build.with_device(ring, Device(0, 1, number, own, f"d{number}", 100.0))
    ring, _ = build.rebalance(ring, hour=int(time.time() // 3600))
    path.parent.mkdir(exist_ok=True)
    file.save(ring, path)
    return ring
