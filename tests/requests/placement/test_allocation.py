"""Allocations over HTTP: consumers, generations, several at once, the reshaper."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

Ask = Callable[..., Any]
ONE, TWO = str(uuid4()), str(uuid4())


@pytest.fixture
def host(ask: Ask) -> str:
    """A provider of 8 VCPU (at most 6 at once, in pairs) and 100 DISK_GB."""
    inventories = {"VCPU": {"total": 8, "max_unit": 6, "step_size": 2}, "DISK_GB": {"total": 100}}
    return str(ask("PUT", "/hosts", {"hosts": [{"name": "host", "inventories": inventories}]}).body["providers"]["host"])


def held(host: str, resources: dict[str, int] | None, generation: int | None = None) -> dict[str, Any]:
    return {"allocations": {host: {"resources": resources}} if resources else {}, "project_id": "p", "user_id": "u",
            "consumer_generation": generation, "consumer_type": "INSTANCE"}


def used(ask: Ask, host: str) -> dict[str, int]:
    return ask("GET", f"/resource_providers/{host}/usages").body["usages"]  # type: ignore[no-any-return]


def test_a_consumer_takes_changes_and_gives_back(ask: Ask, host: str) -> None:
    assert ask("PUT", f"/allocations/{ONE}", held(host, {"VCPU": 2, "DISK_GB": 10})).status == 204
    shown = ask("GET", f"/allocations/{ONE}").body
    assert shown["allocations"][host]["resources"] == {"VCPU": 2, "DISK_GB": 10}
    assert (shown["project_id"], shown["consumer_generation"], shown["consumer_type"]) == ("p", 1, "INSTANCE")
    assert ask("PUT", f"/allocations/{ONE}", held(host, {"VCPU": 4}, 1)).status == 204
    assert used(ask, host) == {"VCPU": 4, "DISK_GB": 0}
    assert ask("PUT", f"/allocations/{ONE}", held(host, None, 2)).status == 204
    assert ask("GET", f"/allocations/{ONE}").body == {"allocations": {}}
    assert ask("DELETE", f"/allocations/{ONE}").status == 404


@pytest.mark.parametrize(("resources", "status"), [
    ({"VCPU": 8}, 409), ({"VCPU": 3}, 409), ({"VGPU": 1}, 409), ({"CUSTOM_NONE": 1}, 400), ({"VCPU": 0}, 400), ({"DISK_GB": 101}, 409)])
def test_what_does_not_fit_is_refused_and_changes_nothing(ask: Ask, host: str, resources: dict[str, int], status: int) -> None:
    assert ask("PUT", f"/allocations/{ONE}", held(host, {"DISK_GB": 1} | resources)).status == status
    assert used(ask, host) == {"VCPU": 0, "DISK_GB": 0}


def test_a_wrong_consumer_generation_is_a_conflict(ask: Ask, host: str) -> None:
    assert ask("PUT", f"/allocations/{ONE}", held(host, {"VCPU": 2}, 0)).body["errors"][0]["code"] == "placement.concurrent_update"
    ask("PUT", f"/allocations/{ONE}", held(host, {"VCPU": 2}))
    assert ask("PUT", f"/allocations/{ONE}", held(host, {"VCPU": 4})).status == 409


def test_a_provider_that_is_not_there(ask: Ask) -> None:
    assert ask("PUT", f"/allocations/{ONE}", held(str(uuid4()), {"VCPU": 2})).status == 400
    assert ask("PUT", "/allocations/no-uuid", held(str(uuid4()), {"VCPU": 2})).status == 400


def test_post_moves_from_one_consumer_to_another_in_one_step(ask: Ask, host: str) -> None:
    ask("PUT", f"/allocations/{ONE}", held(host, {"VCPU": 6}))
    assert ask("POST", "/allocations", {TWO: held(host, {"VCPU": 6})}).status == 409
    assert ask("POST", "/allocations", {ONE: held(host, None, 1), TWO: held(host, {"VCPU": 6})}).status == 204
    assert ask("GET", f"/resource_providers/{host}/allocations").body["allocations"] == {
        TWO: {"resources": {"VCPU": 6}, "consumer_generation": 1}}


def test_what_shrinks_is_taken_even_where_the_host_became_smaller(ask: Ask, host: str) -> None:
    ask("PUT", f"/allocations/{ONE}", held(host, {"DISK_GB": 80}))
    body = {"total": 50, "resource_provider_generation": ask("GET", f"/resource_providers/{host}").body["generation"]}
    assert ask("PUT", f"/resource_providers/{host}/inventories/DISK_GB", body).status == 200
    assert ask("PUT", f"/allocations/{ONE}", held(host, {"DISK_GB": 60}, 1)).status == 204
    assert ask("PUT", f"/allocations/{ONE}", held(host, {"DISK_GB": 70}, 2)).status == 409


def test_older_forms(ask: Ask, host: str) -> None:
    listed = {"allocations": [{"resource_provider": {"uuid": host}, "resources": {"VCPU": 2}}]}
    assert ask("PUT", f"/allocations/{ONE}", listed, version="1.7").status == 204
    assert ask("PUT", f"/allocations/{ONE}", listed, version="1.8").status == 400
    assert set(ask("GET", f"/allocations/{ONE}", version="1.11").body) == {"allocations"}
    assert ask("GET", f"/allocations/{ONE}").body["consumer_type"] == "unknown"


def test_usages_of_a_project_by_type(ask: Ask, host: str) -> None:
    ask("PUT", f"/allocations/{ONE}", held(host, {"VCPU": 2}))
    ask("PUT", f"/allocations/{TWO}", held(host, {"VCPU": 4}) | {"consumer_type": "MIGRATION"})
    assert ask("GET", "/usages?project_id=p", version="1.37").body["usages"] == {"VCPU": 6}
    assert ask("GET", "/usages?project_id=p").body["usages"] == {
        "INSTANCE": {"VCPU": 2, "consumer_count": 1}, "MIGRATION": {"VCPU": 4, "consumer_count": 1}}
    assert ask("GET", "/usages?project_id=p&consumer_type=all").body["usages"] == {"all": {"VCPU": 6, "consumer_count": 2}}
    assert ask("GET", "/usages").status == 400


def test_a_provider_in_use_keeps_its_inventory(ask: Ask, host: str) -> None:
    ask("PUT", f"/allocations/{ONE}", held(host, {"VCPU": 2}))
    assert ask("DELETE", f"/resource_providers/{host}/inventories/VCPU").body["errors"][0]["code"] == "placement.inventory.inuse"
    assert ask("DELETE", f"/resource_providers/{host}").body["errors"][0]["code"] == "placement.resource_provider.inuse"


def test_the_reshaper_moves_inventory_and_allocations_together(ask: Ask, host: str) -> None:
    ask("PUT", f"/allocations/{ONE}", held(host, {"VCPU": 2, "DISK_GB": 10}))
    node = ask("POST", "/resource_providers", {"name": "node", "parent_provider_uuid": host}).body["uuid"]
    generation = ask("GET", f"/resource_providers/{host}").body["generation"]
    inventories = {host: {"resource_provider_generation": generation, "inventories": {"DISK_GB": {"total": 100}}},
                   node: {"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 8}}}}
    moved = held(host, {"DISK_GB": 10}, 1)
    assert ask("POST", "/reshaper", {"inventories": inventories, "allocations": {}}).status == 409
    moved["allocations"][node] = {"resources": {"VCPU": 2}}
    assert ask("POST", "/reshaper", {"inventories": inventories, "allocations": {ONE: moved}}).status == 204
    assert (used(ask, host), used(ask, node)) == ({"DISK_GB": 10}, {"VCPU": 2})
