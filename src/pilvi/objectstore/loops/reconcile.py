"""Brings objects into the policy of their container, when they were stored under another while two copies of it disagreed.

The object is stored anew one tick (10 µs) later than it was, so that the container takes the new place for the newer one.
"""
from __future__ import annotations

from collections.abc import AsyncIterator

from pilvi.core.errors import Unavailable
from pilvi.core.reconcile import repaired
from pilvi.objectstore.loops.work import Work
from pilvi.objectstore.node import container
from pilvi.objectstore.node.container import ObjectRow
from pilvi.objectstore.node.database import Missing
from pilvi.objectstore.node.interface import Footer, Listed, NoObject, Outdated
from pilvi.objectstore.node.record import Kind, Record

ROWS = 1000


async def reconcile(work: Work) -> None:
    """One round over the containers this process looks after."""
    if len(list(work.members.policies)) == 1: return
    ring = work.members.rings["container"]
    for device in work.devices():
        for partition, hashed in await work.run(device.containers.all):
            if not work.leads(ring, partition): continue
            try:
                handle = device.containers.handle(partition, hashed)
                info, rows = await work.run(handle.info), await work.run(container.misplaced, handle, ROWS)
            except Missing: continue
            for row in rows:
                account, name = info.details.get("root") or (info.account, info.container)
                try: await _bring(work, account, name, row, info.details.get("policy", 0))
                except Unavailable: continue  # the next round


async def _bring(work: Work, account: str, name: str, row: ObjectRow, policy: int) -> None:
    if row.deleted:
        try: await work.store.object_delete(account, name, row.name, policy=policy, timestamp=row.timestamp + 1)
        except (NoObject, Outdated): pass
        return
    try: reader = await work.store.object_get(account, name, row.name, policy=row.policy, newest=True, expired=True)
    except NoObject: return
    info = reader.info
    async def body() -> AsyncIterator[bytes]:
        async for piece in reader.read(): yield piece

    try:
        footer = Footer(listed=Listed(row.etag, row.size, row.content_type), etag=info.etag)
        await work.store.object_put(account, name, row.name, body(), policy=policy, content_type=info.content_type, metadata=info.metadata,
                                    sysmeta=info.sysmeta, length=info.size, footer=lambda _: footer,
                                    timestamp=max(info.timestamp, info.metadata_timestamp) + 1)
    except Outdated: pass
    finally: await reader.close()
    old = work.store.writing(row.policy, account, name, row.name)
    old.tell_nobody()  # the container lists the object at its new place
    try: await old.each("object_delete", Record(Kind.TOMBSTONE, account, name, row.name, info.timestamp + 1))
    except Outdated: pass
    repaired("reconcile", "move", account=account, container=name)
