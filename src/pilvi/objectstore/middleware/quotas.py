"""Quotas: containers by their owners (X-Container-Meta-Quota-Bytes, -Count), accounts by who administers the store (X-Account-Quota-…).

Source: Object Storage API, "Container quotas", "Account quotas".
"""
from __future__ import annotations

import re

from pilvi.objectstore.errors import Refused
from pilvi.objectstore.node.interface import AccountStat, ContainerStat
from pilvi.objectstore.proxy.message import PLAIN, Handler, Request, Response
from pilvi.objectstore.proxy.versions import container_of
from pilvi.objectstore.proxy.world import World

CONTAINER = {"bytes": "x-container-meta-quota-bytes", "count": "x-container-meta-quota-count"}
OF_ACCOUNT = re.compile(r"x-(?:account|remove-account)(-meta)?-quota-(bytes|count)(?:-policy-(.+))?")
KEPT = "x-account-sysmeta-quota-"
LEGACY = "x-account-meta-quota-bytes"


class ContainerQuotas:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application, self.world = application, world
        world.info["container_quotas"] = {}

    async def __call__(self, request: Request) -> Response:
        _, account, container, name = request.parts
        if not (account and container): return await self.application(request)
        if not name and request.method in ("PUT", "POST"):
            for kind, header in CONTAINER.items():
                if request.headers.get(header) and not request.headers[header].isdecimal():
                    raise Refused(400, f"Invalid {kind} quota.", PLAIN)
        if name and request.method == "PUT":
            known = await self.world.facts.container(request, account, container)
            if known and any(known.metadata.get(header) for header in CONTAINER.values()): await self._check(request, account, container)
        return await self.application(request)

    async def _check(self, request: Request, account: str, container: str) -> None:
        stat = await self.world.facts.container(request, account, container, fresh=True)
        if stat is None: return
        held = stat.size
        if stat.metadata.get("x-container-sysmeta-versions-enabled"):
            older = await self.world.facts.container(request, account, container_of(container), fresh=True)
            held += older.size if older else 0
        size, count = _limit(stat, CONTAINER["bytes"]), _limit(stat, CONTAINER["count"])
        if size is not None and held + (request.length or 0) > size: await _over(request, stat, "Upload exceeds quota.")
        if count is not None and stat.objects + 1 > count: await _over(request, stat, "Upload exceeds quota.")


class AccountQuotas:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application, self.world = application, world
        world.info["account_quotas"] = {}

    async def __call__(self, request: Request) -> Response:
        _, account, container, name = request.parts
        if not account: return await self.application(request)
        if not container: return self._show(await self._set(request))
        if name and request.method == "PUT" and not request.reseller: await self._check(request, account, container)
        return await self.application(request)

    async def _set(self, request: Request) -> Response:
        found = {header: match for header in request.headers if (match := OF_ACCOUNT.fullmatch(header))}
        if not found or request.method not in ("PUT", "POST"): return await self.application(request)
        await request.check_access()
        if not request.reseller: raise Refused(403)
        for header, match in found.items():
            value = request.headers.pop(header)
            if header.startswith("x-remove-"): value = ""
            if value and not value.isdecimal(): raise Refused(400, f"Invalid {match[2]} quota.", PLAIN)
            kept = KEPT + match[2]
            if match[3] is not None:
                policy = next((p for p in self.world.store.policies if p.name.lower() == match[3].lower()), None)
                if policy is None: raise Refused(400, f"No policy {match[3]!r}", PLAIN)
                kept += f"-policy-{policy.index}"
            request.headers[kept] = value
        return await self.application(request)

    def _show(self, response: Response) -> Response:
        for name, value in list(response.headers.items()):
            if not name.startswith(KEPT): continue
            kind, _, index = name.removeprefix(KEPT).partition("-policy-")
            policy = f"-policy-{self.world.store.policies[int(index)].name.lower()}" if index else ""
            response.headers[f"x-account-quota-{kind}{policy}"] = value
            if kind == "bytes" and not index: response.headers[LEGACY] = value
        return response

    async def _check(self, request: Request, account: str, container: str) -> None:
        known = await self.world.facts.account(request, account)
        if known is None or not any(name.startswith(KEPT) and value for name, value in known.metadata.items()): return
        stat = await self.world.facts.account(request, account, fresh=True) or known
        into = await self.world.facts.container(request, account, container)
        if into is None: return
        _, objects, size = stat.by_policy.get(into.policy, (0, 0, 0))
        suffix = f"-policy-{into.policy}"
        for total, files, ending, text in ((stat.size, stat.objects, "", "Upload exceeds quota."),
                                           (size, objects, suffix, "Upload exceeds policy quota.")):
            of_bytes, of_count = _limit(stat, KEPT + "bytes" + ending), _limit(stat, KEPT + "count" + ending)
            if of_bytes is not None and total + (request.length or 0) > of_bytes: await _over(request, into, text)
            if of_count is not None and files + 1 > of_count: await _over(request, into, text)


def _limit(stat: AccountStat | ContainerStat, name: str) -> int | None:
    value = stat.metadata.get(name, "")
    return int(value) if value.isdecimal() else None


async def _over(request: Request, into: ContainerStat, text: str) -> None:
    """Who may not write at all learns that first."""
    request.acl = into.metadata.get("x-container-write")
    await request.check_access()
    raise Refused(413, text, PLAIN)
