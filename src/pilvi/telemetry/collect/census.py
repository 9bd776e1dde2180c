"""The census: now and then everything that has a size is counted, through the services' own APIs, in long lists.

Source: Ceilometer's central pollsters. A service that is away is counted the next time; one that is not there at all has nothing to count.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable

import structlog

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.errors import Failure
from pilvi.core.http.app import Application
from pilvi.image import client as images
from pilvi.network import client as network
from pilvi.objectstore import client as objects
from pilvi.telemetry.collect import events, series
from pilvi.telemetry.collect.series import Meter, Thing
from pilvi.volume import client as volumes

LOG = structlog.get_logger()
THINGS_AT_ONCE = 1000


def volumes_there(call: Call) -> Iterable[Thing]:
    """Volumes of all projects."""
    return (events.volume(facts) for facts in volumes.list_volumes(call))


def snapshots_there(call: Call) -> Iterable[Thing]:
    """Snapshots of all projects."""
    return (events.snapshot(facts) for facts in volumes.list_snapshots(call))


def images_there(call: Call) -> Iterable[Thing]:
    """Images that have bytes."""
    return (events.image(facts) for facts in images.list_images(call, visibility="all") if facts.get("size"))


def floating_ips_there(call: Call) -> Iterable[Thing]:
    """Floating IPs of all projects."""
    return (events.floating_ip(facts) for facts in network.list_floating_ips(call))


def pools_there(call: Call) -> Iterable[Thing]:
    """What room the volume pools have."""
    for pool in volumes.list_pools(call):
        room = pool["capabilities"]
        meters = [Meter(f"volume.provider.pool.capacity.{word}", room[name], "GB") for word, name in (
            ("total", "total_capacity_gb"), ("free", "free_capacity_gb"), ("allocated", "allocated_capacity_gb"))
            if isinstance(room.get(name), int | float)]
        yield Thing("volume_provider_pool", pool["name"], None, None, {"provider": pool["name"].partition("#")[0]}, meters)


def accounts_there(call: Call) -> Iterable[Thing]:
    """What each project keeps in the object store, and moved since the store's process began."""
    for account in objects.usage(call):
        levels = (("storage.objects", "objects", "object"), ("storage.objects.size", "bytes", "B"),
                  ("storage.objects.containers", "containers", "container"))
        moved = (("storage.objects.incoming.bytes", "received_bytes", "B"), ("storage.objects.outgoing.bytes", "sent_bytes", "B"))
        meters = [Meter(name, account[key], unit) for name, key, unit in levels]
        meters += [Meter(name, account[key], unit, True) for name, key, unit in moved if key in account]
        project = account["project_id"]
        if project: yield Thing("swift_account", project, project, None, {}, meters)


COUNTS: tuple[Callable[[Call], Iterable[Thing]], ...] = (volumes_there, snapshots_there, images_there, floating_ips_there, pools_there,
                                                           accounts_there)


def take(application: Application) -> None:
    """Counts everything once."""
    at = clock.now()
    for count in COUNTS:
        try: found = [(at, thing) for thing in count(application.state["service_call"]())]
        except Failure as failure:
            LOG.info("not counted", count=count.__name__, reason=failure.message)
            continue
        for first in range(0, len(found), THINGS_AT_ONCE): series.take(application, found[first:first + THINGS_AT_ONCE])
