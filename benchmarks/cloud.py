"""What a simulated cloud costs, beside real OpenStack: `python benchmarks/cloud.py [start tokens ports servers hosts]`.

Each figure stands beside that of OpenStack 2026 (keystone 30, nova 34 with its fake driver, neutron 29), as it was measured on a machine
like this one: 2 cores, 24 GB, MariaDB, RabbitMQ, memcached. Of a noisy machine trust the CPU times more than the wall times.
"""
from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median, quantiles
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.subject import Client, Subject, cloud

SERVERS, FLEETS, BOOTS_PER_FLEET = 1000, (10, 100, 1_000, 10_000), 40
POLL_SECONDS = 0.01


class Row(NamedTuple):
    """`peer`: the same figure of OpenStack, if it was measured. `less`: is a smaller figure the better one?"""
    what: str
    unit: str
    reached: float
    peer: float | None = None
    less: bool = True

    def ratio(self) -> str:
        """How many times better than the peer."""
        if not self.peer or not self.reached: return ""
        return f"{self.peer / self.reached if self.less else self.reached / self.peer:,.1f} ×"


class Load(NamedTuple):
    """What many repetitions took. `cpu`: of the cloud's processes, per operation."""
    per_second: float
    p50: float
    p99: float
    cpu: float


def load(subject: Subject, client: Client, threads: int, count: int, act: Callable[[Client, int], Any]) -> Load:
    """Does `act` that often from so many threads, each with a connection of its own."""
    took: list[float] = []

    def some(first: int) -> None:
        own = client.again()
        for number in range(first, count, threads):
            begun = time.monotonic()
            act(own, number)
            took.append(time.monotonic() - begun)

    cpu, begun = subject.cpu_seconds(), time.monotonic()
    with ThreadPoolExecutor(threads) as pool: list(pool.map(some, range(threads)))
    seconds = time.monotonic() - begun
    return Load(count / seconds, median(took) * 1e3, quantiles(took, n=100)[-1] * 1e3, (subject.cpu_seconds() - cpu) / count * 1e3)


def start(subject: Subject) -> list[Row]:
    """Of a new cloud, an empty folder, a demo server included."""
    time.sleep(10)
    before = subject.cpu_seconds()
    time.sleep(20)
    return [Row("cold start to the first 200", "s", subject.first_answer_seconds, 60),
            Row("`up` with a first server", "s", subject.ready_seconds, 260),
            Row("idle memory, all processes", "MB PSS", subject.memory_mb(), 3140),
            Row("idle CPU", "% of a core", (subject.cpu_seconds() - before) * 5, 11)]


def tokens(subject: Subject) -> list[Row]:
    """Logins by password are left out: they measure bcrypt."""
    admin = subject.client()
    rescoped = {"auth": {"identity": {"methods": ["token"], "token": {"id": admin.token}},
                         "scope": {"project": {"name": "admin", "domain": {"id": "default"}}}}}
    issue = [load(subject, admin, n, 600, lambda own, _: own.ask("POST", "/identity/v3/auth/tokens", rescoped)) for n in (1, 8)]
    show = [load(subject, admin, n, 1000, lambda own, _: own.send("GET", "/identity/v3/auth/tokens", **{"x-subject-token": own.token}))
            for n in (1, 8)]
    return [Row("tokens issued, 1 client", "/s", issue[0].per_second, 126, less=False),
            Row("tokens issued, 8 clients", "/s", issue[1].per_second, 310, less=False), Row("… CPU each", "ms", issue[1].cpu, 5.6),
            Row("tokens validated, 1 client", "/s", show[0].per_second, 128, less=False),
            Row("tokens validated, 8 clients", "/s", show[1].per_second, 258, less=False), Row("… CPU each", "ms", show[1].cpu, 6.8)]


def ports(subject: Subject) -> list[Row]:
    """Up to a thousand in one subnet."""
    admin = subject.client()
    unlimited(admin)
    net = big_network(admin, "ports")
    made = load(subject, admin, 4, 1000, lambda own, n: own.ask("POST", "/network/v2.0/ports", {"port": {"network_id": net}}))
    listed = load(subject, admin, 1, 8, lambda own, _: own.ask("GET", f"/network/v2.0/ports?network_id={net}"))
    return [Row("ports made, 4 clients, 1,000 in a subnet", "/s", made.per_second, 3.4, less=False), Row("… p99", "ms", made.p99, 2889),
            Row("… CPU each", "ms", made.cpu, 217), Row("list of 1,000 ports", "ms", listed.p50, 1073)]


