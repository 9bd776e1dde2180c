"""Empties accounts that were deleted: objects, then containers, then the account may be made anew."""
from __future__ import annotations

from pilvi.core.errors import Unavailable
from pilvi.core.reconcile import repaired
from pilvi.objectstore.cluster import databases
from pilvi.objectstore.loops.work import Work
from pilvi.objectstore.node.database import Missing
from pilvi.objectstore.node.device import LocalDevice
from pilvi.objectstore.node.interface import ContainerEntry, ListQuery, NoContainer, NoObject, NotEmpty, ObjectEntry, Outdated
from pilvi.objectstore.node.operations import Page, entries


async def reap(work: Work) -> None:
    """One round over the accounts this process looks after."""
    ring = work.members.rings["account"]
    done: set[str] = set()
    for device in work.devices():
        for partition, hashed in await work.run(_candidates, work, device):
            try: info = await work.run(device.accounts.handle(partition, hashed).info)
            except Missing: continue
            if info.exists or not info.deleted or info.details.get("reaped"): continue
            if hashed not in done and work.leads(ring, partition):
                done.add(hashed)
                try: await _account(work, info.account, info.deleted)
                except (Unavailable, NotEmpty): pass
                else: continue
            device.accounts.touched.add(device.accounts.path(partition, hashed))  # the next round looks again, if only at who leads


def _candidates(work: Work, device: LocalDevice) -> list[tuple[int, str]]:
    """Accounts that have changed; all of them the first time."""
    key = f"{device.path}/accounts"
    if key in work.reclaimed: return device.accounts.take_touched()
    work.reclaimed[key] = 0.0
    return device.accounts.all()


async def _account(work: Work, account: str, deleted: int) -> None:
    while True:
        page: Page = await databases.read(work.members, "account", (account,), "account_rows", ListQuery(reserved=True, limit=1000))
        found = [entry for entry in entries(page, ContainerEntry) if isinstance(entry, ContainerEntry)]
        for entry in found: await _container(work, account, entry.name)
        if not found: break
    await databases.write(work.members, "account", (account,), "account_reaped", deleted)
    repaired("reap", "account", account=account)


async def _container(work: Work, account: str, container: str) -> None:
    marker = ""
    try:
        while True:
            stat, page = await work.store.container_list(account, container, ListQuery(marker=marker, reserved=True, limit=1000))
            for entry in page:
                if not isinstance(entry, ObjectEntry): continue
                marker = entry.name
                try: await work.store.object_delete(account, container, entry.name, policy=stat.policy)
                except (NoObject, Outdated): pass
            if not page: break
        await work.store.container_delete(account, container)
    except NoContainer:  # the account does not know yet
        ring = work.members.rings["container"]
        partition, hashed = work.members.place(ring, account, container)
        for device in work.devices(): device.containers.touched.add(device.containers.path(partition, hashed))
        raise NotEmpty() from None
