"""Containers: listing of objects, metadata, ACLs, creation and deletion.

Source: Object Storage API, "Containers".
"""
from __future__ import annotations

from pilvi.objectstore import timestamp
from pilvi.objectstore.errors import Refused
from pilvi.objectstore.node.interface import ContainerStat, NoAccount, NoContainer, NotEmpty, PolicyDiffers
from pilvi.objectstore.policies import UnknownPolicy
from pilvi.objectstore.proxy import acl, listing
from pilvi.objectstore.proxy.constraints import OWNERS, check_container_name, check_metadata, check_total
from pilvi.objectstore.proxy.message import PLAIN, Request, Response, answer
from pilvi.objectstore.proxy.settable import settable
from pilvi.objectstore.proxy.world import World

KEPT = ("x-container-meta-", "x-container-sysmeta-", "x-container-read", "x-container-write", "x-container-sync-key",
        "x-container-sync-to")


def headers_of(world: World, stat: ContainerStat) -> dict[str, str]:
    """What HEAD tells; who is no owner gets less (gatekeeper)."""
    return {"x-container-object-count": str(stat.objects), "x-container-bytes-used": str(stat.size),
            "x-timestamp": timestamp.text(stat.created), "last-modified": timestamp.http_date(stat.changed), "accept-ranges": "bytes",
            "x-storage-policy": world.store.policies[stat.policy].name, "x-backend-storage-policy-index": str(stat.policy),
            **{name: value for name, value in stat.metadata.items() if value}}


async def get(world: World, request: Request, account: str, container: str) -> Response:
    """GET and HEAD"""
    query = listing.query_of(request)
    known = await world.facts.container(request, account, container)
    request.acl = known.metadata.get("x-container-read") if known else None
    await request.check_access()
    if known is None: raise Refused(404)
    try:
        if request.method == "HEAD": stat, lines = await world.store.container_stat(account, container), []
        else:
            stat, entries = await world.store.container_list(account, container, query)
            lines = listing.object_lines(entries)
    except NoContainer:
        world.facts.forget(request, account, container)
        raise Refused(404) from None
    return Response(200, headers_of(world, stat), notes={"listing": listing.Listing("container", container, lines)})


async def put(world: World, request: Request, account: str, container: str) -> Response:
    """PUT makes a container (and its account), or changes its metadata."""
    metadata = _metadata(request)
    check_container_name(container)
    name = request.headers.get("x-storage-policy")
    try: policy = world.store.policies.named(name) if name else None
    except UnknownPolicy as failure: raise Refused(400, failure.message, PLAIN) from None
    if policy and policy.deprecated: raise Refused(400, f"Storage Policy '{policy.name}' is deprecated", PLAIN)
    try:
        if await world.facts.account(request, account) is None: await world.store.account_put(account, {})
        try: new = await world.store.container_put(account, container, metadata, policy=policy.index if policy else None)
        except NoAccount:  # known a moment ago, or by another proxy's word
            await world.store.account_put(account, {})
            new = await world.store.container_put(account, container, metadata, policy=policy.index if policy else None)
    except PolicyDiffers: raise Refused(409) from None
    except NoAccount: raise Refused(404) from None
    world.facts.forget(request, account, container)
    return answer(201 if new else 202)


async def post(world: World, request: Request, account: str, container: str) -> Response:
    """POST"""
    metadata = _metadata(request)
    known = await world.facts.container(request, account, container, fresh=True)
    check_total("container", known.metadata if known else {}, metadata)
    try: await world.store.container_post(account, container, metadata)
    except (NoContainer, NoAccount): raise Refused(404) from None
    world.facts.forget(request, account, container)
    return answer(204, b"")


async def delete(world: World, request: Request, account: str, container: str) -> Response:
    """DELETE: of an empty container."""
    try: await world.store.container_delete(account, container)
    except (NoContainer, NoAccount): raise Refused(404) from None
    except NotEmpty: raise Refused(409) from None
    world.facts.forget(request, account, container)
    return answer(204, b"")


def _metadata(request: Request) -> dict[str, str]:
    check_metadata(request, "container")
    if not request.owner:
        for name in OWNERS: request.headers.pop(name, None)
    for name in ("x-container-read", "x-container-write"):
        if request.headers.get(name):
            try: request.headers[name] = acl.clean(name, request.headers[name])
            except ValueError as failure: raise Refused(400, str(failure), PLAIN) from None
    return settable(request, KEPT)


METHODS = {"GET": get, "HEAD": get, "PUT": put, "POST": post, "DELETE": delete}
