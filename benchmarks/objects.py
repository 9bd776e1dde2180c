"""Object storage beside upstream swift (PyPI) and nginx (dav) on the same disk: the same clients, one run, one after the other.

    PYTHONPATH=src python -m benchmarks.objects [--seconds 5] [--replicas 1] [--sizes 4K,64K,1M,64M] [--coded] [--list 10000] [--slow 1000]
        [--directory DIR]

Swift runs as its documentation says: proxy with tempauth and memcached, two workers each, no background daemons; Pilvi with all its loops.
Both write to disk before they answer. nginx is the limit of the machine: no checksums, no listing, no fsync. memcached and nginx are taken
from PATH; without nginx its rows are left out. Prints operations a second, latencies, and the CPU time of all of the server's processes for
each operation. `--coded`: Pilvi alone, four data and two parity fragments on six devices; `--list`: a container of so many objects;
`--slow`: Pilvi alone, so many clients in the middle of an upload.
"""
from __future__ import annotations

import argparse
import http.client
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

USER, KEY = "test:tester", "testing"
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
CONNECTIONS = 8
SOURCE = Path(__file__).resolve().parent.parent / "src"


class Subject(NamedTuple):
    """A server under load: where its container is, what it wants in headers, whose CPU time counts."""
    name: str
    address: tuple[str, int]
    path: str
    headers: dict[str, str]
    processes: Callable[[], list[int]]


class Figures(NamedTuple):
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    count: int


def free_port(count: int = 1) -> int:
    """The first of so many free ports in a row."""
    while True:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = int(found.getsockname()[1])
        try:
            for more in range(count):
                with socket.socket() as other: other.bind(("127.0.0.1", port + more))
        except OSError: continue
        return port


def wait_for(port: int) -> None:
    """Until somebody listens. Raises TimeoutError."""
    for _ in range(300):
        try: socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError: time.sleep(0.1)
        else: return
    raise TimeoutError(f"nothing listens on port {port}")


def tree(root: int) -> list[int]:
    """A process and its descendants."""
    found, children = [root], {}
    for path in Path("/proc").iterdir():
        if not path.name.isdigit(): continue
        try: parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError: continue
        children.setdefault(parent, []).append(int(path.name))
    for pid in found: found += children.get(pid, [])
    return found


def cpu_seconds(processes: list[int]) -> float:
    """What they have used until now."""
    total = 0
    for pid in processes:
        try: fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError: continue
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


@contextmanager
def pilvi(home: Path, replicas: int, coded: bool = False) -> Iterator[Subject]:
    """A simulated cloud."""
    port = free_port(2)
    home.mkdir()
    storage = f"devices = {replicas}\nreplicas = {replicas}\n"
    if coded:
        storage = ("devices = 6\nreplicas = 3\n[[objectstore.storage.policies]]\nindex = 0\nname = \"coded\"\nreplicas = 6\n"
                   "data_fragments = 4\n")
    (home / "config.toml").write_text(f'[objectstore.tempauth_users]\n"{USER}" = "{KEY} .admin"\n[objectstore.storage]\n{storage}')
    command = [sys.executable, "-m", "pilvi.run.cli", "--state", str(home)]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    subprocess.run([*command, "up", "--simulated", "--empty", "--privileged-control", "--listen", f"127.0.0.1:{port}"], check=True,
                   env=environment, stdout=subprocess.DEVNULL)
    try:
        control = int((home / "run" / "control.pid").read_text().split()[0])
        yield signed_in("pilvi", port + 1, lambda: tree(control))
    finally: subprocess.run([*command, "down"], check=True, env=environment, stdout=subprocess.DEVNULL)


@contextmanager
def swift(home: Path, replicas: int) -> Iterator[Subject]:
    """Upstream's four servers and memcached."""
    base = free_port(6)
    devices = home / "devices"
    for number in range(replicas): (devices / f"d{number}").mkdir(parents=True)
    (home / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = a\nswift_hash_path_prefix = b\n"
                                     "[storage-policy:0]\nname = default\ndefault = yes\n")
    binaries = Path(sys.executable).parent
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    common = (f"bind_ip = 127.0.0.1\nworkers = 2\nuser = root\nswift_dir = {home}\ndevices = {devices}\nmount_check = false\n"
              "log_level = ERROR\n")
    with ExitStack() as stack:
        def run(*command: str | Path) -> int:
            process = subprocess.Popen([*map(str, command)], env=os.environ | {"SWIFT_DIR": str(home)}, **quiet)  # type: ignore[call-overload]
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            return int(process.pid)

        pids = [run("memcached", "-u", "root", "-l", "127.0.0.1", "-p", str(base + 5), "-m", "64")]
        for number, kind in enumerate(("account", "container", "object"), 1):
            (home / f"{kind}.conf").write_text(
                f"[DEFAULT]\nbind_port = {base + number}\n{common}[pipeline:main]\npipeline = {kind}-server\n"
                f"[app:{kind}-server]\nuse = egg:swift#{kind}\n")
            builder = [str(binaries / "swift-ring-builder"), str(home / f"{kind}.builder")]
            steps = [["create", "8", str(replicas), "1"], ["rebalance"]]
            steps[1:1] = [["add", f"r1z{device + 1}-127.0.0.1:{base + number}/d{device}", "100"] for device in range(replicas)]
            for step in steps: subprocess.run([*builder, *step], check=False, stdout=subprocess.DEVNULL)
            pids.append(run(binaries / f"swift-{kind}-server", home / f"{kind}.conf"))
        (home / "proxy.conf").write_text(
            f"[DEFAULT]\nbind_port = {base}\n{common}[pipeline:main]\npipeline = catch_errors gatekeeper cache listing_formats "
            "tempauth copy slo dlo versioned_writes symlink proxy-server\n"
            "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
            f"[filter:cache]\nuse = egg:swift#memcache\nmemcache_servers = 127.0.0.1:{base + 5}\n"
            f"[filter:tempauth]\nuse = egg:swift#tempauth\nuser_test_tester = {KEY} .admin\n"
            + "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in
                      ("catch_errors", "gatekeeper", "listing_formats", "copy", "slo", "dlo", "versioned_writes", "symlink")))
        pids.append(run(binaries / "swift-proxy-server", home / "proxy.conf"))
        for number in range(4): wait_for(base + number)
        yield signed_in("swift", base, lambda: [one for pid in pids for one in tree(pid)])


