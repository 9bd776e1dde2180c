"""What an administrator does to rings: add nodes and devices, weigh, remove, rebalance, look; and the file with which a node joins.

Works on DIR/rings; the process that runs there notices within seconds, and tells all nodes.
"""
from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from pilvi.core import clock
from pilvi.core.crypto import secret_file
from pilvi.objectstore.cluster.options import StorageOptions
from pilvi.objectstore.ring import build, file
from pilvi.objectstore.ring.lookup import Device, Ring
from pilvi.objectstore.ring.report import Report, report

NODE_FILE = "node.json"


class NoSuchDevice(LookupError):
    """No ring has that device."""


class NodeFile(Struct, kw_only=True):
    """All a node must know: who it is, the cluster's secret, policies and rings."""
    name: str
    key: str
    storage: StorageOptions
    rings: dict[str, bytes]


def rings(directory: Path) -> dict[str, Ring]:
    """{name: ring}"""
    return {path.stem: file.load(path) for path in sorted((directory / "rings").glob("*.ring"))}


def change(directory: Path, act: Callable[[Ring], Ring], only: str = "") -> None:
    """Does something to all rings, or the one named."""
    for name, ring in rings(directory).items():
        if only in ("", name): file.save(act(ring), directory / "rings" / f"{name}.ring")


def add(directory: Path, node: str, url: str, devices: dict[str, float], *, region: int = 1, zone: int = 1, only: str = "") -> None:
    """Adds a node's devices, {name: weight}; those it has already get weight, place and address. Used from the next rebalance on."""
    def act(ring: Ring) -> Ring:
        for name, weight in devices.items():
            known = find(ring, node, name)
            if known is None: ring = build.with_device(ring, Device(0, region, zone, node, name, weight, url))
            else: ring = build.with_place(build.with_weight(ring, known.id, weight), known.id, region, zone, url)
        return ring
    change(directory, act, only)


def find(ring: Ring, node: str, name: str) -> Device | None:
    """A device by its names."""
    return next((one for one in ring.devices if one is not None and one.node == node and one.name == name), None)


def weigh(directory: Path, node: str, name: str, weight: float | None, only: str = "") -> None:
    """Gives a device, or with name "" all of a node's, another weight; 0 drains it, None removes it as lost. Raises NoSuchDevice."""
    touched = False

    def act(ring: Ring) -> Ring:
        nonlocal touched
        for one in ring.devices:
            if one is None or one.node != node or name not in ("", one.name): continue
            touched = True
            ring = build.without_device(ring, one.id) if weight is None else build.with_weight(ring, one.id, weight)
        return ring

    change(directory, act, only)
    if not touched: raise NoSuchDevice(f"{node}/{name}")


def tune(directory: Path, *, replicas: float | None = None, overload: float | None = None, min_part_hours: int | None = None,
         only: str = "") -> None:
    """Changes what the next rebalance aims at; None: unchanged."""
    given = {"replicas": replicas, "overload": overload, "min_part_hours": min_part_hours}
    changes = {name: value for name, value in given.items() if value is not None}
    change(directory, lambda ring: msgspec.structs.replace(ring, **changes), only)


def rebalance(directory: Path, only: str = "") -> dict[str, int]:
    """{ring: copies that move}. Raises TooFewDevices."""
    moved: dict[str, int] = {}
    hour = int(clock.now() // 3600)
    for name, ring in rings(directory).items():
        if only not in ("", name): continue
        made, moved[name] = build.rebalance(ring, hour=hour, seed=ring.version)
        file.save(made, directory / "rings" / f"{name}.ring")
    return moved


def double(directory: Path, only: str) -> int:
    """Twice the partitions in a ring of objects; how many there are then. The devices' files follow by themselves. Raises ValueError."""
    ring = rings(directory).get(only)
    if ring is None or not only.startswith("object"): raise ValueError(f"{only} is no ring of objects")
    made = build.doubled(ring)
    file.save(made, directory / "rings" / f"{only}.ring")
    return made.partitions


def reports(directory: Path) -> dict[str, tuple[Ring, Report]]:
    """{name: (ring, how good it is)}"""
    return {name: (ring, report(ring)) for name, ring in rings(directory).items()}


def node_file(directory: Path, name: str, listen: str, options: StorageOptions) -> bytes:
    """What node `name` needs to join; it holds the cluster's secret."""
    storage = msgspec.structs.replace(options, node_listen=listen, devices=0)
    made = NodeFile(name=name, key=secret_file(directory / "key"), storage=storage,
                    rings={ring: file.encode(value) for ring, value in rings(directory).items()})
    return msgspec.json.encode(made)


def accept(directory: Path, content: bytes) -> NodeFile:
    """Furnishes a new node's directory from such a file. Raises msgspec.DecodeError."""
    found = msgspec.json.decode(content, type=NodeFile)
    (directory / "rings").mkdir(parents=True, exist_ok=True)
    secret_file(directory / "key", lambda: found.key)
    for name, ring in found.rings.items():
        path = directory / "rings" / f"{name}.ring"
        if not path.exists() or file.load(path).version < file.decode(ring).version: file.save(file.decode(ring), path)
    with os.fdopen(os.open(directory / NODE_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out: out.write(content)
    return found


def known(directory: Path) -> NodeFile:
    """What a node was told when it joined. Raises FileNotFoundError."""
    return msgspec.json.decode((directory / NODE_FILE).read_bytes(), type=NodeFile)
