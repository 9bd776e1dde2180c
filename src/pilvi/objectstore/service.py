"""The manifest of object storage. Its APIs (Swift's and S3's) are the chain of middleware/chain.py behind the door of proxy/door.py."""
from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from pilvi.core.dialect import GLANCE
from pilvi.core.drivers import Drivers
from pilvi.core.http.app import Application, Request
from pilvi.core.service import Service
from pilvi.objectstore.cluster.open import open_store
from pilvi.objectstore.config import Config
from pilvi.objectstore.loops.run import Loops
from pilvi.objectstore.middleware import chain
from pilvi.objectstore.proxy.door import Door
from pilvi.objectstore.proxy.traffic import Traffic
from pilvi.objectstore.proxy.world import World
from pilvi.objectstore.sync.realms import Realms

SYNC_SECONDS = 5.0
SENDERS = Drivers[Any]({"http": "pilvi.objectstore.sync.send:Sender"})
"""Loaded with its HTTP library only where containers are sent to other clouds."""


def versions(request: Request) -> tuple[int, dict[str, Any]]:
    """Not asked: the door answers."""
    return 200, {"versions": [{"id": "v1.0", "status": "CURRENT"}]}


def start(application: Application) -> None:
    """Opens the store, and begins to look after it."""
    directory: Path = application.state["object_directory"]
    store = application.state["object_store"] = open_store(directory, application.config.storage)
    more = {}
    if application.config.sync_realms:
        world = World(store, application.config, application, Traffic())
        more[SENDERS["http"](Realms(application.config.sync_realms), chain.inner(world))] = SYNC_SECONDS
    application.state["object_loops"] = Loops(store, application.config.storage, directory, more).start()


def stop(application: Application) -> None:
    """Ends the loops, then gives the devices free."""
    application.state["object_loops"].stop()
    asyncio.run(application.state["object_store"].close())


def door(application: Application) -> Door:
    """The chain, ready for HTTP."""
    traffic = Traffic()
    world = World(application.state["object_store"], application.config, application, traffic)
    return Door(chain.build(world), traffic)


SERVICE = Service(name="objectstore", types=("object-store",), path="/v1/AUTH_%(project_id)s", dialect=GLANCE, versions=versions,
                  config=Config, start=start, stop=stop, door=door, cors=None)
