"""Into which directories a device's files are parted: its own matter, so that the ring may get more partitions while it serves.

    DEVICE/layout.json      {folder: [power, older powers …]}

A file lies in the directory of its hash's first bits. When the ring has twice the partitions, the device notes the new power; from then on
whoever asks for a file brings it to its new place first (one rename), and loops/relink.py does so with the rest. Then the old power is
forgotten. A directory's number may mean a partition of either; the files' names say which.
"""
from __future__ import annotations

import os
from pathlib import Path

import msgspec

from pilvi.objectstore.ring.lookup import partition_of

SUFFIXES = ("", ".meta", ".new")


class Layout:
    """The powers of each folder (a policy's) on a device, the present one first."""

    def __init__(self, device: Path) -> None:
        self._path = device / "layout.json"
        self.powers: dict[str, list[int]] = {}
        if self._path.exists(): self.powers = msgspec.json.decode(self._path.read_bytes(), type=dict[str, list[int]])

    def set(self, folder: str, powers: list[int]) -> None:
        """Notes them, on disk before they're used."""
        if self.powers.get(folder) == powers: return
        changed = self.powers | {folder: powers}
        beside = self._path.with_suffix(".new")
        with beside.open("wb") as file:
            file.write(msgspec.json.encode(changed))
            file.flush()
            os.fsync(file.fileno())
        beside.rename(self._path)
        self.powers = changed

    def aim(self, folder: str, power: int) -> bool:
        """Takes over a ring's power; True while files lie by older ones."""
        known = self.powers.get(folder, [])
        if known[:1] != [power]: self.set(folder, [power, *(one for one in known if one != power)])
        return len(self.powers[folder]) > 1

    def directories(self, folder: str, partition: int, power: int) -> list[int]:
        """Where files of a partition of a ring may be; places that files leave come before those to which they go."""
        found: list[int] = []
        for own in reversed(self.powers[folder]):
            if own <= power: found.append(partition >> (power - own))
            else: found += range(partition << (own - power), (partition + 1) << (own - power))
        return list(dict.fromkeys(reversed(found)))[::-1]

    def older(self, folder: str, name: str) -> list[int]:
        """The directories in which a file may still be, other than its own."""
        present, *before = self.powers[folder]
        return [place for place in (partition_of(name, power) for power in before) if place != partition_of(name, present)]
