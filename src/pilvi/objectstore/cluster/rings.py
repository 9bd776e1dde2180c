"""The rings as files of this process, and which of them are newer elsewhere: the highest version wins, everywhere within seconds."""
from __future__ import annotations

from pathlib import Path

import structlog

from pilvi.objectstore.cluster.members import Members
from pilvi.objectstore.ring import file
from pilvi.objectstore.ring.lookup import Device

LOG = structlog.get_logger()


class RingFiles:
    """DIR/rings, kept in step with the members' rings."""

    def __init__(self, directory: Path, members: Members) -> None:
        self._directory, self._members = directory / "rings", members
        self._seen: dict[str, int] = {}

    def versions(self) -> dict[str, int]:
        """{ring: version}"""
        return {name: ring.version for name, ring in self._members.rings.items()}

    def content(self, name: str) -> bytes:
        """A ring as a file."""
        return file.encode(self._members.rings[name])

    def take(self, name: str, content: bytes) -> bool:
        """Uses and keeps a ring from elsewhere if it is newer. Raises RingBroken."""
        ring = file.decode(content)
        mine = self._members.rings.get(name)
        if mine is None or ring.version <= mine.version: return False
        file.save(ring, self._directory / f"{name}.ring")
        self._members.rings[name] = ring
        LOG.info("new ring", ring=name, version=ring.version)
        return True

    def reload(self) -> None:
        """Takes over what an administrator has changed on disk."""
        for path in self._directory.glob("*.ring"):
            changed = path.stat().st_mtime_ns
            if self._seen.get(path.stem) == changed: continue
            self._seen[path.stem] = changed
            try: ring = file.load(path)
            except file.RingBroken as failure:
                LOG.error("ring file", path=str(path), reason=str(failure))
                continue
            mine = self._members.rings.get(path.stem)
            if mine is not None and ring.version > mine.version:
                self._members.rings[path.stem] = ring
                LOG.info("new ring", ring=path.stem, version=ring.version)

    def others(self) -> list[Device]:
        """A device of each other node."""
        found = {(device.node, device.url): device for ring in self._members.rings.values() for device in ring.devices
                 if device is not None and device.node != self._members.own and device.url}
        return list(found.values())
