"""The client: candidates, claims that cannot both win, hosts in bulk."""
from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from pilvi.core.context import Call
from pilvi.core.errors import Conflict, NotFound
from pilvi.placement import client
from pilvi.placement.client import Host

Ask = Callable[..., Any]
STOCK = {"VCPU": {"total": 4, "allocation_ratio": 2.0}, "MEMORY_MB": {"total": 4096, "reserved": 1024}}
SMALL = {"VCPU": 1, "MEMORY_MB": 512}


def claim(call: Call, provider: str, resources: dict[str, int], consumer: str = "") -> str:
    consumer = consumer or str(uuid4())
    client.claim(call, consumer, provider, resources, "project", "user")
    return consumer


def test_a_host_is_a_candidate_with_its_capacity_name_and_traits(service: Call) -> None:
    provider = client.put_host(service, "node-1", STOCK, ["COMPUTE_NODE", "CUSTOM_FAST"])
    claim(service, provider, SMALL)
    [found] = client.candidates(service, SMALL, limit=10, required=["CUSTOM_FAST"])
    assert (found.provider_id, found.name, sorted(found.traits)) == (provider, "node-1", ["COMPUTE_NODE", "CUSTOM_FAST"])
    assert found.capacity == {"VCPU": (8, 1), "MEMORY_MB": (3072, 512)}
    assert client.candidates(service, SMALL, limit=10, forbidden=["CUSTOM_FAST"]) == []
    assert client.candidates(service, {"VCPU": 9}, limit=10) == []


def test_candidates_of_one_host_and_of_an_aggregate(service: Call) -> None:
    group = str(uuid4())
    client.put_hosts(service, [Host("a", STOCK), Host("b", STOCK, [], [group]), Host("c", STOCK)])
    assert [one.name for one in client.candidates(service, SMALL, limit=10, host="c")] == ["c"]
    assert [one.name for one in client.candidates(service, SMALL, limit=10, member_of=[group])] == ["b"]
    assert client.candidates(service, SMALL, limit=10, host="nowhere") == []


def test_a_repeated_claim_is_one_claim(service: Call) -> None:
    provider = client.put_host(service, "node", STOCK, [])
    consumer = claim(service, provider, SMALL)
    claim(service, provider, SMALL, consumer)
    assert client.allocations(service, consumer) == {provider: SMALL}
    with pytest.raises(Conflict): claim(service, provider, {"VCPU": 2}, consumer)


def test_release_may_be_repeated_and_gives_back(service: Call) -> None:
    provider = client.put_host(service, "node", {"VCPU": {"total": 1}}, [])
    consumer = claim(service, provider, {"VCPU": 1})
    with pytest.raises(Conflict): claim(service, provider, {"VCPU": 1})
    client.release(service, consumer)
    client.release(service, consumer)
    claim(service, provider, {"VCPU": 1})


def test_racing_claims_never_take_more_than_there_is(service: Call, ask: Ask) -> None:
    provider = client.put_host(service, "node", {"VCPU": {"total": 10}}, [])

    def race(_: int) -> bool:
        try: claim(Call(token="service"), provider, {"VCPU": 3})
        except Conflict: return False
        return True

    with ThreadPoolExecutor(8) as threads: won = sum(threads.map(race, range(24)))
    assert won == 3
    assert ask("GET", f"/resource_providers/{provider}/usages").body["usages"] == {"VCPU": 9}


def test_putting_a_host_again_changes_only_what_differs(service: Call, ask: Ask) -> None:
    provider = client.put_host(service, "node", STOCK, ["COMPUTE_NODE"])
    consumer = claim(service, provider, SMALL)
    before = ask("GET", f"/resource_providers/{provider}").body["generation"]
    assert client.put_host(service, "node", STOCK, ["COMPUTE_NODE"]) == provider
    assert ask("GET", f"/resource_providers/{provider}").body["generation"] == before
    client.put_host(service, "node", STOCK | {"VCPU": {"total": 8}}, [])
    assert ask("GET", f"/resource_providers/{provider}").body["generation"] == before + 1
    assert ask("GET", f"/resource_providers/{provider}/traits").body["traits"] == []
    assert ask("GET", f"/resource_providers/{provider}/usages").body["usages"] == SMALL
    with pytest.raises(Conflict): client.put_host(service, "node", {"VCPU": {"total": 8}}, [])
    client.release(service, consumer)
    client.put_host(service, "node", {"VCPU": {"total": 8}}, [])
    assert set(ask("GET", f"/resource_providers/{provider}/inventories").body["inventories"]) == {"VCPU"}


def test_a_host_that_is_removed_is_found_no_more(service: Call) -> None:
    client.put_hosts(service, [Host("a", STOCK), Host("b", STOCK)])
    assert len(client.candidates(service, SMALL, limit=10)) == 2
    client.remove_host(service, "a")
    client.remove_host(service, "a")
    assert [one.name for one in client.candidates(service, SMALL, limit=10)] == ["b"]
    with pytest.raises(NotFound): client.provider_of(service, "a")


def test_a_limit_does_not_always_favour_the_same_hosts(service: Call) -> None:
    client.put_hosts(service, [Host(f"node-{number}", STOCK) for number in range(50)])
    seen = {one.name for _ in range(20) for one in client.candidates(service, SMALL, limit=5)}
    assert len(seen) > 10
    assert len(client.candidates(service, SMALL, limit=5)) == 5
