"""What other services call of placement. All of it needs a token with the role service (or admin)."""
from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec
from msgspec import Struct

from pilvi.core.context import Call
from pilvi.core.errors import Conflict, NotFound
from pilvi.core.http.client import Reply, send

VERSION = {"openstack-api-version": "placement 1.39"}
BULK = 1000
"""Hosts in one request of put_hosts; a request's body may have a megabyte."""
FEW = 10
"""More providers of unknown name than this are asked about all at once."""
NAMES: dict[str, str] = {}
"""{provider id: host name}, as learnt; a provider of a host keeps its name."""


class Candidate(Struct, gc=False):
    """A provider that could take the request. `capacity`: {resource class: (all that could be taken, what is taken)}."""
    provider_id: str
    name: str
    capacity: dict[str, tuple[int, int]]
    traits: list[str]


class Host(Struct):
    """A host as it describes itself. `inventories`: {resource class: {"total": …, "reserved": …, "allocation_ratio": …, …}}."""
    name: str
    inventories: dict[str, dict[str, Any]]
    traits: list[str] = []
    aggregates: list[str] = []


class _Amount(Struct, gc=False):
    capacity: int
    used: int


class _Summary(Struct, gc=False):
    resources: dict[str, _Amount]
    traits: list[str]


class _Request(Struct, gc=False):
    allocations: dict[str, msgspec.Raw]


class _Found(Struct):
    allocation_requests: list[_Request]
    provider_summaries: dict[str, _Summary]


def candidates(call: Call, resources: dict[str, int], *, limit: int, required: Collection[str] = (), forbidden: Collection[str] = (),
               member_of: Collection[str] = (), host: str | None = None) -> list[Candidate]:
    """The hosts that could take the resources: with all required and no forbidden traits, in one of the aggregates, or the named one."""
    query: dict[str, Any] = {"resources": ",".join(f"{name}:{amount}" for name, amount in resources.items()), "limit": limit}
    if traits := [*required, *("!" + name for name in forbidden)]: query["required"] = ",".join(traits)
    if member_of: query["member_of"] = "in:" + ",".join(member_of)
    if host is not None:
        try: query["in_tree"] = provider_of(call, host)
        except NotFound: return []
    reply = _send(call, "GET", "/allocation_candidates", query=query)
    found = msgspec.json.decode(reply.body, type=_Found)
    ids = [id for one in found.allocation_requests if len(one.allocations) == 1 for id in one.allocations]
    names, summaries = _names(call, ids), found.provider_summaries
    return [Candidate(id, names[id], {name: (amount.capacity, amount.used) for name, amount in summaries[id].resources.items()},
                      summaries[id].traits) for id in ids if id in names]


def claim(call: Call, consumer_id: str, provider_id: str, resources: Mapping[str, int], project_id: str, user_id: str) -> None:
    """Takes the resources for a server. Repeatable. Raises Conflict when they are gone, or when it holds something else already."""
    body = {"allocations": {provider_id: {"resources": dict(resources)}}, "project_id": project_id, "user_id": user_id,
            "consumer_generation": None, "consumer_type": "INSTANCE"}
    try: _send(call, "PUT", f"/allocations/{consumer_id}", body=body)
    except Conflict:
        if allocations(call, consumer_id) != {provider_id: dict(resources)}: raise


def change(call: Call, consumer_id: str, resources: Mapping[str, int]) -> None:
    """What a consumer holds of its one provider becomes this. Repeatable. Raises Conflict when that is too much."""
    found = _send(call, "GET", f"/allocations/{consumer_id}").json()
    (provider_id, held), = found["allocations"].items()
    if held["resources"] == dict(resources): return
    body = {name: found[name] for name in ("project_id", "user_id", "consumer_generation", "consumer_type")}
    _send(call, "PUT", f"/allocations/{consumer_id}", body={**body, "allocations": {provider_id: {"resources": dict(resources)}}})


def traits_of(call: Call, host: str) -> set[str]:
    """The traits of the host's provider. Raises NotFound."""
    return set(_send(call, "GET", f"/resource_providers/{provider_of(call, host)}/traits").json()["traits"])


def release(call: Call, consumer_id: str) -> None:
    """Gives back all that the consumer holds. Repeatable."""
    try: _send(call, "DELETE", f"/allocations/{consumer_id}")
    except NotFound: pass


def allocations(call: Call, consumer_id: str) -> dict[str, dict[str, int]]:
    """{provider id: {resource class: amount}} that the consumer holds."""
    found = _send(call, "GET", f"/allocations/{consumer_id}").json()["allocations"]
    return {id: entry["resources"] for id, entry in found.items()}


def put_host(call: Call, name: str, inventories: dict[str, dict[str, Any]], traits: Collection[str],
             aggregates: Collection[str] = ()) -> str:
    """Makes or changes the host's provider to be so. Repeatable. Returns its id."""
    return put_hosts(call, [Host(name, inventories, list(traits), list(aggregates))])[name]


def put_hosts(call: Call, hosts: Collection[Host]) -> dict[str, str]:
    """put_host for many, a thousand in one request. Returns {name: provider id}."""
    ids: dict[str, str] = {}
    rest = iter(hosts)
    while part := list(islice(rest, BULK)):
        ids |= _send(call, "PUT", "/hosts", body={"hosts": part}).json()["providers"]
    NAMES.update({id: name for name, id in ids.items()})
    return ids


def provider_of(call: Call, name: str) -> str:
    """The id of the host's provider. Raises NotFound."""
    found = _send(call, "GET", "/resource_providers", query={"name": name}).json()["resource_providers"]
    if not found: raise NotFound(f"no resource provider is named {name}")
    return str(found[0]["uuid"])


def remove_host(call: Call, name: str) -> None:
    """Forgets the host's provider. Repeatable. Raises Conflict while something is held of it."""
    try: id = provider_of(call, name)
    except NotFound: return
    try: _send(call, "DELETE", f"/resource_providers/{id}")
    except NotFound: pass
    NAMES.pop(id, None)


def _send(call: Call, method: str, path: str, **options: Any) -> Reply:
    return send(call, "placement", method, path, headers=VERSION, **options)


def _names(call: Call, ids: Collection[str]) -> dict[str, str]:
    """{provider id: name}; a provider that has gone since is left out."""
    unknown = [id for id in ids if id not in NAMES]
    for id, name in _few(call, unknown) if len(unknown) <= FEW else _all(call): NAMES[id] = name
    return {id: NAMES[id] for id in ids if id in NAMES}


def _few(call: Call, ids: Collection[str]) -> Iterator[tuple[str, str]]:
    for id in ids:
        try: yield id, _send(call, "GET", f"/resource_providers/{id}").json()["name"]
        except NotFound: continue


def _all(call: Call) -> Iterator[tuple[str, str]]:
    for one in _send(call, "GET", "/resource_providers").json()["resource_providers"]: yield one["uuid"], one["name"]
