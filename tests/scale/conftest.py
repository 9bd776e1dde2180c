"""One grown cloud for the tests here."""
from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.outside.clouds import ROOT, free_port
from tests.postgres_server import BINARIES, Server, new_database
from tests.scale.grown import Broker, Customer, new_folder, raise_quota

from pilvi.run import lifecycle
from pilvi.run.furnish import furnish
from pilvi.run.settings import Settings, prepare


@dataclass
class Grown:
    """What the tests may kill, and the two control processes' settings."""
    database: Server
    broker: Broker
    one: Settings
    two: Settings


@pytest.fixture(scope="module")
def grown() -> Iterator[Grown]:
    if not (BINARIES / "initdb").exists() or not shutil.which("nats-server"): pytest.skip("PostgreSQL 15 or nats-server is not installed")
    folder, patch = new_folder(), pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", str(ROOT / "src"))
    database, broker = Server(), Broker(folder)
    one = Settings(state=str(folder / "one"), listen=f"127.0.0.1:{free_port()}", simulated=True, hosts=4, seed=7, unprivileged=False,
                   database_url=new_database(database.url, "grown"), bus_url=broker.url)
    two = replace(one, state=str(folder / "two"), listen=f"127.0.0.1:{free_port()}", public_url=one.url, agent=False)
    try:
        lifecycle.start(one, print)
        furnish(one, None, print)
        raise_quota(Customer(one, "admin"))
        yield Grown(database, broker, one, two)
    finally:
        for settings in (two, one):
            if (settings.directory / "cloud.json").exists(): lifecycle.stop(settings.directory)
        broker.remove()
        database.remove()
        patch.undo()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def second(grown: Grown) -> Settings:
    """Another control process: the same keys and images, an address of its own."""
    prepare(grown.two)
    for name in ("keys", "images"):
        place: Path = grown.two.control_directory / name
        shutil.rmtree(place)
        place.symlink_to(grown.one.control_directory / name)
    lifecycle.start(grown.two, print)
    return replace(grown.two, public_url="")