def servers(subject: Subject) -> list[Row]:
    """A thousand, each with a port, on one host that is large enough."""
    admin = subject.client()
    unlimited(admin)
    boot = Boot(admin)
    one = load(subject, admin, 1, 60, boot.until_active)
    many = load(subject, admin, 16, SERVERS - 160, boot.until_active)
    burst, cpu = boot.burst(subject, 100)
    time.sleep(2)
    detail = load(subject, admin, 1, 12, lambda own, _: own.ask("GET", "/compute/v2.1/servers/detail?limit=1000"))
    show = load(subject, admin, 1, 200, lambda own, n: own.ask("GET", "/compute/v2.1/servers/" + boot.made[n]))
    memory = subject.memory_mb()
    gone = load(subject, admin, 16, SERVERS // 5, boot.until_gone)
    return [Row("boot to ACTIVE with a port, one at a time, p50", "ms", one.p50, 3800), Row("… p99", "ms", one.p99, 5000),
            Row("… CPU each, our questions included", "ms", one.cpu, 2500),
            Row("100 servers at once, POSTs by 4 clients", "/s", burst, 0.26, less=False), Row("… CPU each", "ms", cpu, 3300),
            Row("servers to ACTIVE, 16 at a time, 1,000 in all", "/s", many.per_second, 0.26, less=False),
            Row("… p50", "ms", many.p50), Row("… p99", "ms", many.p99), Row("… CPU each, our questions included", "ms", many.cpu, 3300),
            Row("GET /servers/detail of 1,000, p50", "ms", detail.p50, 4200), Row("… CPU", "ms", detail.cpu, 3918),
            Row("GET /servers/ID, p50", "ms", show.p50, 42), Row("memory with 1,000 servers", "MB PSS", memory, 4700),
            Row("servers deleted, 16 at a time", "/s", gone.per_second, 0.6, less=False)]


def fleet(subject: Subject, hosts: int) -> list[Row]:
    """Boots one at a time in a cloud of many hosts."""
    admin = subject.client()
    unlimited(admin)
    boot = Boot(admin)
    for n in range(3): boot.until_active(admin, n)
    time.sleep(3)
    found = load(subject, admin, 1, BOOTS_PER_FLEET, boot.until_active)
    return [Row(f"{hosts:,} hosts: boot to ACTIVE, p50", "ms", found.p50), Row("… CPU each, heartbeats included", "ms", found.cpu),
            Row("… memory", "MB PSS", subject.memory_mb())]


class Boot:
    """Servers on a network of their own. The client asks for the server's state as a client would, every few milliseconds."""

    def __init__(self, admin: Client) -> None:
        self.network = big_network(admin, "servers")
        self.image = next(one["id"] for one in admin.ask("GET", "/image/v2/images")["images"])
        self.admin, self.made = admin, list[str]()

    def post(self, own: Client, number: int) -> str:
        """One more server, some time."""
        server: str = own.ask("POST", "/compute/v2.1/servers", {"server": {
            "name": f"s{number}", "imageRef": self.image, "flavorRef": "1", "networks": [{"uuid": self.network}]}})["server"]["id"]
        self.made.append(server)
        return server

    def burst(self, subject: Subject, count: int) -> tuple[float, float]:
        """(servers per second, CPU ms of each): all are asked for, then all are waited for, with two questions a second."""
        cpu, begun = subject.cpu_seconds(), time.monotonic()
        load(subject, self.admin, 4, count, self.post)
        while self.admin.ask("GET", "/compute/v2.1/servers?status=BUILD&limit=1")["servers"]: time.sleep(0.5)
        return count / (time.monotonic() - begun), (subject.cpu_seconds() - cpu) / count * 1e3

    def until_active(self, own: Client, number: int) -> None:
        """One more server, now."""
        server = self.post(own, number)
        pause = POLL_SECONDS
        while (status := own.ask("GET", f"/compute/v2.1/servers/{server}")["server"]["status"]) != "ACTIVE":
            if status == "ERROR": raise RuntimeError(f"server {server} is in ERROR")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.3)

    def until_gone(self, own: Client, number: int) -> None:
        """One less."""
        path, pause = "/compute/v2.1/servers/" + self.made[number], POLL_SECONDS
        own.ask("DELETE", path)
        while own.send("GET", path)[0] != 404:
            time.sleep(pause)
            pause = min(pause * 1.5, 0.3)


def unlimited(admin: Client) -> None:
    """Quotas as the peer had them: none."""
    project = admin.ask("GET", "/identity/v3/projects?name=admin")["projects"][0]["id"]
    admin.ask("PUT", f"/compute/v2.1/os-quota-sets/{project}", {"quota_set": {"instances": -1, "cores": -1, "ram": -1}})
    admin.ask("PUT", f"/network/v2.0/quotas/{project}", {"quota": {"port": -1, "network": -1, "subnet": -1}})


def big_network(admin: Client, name: str) -> str:
    """A network with four thousand addresses."""
    net = admin.ask("POST", "/network/v2.0/networks", {"network": {"name": name}})["network"]["id"]
    admin.ask("POST", "/network/v2.0/subnets", {"subnet": {"network_id": net, "cidr": "10.20.0.0/20", "ip_version": 4}})
    return str(net)


def printed(rows: Sequence[Row]) -> Table:
    """The table."""
    table = Table("what", "reached", "OpenStack", "times better", "")
    for row in rows:
        table.add_row(row.what, f"{row.reached:,.4g}", "" if row.peer is None else f"{row.peer:,.4g}", row.ratio(), row.unit)
    return table


def main(wanted: Sequence[str]) -> None:
    """Runs the wanted parts, or all."""
    wanted = wanted or ("start", "tokens", "ports", "servers", "hosts")
    rows: list[Row] = []
    parts: dict[str, tuple[Callable[[Subject], list[Row]], tuple[str, ...]]] = {
        "start": (start, ()),
        "tokens": (tokens, ("--empty",)), "ports": (ports, ("--empty",)),
        "servers": (servers, ("--empty", "--hosts", "4"))}
    for name, (part, words) in parts.items():
        if name not in wanted: continue
        with cloud("--simulated", *words) as subject: rows += part(subject)
        Console(width=140).print(printed(rows))
    for hosts in FLEETS if "hosts" in wanted else ():
        with cloud("--simulated", "--empty", "--hosts", str(hosts)) as subject: rows += fleet(subject, hosts)
    Console(width=140).print(printed(rows))


if __name__ == "__main__": main(sys.argv[1:])
