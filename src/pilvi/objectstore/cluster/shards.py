"""A container that is divided into shards, seen as one: its listing, and its counts when they must be exact."""
from __future__ import annotations

from msgspec import structs

from pilvi.objectstore import timestamp as time
from pilvi.objectstore.cluster import databases
from pilvi.objectstore.cluster.members import Members
from pilvi.objectstore.node.interface import ContainerStat, ListQuery, ObjectEntry, Subdir
from pilvi.objectstore.node.operations import entries
from pilvi.objectstore.node.plan import Plan, least, shard_account


async def container_list(members: Members, account: str, container: str,
                         query: ListQuery) -> tuple[ContainerStat, list[ObjectEntry | Subdir]]:
    """A page, shard after shard; a shard may itself be divided for a while. Raises NoContainer."""
    stat, page = await databases.read(members, "container", (account, container), "container_list", query)
    if not stat.sharded: return stat, entries(page, ObjectEntry)
    lines: list[ObjectEntry | Subdir] = []
    for shard in stat.shards[::-1] if query.reverse else stat.shards:
        if len(lines) >= query.limit: break
        # a sub-directory's names may go on in the next shard: from there it must not come again
        marker = lines[-1].name if lines and isinstance(lines[-1], Subdir) else query.marker
        part = structs.replace(query, limit=query.limit - len(lines), marker=marker, above=max(query.above, shard.lower),
                               upto=least(query.upto, shard.upper))
        lines += (await container_list(members, shard_account(account), shard.name, part))[1]
    return stat, lines


async def recount(members: Members, account: str, container: str) -> None:
    """Asks the shards how much they hold, and tells the container. Raises NoContainer."""
    plan: Plan = await databases.read(members, "container", (account, container), "shard_known")
    if not plan.active: return
    home = shard_account(account)
    for shard in plan.live:
        stat: ContainerStat = await databases.read(members, "container", (home, shard.name), "container_stat")
        await databases.write(members, "container", (account, container), "shard_report", shard.name, stat.objects, stat.size, time.now())
