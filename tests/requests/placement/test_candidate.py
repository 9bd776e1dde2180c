"""Allocation candidates over HTTP: forms by microversion, and the queries that are refused."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[..., Any]


@pytest.fixture
def host(ask: Ask) -> str:
    body = {"hosts": [{"name": "host", "inventories": {"VCPU": {"total": 8}, "DISK_GB": {"total": 9}}, "traits": ["COMPUTE_NODE"]}]}
    return str(ask("PUT", "/hosts", body).body["providers"]["host"])


def test_an_allocation_request_can_be_sent_back_as_it_is(ask: Ask, host: str) -> None:
    [found] = ask("GET", "/allocation_candidates?resources=VCPU:2,DISK_GB:1").body["allocation_requests"]
    assert found == {"allocations": {host: {"resources": {"VCPU": 2, "DISK_GB": 1}}}, "mappings": {"": [host]}}
    body = found | {"project_id": "p", "user_id": "u", "consumer_generation": None, "consumer_type": "X"}
    assert ask("PUT", "/allocations/6e0b0f2c-9d3f-4c5e-8d1a-0a3c5a1b2c3d", body).status == 204
    summary = ask("GET", "/allocation_candidates?resources=VCPU:2").body["provider_summaries"][host]
    assert summary == {"resources": {"VCPU": {"capacity": 8, "used": 2}, "DISK_GB": {"capacity": 9, "used": 1}}, "traits": ["COMPUTE_NODE"],
                       "parent_provider_uuid": None, "root_provider_uuid": host}


def test_older_forms(ask: Ask, host: str) -> None:
    old = ask("GET", "/allocation_candidates?resources=VCPU:2", version="1.10").body
    assert old["allocation_requests"] == [{"allocations": [{"resource_provider": {"uuid": host}, "resources": {"VCPU": 2}}]}]
    assert old["provider_summaries"] == {host: {"resources": {"VCPU": {"capacity": 8, "used": 0}}}}
    assert ask("GET", "/allocation_candidates?resources=VCPU:2", version="1.9").status == 404


@pytest.mark.parametrize("query", [
    "", "resources=", "resources=VCPU", "resources=VCPU:x", "resources=VCPU:0", "resources=NONE:1", "resources=VCPU:1&required=CUSTOM_NONE",
    "resources=VCPU:1&required=", "resources=VCPU:1&limit=0", "resources=VCPU:1&member_of=x", "resources=VCPU:1&in_tree=x",
    "resources=VCPU:1&required=COMPUTE_NODE,!COMPUTE_NODE", "resources=VCPU:1&colour=red", "resources1=VCPU:1&resources2=VCPU:1",
    "resources=VCPU:1&group_policy=maybe", "required1=COMPUTE_NODE&resources=VCPU:1", "resources1=VCPU:1&same_subtree=1,2"])
def test_queries_that_mean_nothing_are_refused(ask: Ask, host: str, query: str) -> None:
    assert ask("GET", "/allocation_candidates?" + query).status == 400


@pytest.mark.parametrize(("parameter", "since"), [
    ("limit=1", 16), ("required=COMPUTE_NODE", 17), ("required=!COMPUTE_STATUS_DISABLED", 22), ("resources1=DISK_GB:1", 25),
    ("in_tree={host}", 31), ("resources_A=DISK_GB:1", 33),
    ("root_required=COMPUTE_NODE", 35), ("required=in:COMPUTE_NODE,HW_NUMA_ROOT", 39)])
def test_each_parameter_appears_exactly_since(ask: Ask, host: str, parameter: str, since: int) -> None:
    path = f"/allocation_candidates?resources=VCPU:1&{parameter.format(host=host)}"
    assert ask("GET", path, version=f"1.{since - 1}").status == 400
    assert len(ask("GET", path, version=f"1.{since}").body["allocation_requests"]) == 1
