"""Upstream swift's own functional tests, unmodified, against an object store; conformance.py runs those of tests/conformance/swift.txt.

They lie in the source distribution of swift, which is fetched from the package index with what they need. Their users are TempAuth's, of
tests/conformance/config.toml.
"""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
LISTS, PLACE = ROOT / "tests" / "conformance", ROOT / ".swift-tests"
SECONDS = 1800


def environment() -> Path:
    """The folder of swift's sources, with `venv` beside them; made when it is not there or the requirements have changed."""
    wanted, made = LISTS / "swift.requirements.txt", PLACE / "requirements.txt"
    if not made.exists() or made.read_text() != wanted.read_text():
        print("fetching swift's tests and what they need (some minutes)", flush=True)
        shutil.rmtree(PLACE, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", PLACE / "venv"], check=True)
        pip = PLACE / "venv" / "bin" / "pip"
        subprocess.run([pip, "install", "--quiet", "-r", wanted], check=True)
        swift = next(line for line in wanted.read_text().splitlines() if line.startswith("swift=="))
        subprocess.run([pip, "download", "--quiet", "--no-deps", "--no-binary", "swift", "-d", PLACE, swift], check=True)
        subprocess.run(["tar", "-xzf", next(PLACE.glob("swift-*.tar.gz")), "-C", PLACE], check=True)
        shutil.copyfile(wanted, made)
    return next(path for path in PLACE.glob("swift-*") if path.is_dir())


def results(state: Path, folder: Path, ids: list[str]) -> list[dict[str, Any]]:
    """What came of the tests: dicts of id, status (success, fail or skip), reason and seconds. `state`: the cloud's folder."""
    sources = environment()
    (folder / "test.conf").write_text(configuration(state))
    (folder / "ids").write_text("\n".join(ids) + "\n")
    variables = os.environ | {"SWIFT_TEST_CONFIG_FILE": str(folder / "test.conf"), "SWIFT_TEST_IN_PROCESS": "0", "HOME": str(folder)}
    variables.pop("PYTHONPATH", None)
    command = [str(PLACE / "venv" / "bin" / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", "--tb=short",
               f"--junitxml={folder / 'results.xml'}", f"@{folder / 'ids'}"]
    done = subprocess.run(command, cwd=sources, env=variables, capture_output=True, text=True, timeout=SECONDS, check=False)
    if not (folder / "results.xml").exists(): raise SystemExit((done.stdout + done.stderr)[-4000:])
    known = {_key(id): id for id in ids}
    found = []
    for case in ElementTree.parse(folder / "results.xml").iter("testcase"):
        id = known.get((case.get("classname", ""), case.get("name", "")))
        if id is None: continue
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        skipped = case.find("skipped")
        status, reason = ("fail", bad.text or "") if bad is not None else ("skip", skipped.get("message", "")) if skipped is not None \
            else ("success", "")
        found.append({"id": id, "status": status, "reason": reason, "seconds": float(case.get("time", "0"))})
    return found


def _key(id: str) -> tuple[str, str]:
    path, cls, name = id.split("::")
    return path.removesuffix(".py").replace("/", ".") + "." + cls, name


def configuration(state: Path) -> str:
    """test.conf for the cloud. Raises KeyError when the cloud lacks the users."""
    address, port = json.loads((state / "cloud.json").read_text())["listen"].rsplit(":", 1)
    options = tomllib.loads((state / "config.toml").read_text())["objectstore"]
    lines = ["[func_test]", f"auth_uri = http://{address}:{int(port) + 1}/auth/v1.0", "collate = C", "insecure = no",
             f"storage_domain = {options['storage_domain']}", "service_prefix = SERVICE"]
    users = ("test:tester", "test2:tester2", "test:tester3", "", "test5:tester5", "admin:admin")
    for number, user in enumerate(users, 1):
        if not user: continue
        (account, _, name), suffix = user.partition(":"), "" if number == 1 else str(number)
        key = options["tempauth_users"][user].split()[0]
        lines += [f"{word}{suffix} = {value}" for word, value in (("account", account), ("username", name), ("password", key))
                  if not (word == "account" and number == 3)]
    for suffix, user in (("", "test:tester"), ("2", "test:tester2"), ("3", "test:tester3")):
        lines += [f"s3_access_key{suffix} = {user}", f"s3_secret_key{suffix} = {options['tempauth_users'][user].split()[0]}"]
    return "\n".join([*lines, "[swift-constraints]", ""])
