"""Each filter lets through what it names and nothing else; a request it does not concern passes untouched."""
from __future__ import annotations

from typing import Any

import pytest

from pilvi.compute.scheduler.filters import FILTERS
from pilvi.compute.scheduler.types import Aggregate, Host, Request

BY_NAME = {each.__name__: each for each in FILTERS}


def host(**facts: Any) -> Host:
    return Host(**{"name": "one", "vcpus": 8, "memory_mib": 8192, "disk_gib": 100} | facts)


def aggregate(**metadata: str) -> tuple[Aggregate, ...]:
    return (Aggregate(id="other"), Aggregate(id="a", metadata=metadata))


GROUP = {"group_id": "g", "group_policy": "anti-affinity"}
X86, NEW = {"hw_architecture": "amd64"}, {"img_hv_requested_version": ">=6.0, <8"}
VENDOR = {"capabilities:cpu_info:vendor": "Intel"}
SSD = {"aggregate_instance_extra_specs:disk": "ssd"}
CASES: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    # filter, what is asked, what the host is, does it pass
    ("requested_host", {"host": "one"}, {}, True), ("requested_host", {"host": "two"}, {}, False),
    ("not_tried", {"excluded_hosts": frozenset({"two"})}, {}, True), ("not_tried", {"excluded_hosts": frozenset({"one"})}, {}, False),
    ("same_host", {"same_hosts": frozenset({"one", "two"})}, {}, True), ("same_host", {"same_hosts": frozenset({"two"})}, {}, False),
    ("same_host", {"same_hosts": frozenset()}, {}, False), ("same_host", {}, {}, True),
    ("different_host", {"different_hosts": frozenset({"two"})}, {}, True),
    ("different_host", {"different_hosts": frozenset({"one"})}, {}, False),
    ("compute", {}, {}, True), ("compute", {}, {"enabled": False}, False), ("compute", {}, {"up": False}, False),
    ("availability_zone", {"availability_zone": "nova"}, {}, True), ("availability_zone", {"availability_zone": "az2"}, {}, False),
    ("capacity", {"vcpus": 2}, {"vcpus_used": 6}, True), ("capacity", {"vcpus": 2}, {"vcpus_used": 7}, False),
    ("capacity", {"memory_mib": 192}, {"memory_used_mib": 8000}, True), ("capacity", {"memory_mib": 193}, {"memory_used_mib": 8000}, False),
    ("capacity", {"disk_gib": 10}, {"disk_used_gib": 90}, True), ("capacity", {"disk_gib": 11}, {"disk_used_gib": 90}, False),
    ("capacity", {"disk_gib": 0}, {"disk_used_gib": 110}, True),
    ("server_group_affinity", {"group_policy": "affinity", "group_hosts": frozenset({"one"})}, {}, True),
    ("server_group_affinity", {"group_policy": "affinity", "group_hosts": frozenset({"two"})}, {}, False),
    ("server_group_affinity", {"group_policy": "affinity"}, {}, True),
    ("server_group_affinity", {"group_policy": "soft-affinity", "group_hosts": frozenset({"two"})}, {}, True),
    ("server_group_anti_affinity", GROUP, {"groups": {"h": 1}}, True), ("server_group_anti_affinity", GROUP, {"groups": {"g": 1}}, False),
    ("server_group_anti_affinity", GROUP | {"group_max_per_host": 2}, {"groups": {"g": 1}}, True),
    ("server_group_anti_affinity", {"group_id": "g", "group_policy": "affinity"}, {"groups": {"g": 1}}, True),
    ("num_instances", {}, {"servers": 99}, True), ("num_instances", {}, {"servers": 2, "aggregates": aggregate(x="1")}, True),
    ("num_instances", {}, {"servers": 1, "aggregates": aggregate(max_instances_per_host="2")}, True),
    ("num_instances", {}, {"servers": 2, "aggregates": aggregate(max_instances_per_host="2")}, False),
    ("num_instances", {}, {"servers": 2, "aggregates": aggregate(max_instances_per_host="many")}, True),
    ("io_ops", {}, {"io_ops": 3, "aggregates": aggregate(max_io_ops_per_host="4")}, True),
    ("io_ops", {}, {"io_ops": 4, "aggregates": aggregate(max_io_ops_per_host="4")}, False),
    ("required_traits", {"extra_specs": {"trait:AVX": "required"}}, {"traits": frozenset({"AVX"})}, True),
    ("required_traits", {"extra_specs": {"trait:AVX": "required"}}, {}, False),
    ("required_traits", {"image_properties": {"trait:AVX": "forbidden"}}, {"traits": frozenset({"AVX"})}, False),
    ("required_traits", {"image_properties": {"trait:AVX": "forbidden"}}, {}, True),
    ("image_properties", {"image_properties": {"os_distro": "debian"}}, {}, True),
    ("image_properties", {"image_properties": X86}, {}, True),
    ("image_properties", {"image_properties": X86}, {"architecture": "aarch64"}, False),
    ("image_properties", {"image_properties": {"hw_architecture": "i686"}}, {}, True),
    ("image_properties", {"image_properties": {"img_hv_type": "qemu"}}, {}, True),
    ("image_properties", {"image_properties": {"img_hv_type": "qemu"}}, {"hypervisor_type": "kvm"}, True),
    ("image_properties", {"image_properties": {"img_hv_type": "kvm"}}, {}, False),
    ("image_properties", {"image_properties": {"hw_vm_mode": "hvm"}}, {}, True),
    ("image_properties", {"image_properties": {"hw_vm_mode": "xen"}}, {}, False),
    ("image_properties", {"image_properties": NEW}, {"hypervisor_version": 7002004}, True),
    ("image_properties", {"image_properties": NEW}, {"hypervisor_version": 8000000}, False),
    ("image_properties", {"image_properties": {"img_hv_requested_version": "new"}}, {"hypervisor_version": 7002004}, False),
    ("compute_capabilities", {"extra_specs": {"hw:cpu_policy": "dedicated"}}, {}, True),
    ("compute_capabilities", {"extra_specs": {"capabilities:hypervisor_type": "s== QEMU"}}, {}, True),
    ("compute_capabilities", {"extra_specs": {"vcpus": ">= 9"}}, {}, False),
    ("compute_capabilities", {"extra_specs": {"colour": "x"}}, {}, False),
    ("compute_capabilities", {"extra_specs": VENDOR}, {"capabilities": {"cpu_info": {"vendor": "Intel"}}}, True),
    ("compute_capabilities", {"extra_specs": VENDOR}, {"capabilities": {"cpu_info": "Intel"}}, False),
    ("compute_capabilities", {"extra_specs": {"architecture": "<in> 64"}}, {"capabilities": {"architecture": "riscv"}}, False),
    ("aggregate_instance_extra_specs", {"extra_specs": SSD}, {"aggregates": aggregate(disk="hdd, ssd")}, True),
    ("aggregate_instance_extra_specs", {"extra_specs": SSD}, {"aggregates": aggregate(disk="hdd")}, False),
    ("aggregate_instance_extra_specs", {"extra_specs": SSD}, {}, False),
    ("aggregate_instance_extra_specs", {"extra_specs": {"disk": "x"}}, {}, True),
    ("aggregate_image_properties_isolation", {"image_properties": {"os": "win"}}, {"aggregates": aggregate(os="linux")}, False),
    ("aggregate_image_properties_isolation", {"image_properties": {"os": "win"}}, {"aggregates": aggregate(os="linux,win")}, True),
    ("aggregate_image_properties_isolation", {"image_properties": {}}, {"aggregates": aggregate(os="linux")}, True),
    ("aggregate_image_properties_isolation", {"image_properties": {"os": "win"}}, {}, True),
]


@pytest.mark.parametrize(("name", "asked", "facts", "passes"), CASES)
def test_a_filter_decides(name: str, asked: dict[str, Any], facts: dict[str, Any], passes: bool) -> None:
    one = host(**facts)
    assert list(BY_NAME[name](Request(**asked), [one])) == ([one] if passes else [])


def test_every_filter_is_tested_both_ways() -> None:
    assert {(name, passes) for name, _, _, passes in CASES} == {(name, passes) for name in BY_NAME for passes in (True, False)}


def test_a_plain_request_leaves_most_filters_idle() -> None:
    hosts = [host()]
    idle = {name for name, each in BY_NAME.items() if each(Request(vcpus=1), hosts) is hosts}
    assert BY_NAME.keys() - idle == {"compute", "capacity", "num_instances", "io_ops"}
