"""A drill of the object store: six devices in three zones, load running, one failure after the other; nothing acknowledged may be lost.

    python -m benchmarks.object_drill [--objects 20000] [--seconds 20] [--coded] [--directory DIR]

Each zone is a node, a process of its own with two devices. After each failure the drill waits until every copy is where it belongs
(dispersion 100 %). It prints what was read, what failed, what was lost or had other bytes (must be 0) and how long healing took; exit
status 1 if anything was.
"""
from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from pilvi.core.errors import Failure
from pilvi.objectstore.cluster import administer
from pilvi.objectstore.cluster.dispersion import Dispersion, dispersion
from pilvi.objectstore.cluster.open import open_store, ring_names
from pilvi.objectstore.cluster.options import StorageOptions
from pilvi.objectstore.cluster.store import ClusterStore
from pilvi.objectstore.loops.run import Loops
from pilvi.objectstore.node.interface import ListQuery, NoObject
from pilvi.objectstore.policies import Policy
from pilvi.objectstore.ring import build, file

A, C = "AUTH_drill", "drill"
COPIES, CODED = Policy(index=0, name="copies", replicas=3, default=True), Policy(index=1, name="coded", replicas=6, data_fragments=4)
ZONES = 3
WORKERS = 4
FLIPS = 100
LISTED_SECONDS = 120.0
"""A container that could not be told of an object at once is told later."""
OPTIONS = StorageOptions(devices=0, replicas=3, partition_power=6, policies=[COPIES, CODED], reserve_bytes=0, replicate_seconds=2.0,
                         audit_bytes_per_second=200 << 20)


class Line(NamedTuple):
    """What one failure did."""
    failure: str
    written: int
    read: int
    failed: int
    lost: int
    healed_seconds: float


