"""What choosing a host costs: `python benchmarks/scheduler.py`. Hosts differ in load; every tenth is down, half are in an aggregate."""
from __future__ import annotations

import time
from random import Random

from rich.console import Console
from rich.table import Table

from pilvi.compute.scheduler.select import explain, select
from pilvi.compute.scheduler.types import Aggregate, Host, Request

PLAIN = Request(vcpus=2, memory_mib=2048, disk_gib=20)
RICH = Request(
    vcpus=2, memory_mib=2048, disk_gib=20, availability_zone="nova", group_id="g", group_policy="soft-anti-affinity",
    extra_specs={"hw:cpu_policy": "shared", "aggregate_instance_extra_specs:disk": "ssd", "capabilities:hypervisor_type": "QEMU"},
    image_properties={"hw_architecture": "x86_64", "os_distro": "debian"}, excluded_hosts=frozenset({"host-1"}))
FASTEST_OF = 7


def main() -> None:
    rng = Random(1)
    table = Table("hosts", "a plain boot, µs", "with a group, extra specs …, µs", "100 plain at once, µs each", "explain, ms")
    for number in (10, 100, 1_000, 10_000):
        hosts = [host(n, rng) for n in range(number)]
        nowhere = Request(vcpus=1000, availability_zone="mars")
        table.add_row(f"{number:,}", f"{seconds(PLAIN, hosts, 1) * 1e6:,.0f}", f"{seconds(RICH, hosts, 1) * 1e6:,.0f}",
                      f"{seconds(PLAIN, hosts, 100) * 1e4:,.0f}", f"{explained(nowhere, hosts) * 1e3:,.1f}")
    Console().print(table)


def host(n: int, rng: Random) -> Host:
    ssd = (Aggregate(id="a", metadata={"disk": "ssd", "availability_zone": "nova"}),)
    return Host(name=f"host-{n}", vcpus=512, vcpus_used=rng.randrange(300),
                memory_mib=262_144, memory_used_mib=rng.randrange(200_000), disk_gib=4000,
                 disk_used_gib=rng.randrange(3000), up=n % 10 != 9, aggregates=ssd if n % 2 else (), servers=rng.randrange(60),
                io_ops=rng.randrange(4),
                groups={"g": 1} if n % 50 == 0 else {})


def seconds(request: Request, hosts: list[Host], count: int) -> float:
    times = []
    for _ in range(FASTEST_OF):
        began = time.perf_counter()
        assert len(select(request, hosts, count, Random(1))) == count
        times.append(time.perf_counter() - began)
    return min(times)


def explained(request: Request, hosts: list[Host]) -> float:
    began = time.perf_counter()
    assert len({refusal.host for refusal in explain(request, hosts)}) == len(hosts)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
