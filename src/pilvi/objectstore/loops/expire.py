"""Removes objects whose x-delete-at has come. What ends when is listed in the hidden account EXPIRING, a container for each day."""
from __future__ import annotations

from pilvi.core import clock
from pilvi.core.errors import Unavailable
from pilvi.core.reconcile import repaired
from pilvi.objectstore import timestamp as time
from pilvi.objectstore.loops.work import Work
from pilvi.objectstore.node.container import ObjectRow
from pilvi.objectstore.node.interface import ContainerEntry, ListQuery, NoAccount, NoContainer, NoObject, NotEmpty, ObjectEntry, Outdated
from pilvi.objectstore.node.local import EXPIRING

PAGE = 1000


async def expire(work: Work) -> None:
    """One round over the days this process looks after."""
    ring = work.members.rings["container"]
    try: _, days = await work.store.account_list(EXPIRING, ListQuery(end_marker=f"{int(clock.now()) + 1:010d}"))
    except (NoAccount, Unavailable): return
    for day in days:
        if isinstance(day, ContainerEntry) and work.leads(ring, work.members.place(ring, EXPIRING, day.name)[0]): await _day(work, day.name)


async def _day(work: Work, day: str) -> None:
    marker = ""
    while True:
        query = ListQuery(marker=marker, end_marker=f"{int(clock.now()) + 1:010d}", limit=PAGE)
        try: stat, page = await work.store.container_list(EXPIRING, day, query)
        except (NoContainer, Unavailable): return
        for entry in page:
            if not isinstance(entry, ObjectEntry): continue
            marker = entry.name
            try: await _entry(work, day, entry)
            except Unavailable: continue  # the next round
        if not page: break
    if not stat.objects and clock.now() - int(day) > 2 * 86400:
        try: await work.store.container_delete(EXPIRING, day)
        except (NoContainer, NotEmpty, Unavailable): pass


async def _entry(work: Work, day: str, entry: ObjectEntry) -> None:
    """Removes one object if it is still to end then. The tombstone is only just newer than what it removes, so that what a user writes
    meanwhile stays."""
    at, _, path = entry.name.partition("-")
    account, container, name = path.split("/", 2)
    policy = int(entry.content_type.partition("/")[2] or 0)
    try:
        info = await work.store.object_head(account, container, name, policy=policy, newest=True, expired=True)
        if info.metadata.get("x-delete-at", "").lstrip("0") == at.lstrip("0"):
            await work.store.object_delete(account, container, name, policy=policy,
                                           timestamp=max(info.timestamp, info.metadata_timestamp) + 1)
            repaired("expire", "delete", account=account, container=container)
    except (NoObject, Outdated): pass
    ring = work.members.rings["container"]
    copies = list(range(len(ring.nodes(work.members.place(ring, EXPIRING, day)[0]))))
    await work.teller.try_(EXPIRING, day, ObjectRow(entry.name, time.now(), 1), copies)