class Cluster:
    """The nodes' processes and the rings they share."""

    def __init__(self, directory: Path, policy: Policy) -> None:
        self.directory, self.proxy, self.policy = directory, directory / "proxy", policy
        self.ports = [free_port() for _ in range(ZONES)]
        self.processes: dict[int, subprocess.Popen[bytes]] = {}

    def make(self) -> None:
        """Rings, and a folder for each node."""
        (self.proxy / "rings").mkdir(parents=True)
        for name, replicas in ring_names(OPTIONS).items():
            file.save(build.empty(OPTIONS.partition_power, replicas, min_part_hours=0), self.proxy / "rings" / f"{name}.ring")
        for zone in range(ZONES): self.add(zone, {"d1": 100.0, "d2": 100.0})
        administer.rebalance(self.proxy)
        open_store(self.proxy, OPTIONS, own="proxy")  # makes the secret
        for zone in range(ZONES):
            content = administer.node_file(self.proxy, f"n{zone}", f"127.0.0.1:{self.ports[zone]}", OPTIONS)
            self.node(zone).mkdir()
            administer.accept(self.node(zone), content)

    def add(self, zone: int, devices: dict[str, float]) -> None:
        administer.add(self.proxy, f"n{zone}", f"http://127.0.0.1:{self.ports[zone]}", devices, zone=zone)

    def node(self, zone: int) -> Path:
        return self.directory / f"n{zone}"

    def start(self, zone: int) -> None:
        """Returns when it can be reached."""
        with (self.directory / f"n{zone}.log").open("ab") as log:
            command = [sys.executable, "-m", "pilvi.run.object_node", str(self.node(zone))]
            self.processes[zone] = subprocess.Popen(command, stdout=log, stderr=log)
        for _ in range(600):
            try: socket.create_connection(("127.0.0.1", self.ports[zone]), 1).close()
            except OSError: time.sleep(0.1)
            else: return
        raise RuntimeError(f"node {zone} does not start: {(self.directory / f'n{zone}.log').read_text()[-500:]}")

    def kill(self, zone: int) -> None:
        self.processes[zone].kill()
        self.processes[zone].wait()

    def end(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes.values():
            try: process.wait(20)
            except subprocess.TimeoutExpired: process.kill()

    def files(self) -> list[Path]:
        """All object files."""
        return [path for path in self.directory.glob(f"n*/devices/*/{self.policy.folder}/*/*") if path.is_file()]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Load:
    """Writers, readers and deleters that remember what was acknowledged; names are never used twice, so every read has one right answer."""

    def __init__(self, store: ClusterStore, policy: int, seed: int) -> None:
        self.store, self.policy, self.chance = store, policy, random.Random(seed)
        self.known: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.unsure: set[str] = set()
        """Whose deletion was not acknowledged: they may be there or not."""
        self.written = self.read = self.failed = self.lost = self.number = 0
        self.running = True

    async def put(self) -> None:
        """One object of 0 to 64 KiB, now and then 1.5 MiB."""
        self.number += 1
        name, most = f"o{self.number:07}", 4096 if self.number % 5 else 65536
        size = 1_500_000 if self.number % 500 == 0 else self.chance.randrange(most)
        content = self.chance.randbytes(size)

        async def body() -> AsyncIterator[bytes]:
            yield content

        try: await self.store.object_put(A, C, name, body(), policy=self.policy, content_type="x", metadata={}, sysmeta={}, length=size)
        except Failure: return  # not acknowledged: it may be there or not
        self.known[name] = hashlib.md5(content, usedforsecurity=False).hexdigest()
        self.written += 1

    async def check(self, name: str) -> None:
        """Reads one that was acknowledged."""
        right = self.known[name]
        digest = hashlib.md5(usedforsecurity=False)
        try:
            reader = await self.store.object_get(A, C, name, policy=self.policy)
            try:
                async for piece in reader.read(): digest.update(piece)
            finally: await reader.close()
        except Failure as failure:
            if name in self.deleted | self.unsure: return
            self.failed += 1
            self.lost += isinstance(failure, NoObject)
            print(f"  {name}: {type(failure).__name__} {failure.message}", flush=True)
            return
        self.read += 1
        if digest.hexdigest() != right:
            self.lost += 1
            print(f"  {name}: other bytes", flush=True)

    async def delete(self, name: str) -> None:
        self.deleted.add(name)
        del self.known[name]
        try: await self.store.object_delete(A, C, name, policy=self.policy)
        except Failure:
            self.unsure.add(name)
            self.deleted.discard(name)

    async def worker(self) -> None:
        """Until it's stopped."""
        while self.running:
            kind = self.chance.random()
            names = self.known
            if kind < 0.3 or len(names) < 10: await self.put()
            else:
                name = self.chance.choice(list(names)) if len(names) < 2000 else f"o{self.chance.randrange(1, self.number):07}"
                if name not in names: continue
                if kind > 0.98: await self.delete(name)
                else: await self.check(name)


class Drill:
    """The failures, one after the other."""

    def __init__(self, cluster: Cluster, store: ClusterStore, seconds: float) -> None:
        self.cluster, self.store, self.seconds = cluster, store, seconds
        self.load = Load(store, cluster.policy.index, 1)
        self.chance = random.Random(2)
        self.lines: list[Line] = []

    async def fill(self, objects: int) -> None:
        """So many objects, from several writers."""
        async def writer() -> None:
            while self.load.number < objects: await self.load.put()
        await asyncio.gather(*(writer() for _ in range(8)))

    async def one(self, failure: str, strike: Callable[[], Awaitable[None]], mend: Callable[[], Awaitable[None]] | None = None,
                  healed: Callable[[], bool] = lambda: True) -> None:
        """A failure under load, its end, and the time until all is whole again."""
        load = self.load
        before = load.written, load.read, load.failed, load.lost
        load.running = True
        workers = [asyncio.ensure_future(load.worker()) for _ in range(WORKERS)]
        await strike()
        await asyncio.sleep(self.seconds)
        if mend: await mend()
        began = time.monotonic()
        load.running = False  # a moving target is never whole
        await asyncio.gather(*workers)
        await self.whole(healed)
        line = Line(failure, load.written - before[0], load.read - before[1], load.failed - before[2], load.lost - before[3],
                    time.monotonic() - began)
        self.lines.append(line)
        print(f"{line.failure:<34} wrote {line.written:>5}  read {line.read:>6}  failed {line.failed:>3}  lost {line.lost}  "
              f"whole after {line.healed_seconds:5.1f} s", flush=True)

    async def whole(self, healed: Callable[[], bool], limit: float = 300.0) -> Dispersion:
        """Waits until every copy is in its place. Raises RuntimeError."""
        end = time.monotonic() + limit
        while True:
            found = await dispersion(self.store.members, self.cluster.policy.index)
            if found.complete and not found.strays and healed(): return found
            if time.monotonic() > end: raise RuntimeError(f"not whole after {limit} s: {found}")
            await asyncio.sleep(1.0)

    async def run(self) -> None:
        """All of them."""
        cluster, chance = self.cluster, self.chance
        await self.one("nothing", nothing)
        for zone in range(ZONES):
            async def die(zone: int = zone) -> None: cluster.kill(zone)
            async def rise(zone: int = zone) -> None: await asyncio.to_thread(cluster.start, zone)
            await self.one(f"node {zone} killed (-9), then back", die, rise)
        async def wipe() -> None: await asyncio.to_thread(wipe_device, cluster.node(1) / "devices" / "d1")
        await self.one("a device wiped", wipe)
        flipped: dict[Path, int] = {}
        async def flip() -> None: flipped.update({path: path.stat().st_ino for path in flip_bits(cluster.files(), FLIPS, chance)})
        await self.one(f"bits flipped in {FLIPS} files", flip, healed=lambda: not any(still(*one) for one in flipped.items()))
        async def cut() -> None: cluster.processes[2].send_signal(signal.SIGSTOP)
        async def join() -> None: cluster.processes[2].send_signal(signal.SIGCONT)
        await self.one("a zone cut off, then back", cut, join)
        async def grow() -> None:
            for zone in (0, 1): cluster.add(zone, {"d3": 100.0})
            administer.rebalance(cluster.proxy)
        await self.one("two devices added, rebalanced", grow, healed=lambda: all(
            ring.version == 2 for ring in self.store.members.rings.values()))
        await self.last_look()

    async def last_look(self) -> None:
        """Everything once more: bytes, deletions, the listing."""
        load, names = self.load, list(self.load.known)
        before = load.failed, load.lost
        for start in range(0, len(names), 16): await asyncio.gather(*(load.check(name) for name in names[start:start + 16]))
        undead = 0
        for name in load.deleted:
            try: await self.store.object_head(A, C, name, policy=load.policy)
            except NoObject: continue
            undead += 1
        end = time.monotonic() + LISTED_SECONDS
        while (unlisted := len(set(names) - await self.listed())) and time.monotonic() < end: await asyncio.sleep(1.0)
        load.lost += undead + unlisted
        print(f"all {len(names)} objects read once more: failed {load.failed - before[0]}, lost {load.lost - before[1]}; deleted and back "
              f"{undead} of {len(load.deleted)}; not listed {unlisted}", flush=True)

    async def listed(self) -> set[str]:
        """The container's names."""
        found: set[str] = set()
        while True:
            _, page = await self.store.container_list(A, C, ListQuery(marker=max(found, default="")))
            if not page: return found
            found |= {entry.name for entry in page}


async def nothing() -> None:
    """No failure."""


def still(path: Path, inode: int) -> bool:
    """Is it the file of then?"""
    try: return path.stat().st_ino == inode
    except FileNotFoundError: return False


def wipe_device(path: Path) -> None:
    """As a new, empty disk in the old one's place."""
    aside = path.with_name(path.name + ".gone")
    path.rename(aside)
    shutil.rmtree(aside)


def flip_bits(files: list[Path], count: int, chance: random.Random) -> list[Path]:
    """A bit each in so many files, of different objects, times kept as a bad disk would."""
    by_object = {path.name[:32]: path for path in chance.sample(files, len(files)) if not path.name.endswith(".meta")}
    chosen = chance.sample(sorted(by_object.values()), min(count, len(by_object)))
    for path in chosen:
        was = path.stat()
        with path.open("r+b") as opened:
            opened.seek(at := chance.randrange(was.st_size))
            byte = opened.read(1)[0]
            opened.seek(at)
            opened.write(bytes([byte ^ 1 << chance.randrange(8)]))
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    return chosen


async def main(objects: int, seconds: float, directory: Path, policy: Policy = COPIES) -> int:
    """Exit status."""
    cluster = Cluster(directory, policy)
    cluster.make()
    try:
        for zone in range(ZONES): cluster.start(zone)
        store = open_store(cluster.proxy, OPTIONS, own="proxy")
        loops = Loops(store, OPTIONS, cluster.proxy).start()
        await store.account_put(A, {})
        await store.container_put(A, C, {}, policy=policy.index)
        drill = Drill(cluster, store, seconds)
        began = time.monotonic()
        await drill.fill(objects)
        await drill.whole(lambda: True)
        print(f"{objects} objects in {time.monotonic() - began:.1f} s, {len(cluster.files())} copies on 6 devices in 3 zones", flush=True)
        await drill.run()
        await asyncio.to_thread(loops.stop)
        await store.close()
        load = drill.load
        print(f"in all: wrote {load.written}, read {load.read}, reads failed {load.failed}, LOST {load.lost}", flush=True)
        return 1 if load.lost or load.failed else 0
    finally: cluster.end()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--objects", type=int, default=20000)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each failure lasts")
    parser.add_argument("--coded", action="store_true", help="erasure coding, 4 and 2 fragments, in place of three copies")
    parser.add_argument("--directory", type=Path, help="where the devices lie; a temporary one if not given")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.directory) as made:
        sys.exit(asyncio.run(main(chosen.objects, chosen.seconds, Path(made), CODED if chosen.coded else COPIES)))