def signed_in(name: str, port: int, processes: Callable[[], list[int]]) -> Subject:
    """A container, with tempauth's token."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/auth/v1.0", headers={"X-Auth-User": USER, "X-Auth-Key": KEY})
    for attempt in range(50):
        try:
            with urllib.request.urlopen(request) as response:
                url, token = response.headers["X-Storage-Url"], response.headers["X-Auth-Token"]
            break
        except OSError:
            if attempt == 49: raise
            time.sleep(0.2)
    path = "/" + url.split("/", 3)[3] + "/bench"
    subject = Subject(name, ("127.0.0.1", port), path, {"X-Auth-Token": token}, processes)
    ask(http.client.HTTPConnection(*subject.address), subject, "PUT", "")
    return subject


@contextmanager
def nginx(home: Path, replicas: int) -> Iterator[Subject]:
    """PUT and GET of plain files."""
    port = free_port()
    for name in ("files", "tmp"): (home / name).mkdir(parents=True)
    temporary = "".join(f"{kind}_temp_path {home}/tmp/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (home / "nginx.conf").write_text(
        f"daemon off;\nworker_processes 2;\npid {home}/pid;\nerror_log /dev/null;\nuser root;\nevents {{}}\n"
        f"http {{\naccess_log off;\nsendfile on;\n{temporary}client_max_body_size 10g;\n"
        f"server {{ listen 127.0.0.1:{port}; root {home}/files; dav_methods PUT DELETE; "
        "create_full_put_path on; } }\n")
    process = subprocess.Popen(["nginx", "-c", str(home / "nginx.conf"), "-e", "/dev/null"])
    try:
        wait_for(port)
        yield Subject("nginx", ("127.0.0.1", port), "/bench", {}, lambda: tree(process.pid))
    finally:
        process.terminate()
        process.wait(20)


def ask(connection: http.client.HTTPConnection, subject: Subject, method: str, name: str, body: bytes | None = None) -> int:
    """One request; how many bytes came. Raises RuntimeError for what is no success."""
    connection.request(method, subject.path + name, body, subject.headers)
    response = connection.getresponse()
    size = 0
    while piece := response.read(1 << 20): size += len(piece)
    if response.status >= 300: raise RuntimeError(f"{subject.name}: {method} {name}: {response.status}")
    return size


def load(subject: Subject, act: Callable[[http.client.HTTPConnection, int], None], seconds: float, most: int, connections: int) -> Figures:
    """As much as goes in so many seconds, at most so often."""
    times: list[float] = []
    numbers, lock, failures = iter(range(most)), threading.Lock(), []
    end = time.monotonic() + seconds

    def worker() -> None:
        connection = http.client.HTTPConnection(*subject.address)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while time.monotonic() < end:
            with lock: number = next(numbers, None)
            if number is None: return
            began = time.perf_counter()
            try: act(connection, number)
            except Exception as failure:
                failures.append(failure)
                return
            times.append(time.perf_counter() - began)

    before, began = cpu_seconds(subject.processes()), time.monotonic()
    threads = [threading.Thread(target=worker) for _ in range(connections)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    wall, used = time.monotonic() - began, cpu_seconds(subject.processes()) - before
    if failures: raise failures[0]
    times.sort()
    return Figures(len(times) / wall, 1000 * statistics.median(times), 1000 * times[int(len(times) * 0.99)], 1000 * used / len(times),
                   len(times))


def measure(subject: Subject, sizes: list[str], seconds: float) -> None:
    """Prints a line for each size and verb."""
    for size in sizes:
        body = os.urandom(int(size[:-1]) * UNITS[size[-1]])
        connections = CONNECTIONS if len(body) < 1 << 24 else 2
        most = max(4, int(4e9 // len(body))) if len(body) > 1 << 16 else 1_000_000
        names = [1]

        def put(connection: http.client.HTTPConnection, number: int, size: str = size, body: bytes = body) -> None:
            ask(connection, subject, "PUT", f"/{size}-{number:07}", body)

        def get(connection: http.client.HTTPConnection, number: int, size: str = size, names: list[int] = names) -> None:
            ask(connection, subject, "GET", f"/{size}-{number % names[0]:07}")

        def delete(connection: http.client.HTTPConnection, number: int, size: str = size) -> None:
            ask(connection, subject, "DELETE", f"/{size}-{number:07}")

        figures = {"PUT": load(subject, put, seconds, most, connections)}
        stored = names[0] = figures["PUT"].count
        figures["GET"] = load(subject, get, seconds, 1_000_000, connections)
        figures["DELETE"] = load(subject, delete, seconds * 4, stored, connections)
        for verb, found in figures.items():
            rate = f"{found.per_second * len(body) / 1e6:8.1f} MB/s" if len(body) >= 1 << 20 and verb != "DELETE" else " " * 13
            print(f"{subject.name:<6} {size:>4} {verb:<6} {found.per_second:8.1f}/s {rate} p50 {found.p50_ms:7.1f} ms  "
                  f"p99 {found.p99_ms:7.1f} ms  CPU {found.cpu_ms:7.2f} ms", flush=True)


def show(subject: Subject, what: str, found: Figures) -> None:
    """A line."""
    print(f"{subject.name:<6} {what:<24} {found.per_second:8.1f}/s  p50 {found.p50_ms:7.1f} ms  p99 {found.p99_ms:7.1f} ms  "
          f"CPU {found.cpu_ms:7.2f} ms", flush=True)


def measure_listing(subject: Subject, count: int, seconds: float) -> None:
    """Prints what a container of `count` empty objects costs: to fill it, its first page, a page in the middle, its directories."""
    def put(connection: http.client.HTTPConnection, number: int) -> None:
        ask(connection, subject, "PUT", f"/list/{number // 1000:04}/{number:08}", b"")

    show(subject, f"filled with {count}", load(subject, put, 36_000, count, CONNECTIONS))
    middle = f"list/{count // 2000:04}/"
    for what, query in (("10,000 lines", "limit=10000&prefix=list/"), ("100 in the middle", f"limit=100&marker={middle}"),
                        ("directories", "delimiter=/&prefix=list/")):
        def get(connection: http.client.HTTPConnection, number: int, query: str = query) -> None:
            ask(connection, subject, "GET", f"?format=json&{query}")

        show(subject, what, load(subject, get, seconds, 1_000_000, 2))


def measure_slow(subject: Subject, count: int) -> None:
    """Prints what `count` clients cost that stop in the middle of an upload of 1 MiB, and how fast others are beside them."""
    def get(connection: http.client.HTTPConnection, number: int) -> None:
        ask(connection, subject, "GET", "/small")

    ask(http.client.HTTPConnection(*subject.address), subject, "PUT", "/small", b"x" * 4096)
    show(subject, "GET 4K, alone", load(subject, get, 3, 1_000_000, 2))
    before = memory_kib(subject.processes())
    token = subject.headers["X-Auth-Token"]
    head = f"PUT {subject.path}/slow-%d HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {token}\r\nContent-Length: 1048576\r\n\r\n"
    with ExitStack() as stack:
        for number in range(count):
            line = stack.enter_context(socket.create_connection(subject.address))
            line.sendall((head % number).encode() + bytes(512 << 10))
        show(subject, f"GET 4K, beside {count} slow", load(subject, get, 3, 1_000_000, 2))
        print(f"{subject.name:<6} memory of a slow client {(memory_kib(subject.processes()) - before) / count:8.1f} KiB", flush=True)


def memory_kib(processes: list[int]) -> int:
    """Their own and their share of common memory."""
    texts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in processes]
    return sum(int(line.split()[1]) for text in texts for line in text.splitlines() if line.startswith("Pss:"))


def main() -> None:
    """All subjects, one after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--sizes", default="4K,64K,1M,64M")
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--coded", action="store_true")
    parser.add_argument("--list", type=int, default=0)
    parser.add_argument("--slow", type=int, default=0)
    chosen = parser.parse_args()
    kinds: list[Callable[[Path, int], AbstractContextManager[Subject]]] = [pilvi, swift] + ([nginx] if shutil.which("nginx") else [])
    if chosen.coded: kinds = [partial(pilvi, coded=True)]
    elif chosen.slow: kinds = [pilvi]
    elif chosen.list: kinds = [pilvi, swift]
    for kind in kinds:
        with tempfile.TemporaryDirectory(dir=chosen.directory) as made, kind(Path(made) / "subject", chosen.replicas) as subject:
            if chosen.list: measure_listing(subject, chosen.list, chosen.seconds)
            if chosen.slow: measure_slow(subject, chosen.slow)
            if not chosen.list and not chosen.slow: measure(subject, chosen.sizes.split(","), chosen.seconds)


if __name__ == "__main__": main()
