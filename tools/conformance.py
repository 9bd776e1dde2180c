"""Runs OpenStack's own tests, unmodified, against a cloud that is started for them; started by `./pilvi conformance` in the checkout.

./pilvi conformance SERVICE [PATTERN] [--at STATE] [--keep] [--workers N]

tests/conformance/SERVICE.txt holds the ids of the tests, SERVICE.passed.txt those that have passed before: one of them that does not pass
is an error, and the list only grows (--keep adds what passed now). PATTERN: a regular expression, only ids that hold it. --at: a running
cloud's state folder instead of a new simulated cloud. Tempest lives in an environment of its own (.tempest), made from
tests/conformance/requirements.txt; SERVICE `swift` are upstream swift's functional tests instead (swift_tests.py).
"""
from __future__ import annotations

import argparse
import collections
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openstack
import swift_tests

ROOT = Path(__file__).resolve().parent.parent
LISTS, TEMPEST = ROOT / "tests" / "conformance", ROOT / ".tempest"
PILVI = [sys.executable, "-m", "pilvi.run.cli"]
SHOWN_CHARACTERS = 900
OPEN = re.compile(r"@([A-Z_]+)@")


def environment() -> Path:
    """Tempest's own environment, made when it is not there or its requirements have changed."""
    wanted, made = LISTS / "requirements.txt", TEMPEST / "requirements.txt"
    if not made.exists() or made.read_text() != wanted.read_text():
        print("making Tempest's environment (some minutes)", flush=True)
        shutil.rmtree(TEMPEST, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", TEMPEST], check=True)
        subprocess.run([TEMPEST / "bin" / "pip", "install", "--quiet", "-r", wanted], check=True)
        shutil.copyfile(wanted, made)
    return TEMPEST / "bin"


@contextmanager
def cloud(state: Path | None) -> Iterator[Path]:
    """The state folder of the given cloud, or of a simulated one that lives as long as the tests."""
    if state is not None:
        yield state
        return
    folder = Path(tempfile.mkdtemp(prefix="pilvi-conformance-", dir="/var/tmp"))
    port, realms = free_port(), folder / "realms.conf"
    (folder / "config.toml").write_text((LISTS / "config.toml").read_text().replace("@REALMS@", str(realms)))
    realms.write_text(f"[realm1]\nkey = a secret\ncluster_name1 = http://127.0.0.1:{port + 1}/v1/\n")  # Tempest's own names
    own = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    try:
        subprocess.run([*PILVI, "up", "--simulated", "--privileged-control", "--state", folder, "--listen", f"127.0.0.1:{port}"],
                       env=own, check=True, stdout=subprocess.DEVNULL)
        yield folder
    finally:
        subprocess.run([*PILVI, "down", "--state", folder], env=own, check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port that nobody listens on, nor on the next one, which is the object store's."""
    while True:
        with socket.socket() as probe, socket.socket() as other:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
            try: other.bind(("127.0.0.1", port + 1))
            except OSError: continue
            return port


def facts(state: Path) -> dict[str, str]:
    """What tempest.conf.in leaves open, by name; things that a service does not have are empty."""
    os.environ["OS_CLIENT_CONFIG_FILE"] = str(state / "clouds.yaml")
    admin, demo = (openstack.connect(cloud=name).config.get_auth_args() for name in ("pilvi", "pilvi-demo"))
    connection = openstack.connect(cloud="pilvi")
    flavors = sorted(connection.compute.flavors(), key=lambda flavor: (flavor.ram, flavor.disk))
    image = next(iter(connection.image.images()), None)
    public = next(iter(connection.network.networks(is_router_external=True)), None)
    private = next(iter(connection.network.networks(is_router_external=False)), None)
    known = {
        "ADMIN_USER": admin["username"], "ADMIN_PASSWORD": admin["password"], "ADMIN_PROJECT": admin["project_name"],
        "DEMO_USER": demo["username"], "DEMO_PASSWORD": demo["password"], "DEMO_PROJECT": demo["project_name"],
        "AUTH_URL": admin["auth_url"].rstrip("/").removesuffix("/v3") + "/v3", "ENFORCE_SCOPE": "true",
        "IMAGE_ID": image.id if image else "", "IMAGE_ALT_ID": image.id if image else "", "IMAGE_NAME": image.name if image else "",
        "FLAVOR_ID": flavors[0].id, "FLAVOR_ALT_ID": flavors[1].id, "FLAVOR_NAME": flavors[0].name, "FLAVOR_ALT_NAME": flavors[1].name,
        "PUBLIC_NETWORK_ID": public.id if public else "", "PUBLIC_NETWORK_NAME": public.name if public else "",
        "PRIVATE_NETWORK_NAME": private.name if private else "", "PRIVATE_SUBNET_NAME": "",
        "NEUTRON_EXTENSIONS": ",".join(sorted(extension.alias for extension in connection.network.extensions())),
        "COMPUTE_NODES": str(len(list(connection.compute.hypervisors()))), "RUN_VALIDATION": "false", "MIGRATION": "false",
        "ADVANCED_IMAGE": "false", "SWIFT_FEATURES": ",".join(sorted(swift_features(connection)))}
    return collections.defaultdict(str, known)


def swift_features(connection: Any) -> list[str]:
    """What the object store's /info tells of."""
    store = connection.object_store
    return list(store.get(store.get_endpoint().partition("/v1/")[0] + "/info").json())


def surroundings(folder: Path, programs: Path) -> dict[str, str]:
    """The environment's variables for Tempest, which keeps a list of workspaces at home."""
    return {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder.parent)}


def workspace(folder: Path, programs: Path, known: dict[str, str]) -> None:
    """A Tempest workspace that knows the cloud."""
    subprocess.run([programs / "tempest", "init", folder], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   env=surroundings(folder, programs))
    known = known | {"WORKDIR": str(folder)}
    lines = [line for line in (LISTS / "tempest.conf.in").read_text().splitlines()
             if all(known.get(name) for name in OPEN.findall(line))]  # what is not known keeps Tempest's default
    (folder / "etc" / "tempest.conf").write_text(OPEN.sub(lambda found: known[found[1]], "\n".join(lines)))
    for name in ("logs", "tempest_lock"): (folder / name).mkdir(exist_ok=True)


def tempest(place: Path, state: Path, ids: list[str], workers: int) -> list[dict[str, Any]]:
    """The results of Tempest's tests."""
    programs = environment()
    workspace(place, programs, facts(state))
    return run(place, programs, ids, workers)


def run(folder: Path, programs: Path, ids: list[str], workers: int) -> list[dict[str, Any]]:
    """The results of the tests, as tempest_results.py tells them."""
    (folder / "ids.txt").write_text("\n".join(ids) + "\n")
    command = [str(programs / "tempest"), "run", "--load-list", str(folder / "ids.txt"), "--concurrency", str(workers), "--subunit"]
    variables = surroundings(folder, programs)
    with (folder / "subunit").open("wb") as stream, (folder / "messages").open("wb") as messages:
        subprocess.run(command, cwd=folder, env=variables, check=False, stdout=stream, stderr=messages)
    with (folder / "subunit").open("rb") as stream:
        lines = subprocess.run([programs / "python", ROOT / "tools" / "tempest_results.py"], stdin=stream, capture_output=True, text=True,
                               check=True, cwd=folder, env=variables).stdout
    found = [json.loads(line) for line in lines.splitlines()]
    if not found: raise SystemExit((folder / "messages").read_text()[-4000:])
    return found


def report(results: list[dict[str, Any]], asked: list[str], before: set[str]) -> tuple[set[str], set[str]]:
    """Prints what failed and was skipped, and why. Gives (what passed, what passed before and does not now)."""
    by_status = collections.defaultdict[str, list[dict[str, Any]]](list)
    for result in results: by_status[result["status"]].append(result)
    for result in by_status["fail"]: print(f"\nFAILED {result['id']}\n    {_shown(result['reason'])}")
    reasons = collections.Counter((result["reason"].strip() or "?").splitlines()[0][:140] for result in by_status["skip"])
    for reason, count in reasons.most_common(): print(f"skipped {count}: {reason}")
    passed = {result["id"] for result in by_status["success"]} & set(asked)
    skipped = {result["id"] for result in by_status["skip"]}
    # A class that could not be set up says so once, and its tests say nothing.
    silent = [id for id in asked if id not in passed and id not in skipped and not any(id == each["id"] for each in by_status["fail"])]
    lost = (before & set(asked)) - passed
    seconds = sum(result["seconds"] for result in results)
    print(f"\n{len(asked)} tests: {len(passed)} passed, {len(asked) - len(passed) - len(skipped & set(asked))} failed "
          f"({len(silent)} of them not run), {len(skipped & set(asked))} skipped; {seconds:.0f} s of tests")
    for id in sorted(lost): print(f"LOST {id}")
    return passed, lost


def _shown(text: str) -> str:
    """A trace's end, where the reason is."""
    return text.strip()[-SHOWN_CHARACTERS:].replace("\n", "\n    ")


def listed(path: Path) -> list[str]:
    """The ids in a file."""
    return [line.strip() for line in path.read_text().splitlines() if line.strip()] if path.exists() else []


def main(arguments: list[str]) -> int:
    """Runs a service's list; the status is 1 if something is lost."""
    parser = argparse.ArgumentParser(prog="./pilvi conformance", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("service", choices=sorted(path.stem for path in LISTS.glob("*.txt")
                                                  if "passed" not in path.stem and "requirements" not in path.stem))
    parser.add_argument("pattern", nargs="?", default="")
    parser.add_argument("--at", type=Path)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args(arguments)
    ids = [id for id in listed(LISTS / f"{asked.service}.txt") if re.search(asked.pattern, id)]
    ratchet = LISTS / f"{asked.service}.passed.txt"
    before, began = set(listed(ratchet)), time.monotonic()
    with cloud(asked.at) as state, tempfile.TemporaryDirectory(prefix="pilvi-tempest-", dir="/var/tmp") as folder:
        if asked.service == "swift": results = swift_tests.results(state, Path(folder), ids)
        else: results = tempest(Path(folder) / "workspace", state, ids, asked.workers)
        passed, lost = report(results, ids, before)
    if asked.keep: ratchet.write_text("".join(f"{id}\n" for id in sorted(before | passed)))
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if lost else 0


if __name__ == "__main__": sys.exit(main(sys.argv[1:]))
