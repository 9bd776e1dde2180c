"""Accounts: listing of containers, metadata, and for administrators of the whole store creation and deletion.

An account that was never written answers as an empty one: it is made by its first write.
Source: Object Storage API, "Accounts".
"""
from __future__ import annotations

from pilvi.objectstore import timestamp
from pilvi.objectstore.errors import Refused
from pilvi.objectstore.node.interface import AccountStat, NoAccount
from pilvi.objectstore.proxy import listing
from pilvi.objectstore.proxy.constraints import ACCOUNT_NAME_BYTES, check_metadata, check_total
from pilvi.objectstore.proxy.message import PLAIN, Request, Response, answer, size_of
from pilvi.objectstore.proxy.settable import settable
from pilvi.objectstore.proxy.world import World

KEPT = ("x-account-meta-", "x-account-sysmeta-")


def headers_of(world: World, stat: AccountStat) -> dict[str, str]:
    """What HEAD tells."""
    headers = {"x-account-container-count": str(stat.containers), "x-account-object-count": str(stat.objects),
               "x-account-bytes-used": str(stat.size), "x-timestamp": timestamp.text(stat.created), "accept-ranges": "bytes",
               "x-put-timestamp": timestamp.text(stat.changed)}
    for index, (containers, objects, size) in stat.by_policy.items():
        prefix = f"x-account-storage-policy-{world.store.policies[index].name.lower()}"
        headers |= {f"{prefix}-container-count": str(containers), f"{prefix}-object-count": str(objects), f"{prefix}-bytes-used": str(size)}
    return headers | {name: value for name, value in stat.metadata.items() if value}


async def get(world: World, request: Request, account: str) -> Response:
    """GET and HEAD"""
    _check_name(account)
    query = listing.query_of(request)
    try:
        if request.method == "HEAD": stat, lines = await world.store.account_stat(account), []
        else:
            stat, entries = await world.store.account_list(account, query)
            lines = listing.container_lines(entries, world.store.policies)
    except NoAccount as failure:
        if failure.facts.get("deleted"): raise Refused(410, headers={"x-account-status": "Deleted"}) from None
        now = timestamp.now()
        stat, lines = AccountStat(created=now, changed=now, containers=0, objects=0, size=0, by_policy={}, metadata={}), []
    return Response(200, headers_of(world, stat), notes={"listing": listing.Listing("account", account, lines)})


async def put(world: World, request: Request, account: str) -> Response:
    """PUT: only by who administers the whole store."""
    _check_name(account)
    if not request.reseller: raise Refused(405, headers={"allow": "GET, HEAD, POST, OPTIONS"})
    check_metadata(request, "account")
    try: new = await world.store.account_put(account, settable(request, KEPT))
    except NoAccount: raise Refused(409, headers={"x-account-status": "Deleted"}) from None
    world.facts.forget(request, account)
    return answer(201 if new else 202)


async def post(world: World, request: Request, account: str) -> Response:
    """POST"""
    _check_name(account)
    check_metadata(request, "account")
    metadata = settable(request, KEPT)
    known = await world.facts.account(request, account, fresh=True)
    check_total("account", known.metadata if known else {}, metadata)
    try: await world.store.account_post(account, metadata)
    except NoAccount as failure:
        if failure.facts.get("deleted"): raise Refused(404, headers={"x-account-status": "Deleted"}) from None
        await world.store.account_put(account, metadata)
    world.facts.forget(request, account)
    return answer(204, b"")


async def delete(world: World, request: Request, account: str) -> Response:
    """DELETE: only by who administers the whole store; a loop then removes everything in it."""
    _check_name(account)
    if not request.reseller: raise Refused(405, headers={"allow": "GET, HEAD, POST, OPTIONS"})
    if request.query_string: raise Refused(400, "DELETE of an account takes no query", PLAIN)
    try: await world.store.account_delete(account)
    except NoAccount: raise Refused(404) from None
    world.facts.forget(request, account)
    return answer(204, b"")


def _check_name(account: str) -> None:
    if size_of(account) > ACCOUNT_NAME_BYTES:
        raise Refused(400, f"Account name length of {size_of(account)} longer than {ACCOUNT_NAME_BYTES}", PLAIN)


METHODS = {"GET": get, "HEAD": get, "PUT": put, "POST": post, "DELETE": delete}
