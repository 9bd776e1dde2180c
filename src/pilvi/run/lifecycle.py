"""Starting, stopping, resetting, saving and removing a cloud: what the command line does with it as a whole."""
from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import yaml
from msgspec.structs import replace

from pilvi.run import debian, supervisor, tls
from pilvi.run import settings as choices
from pilvi.run.settings import Settings
from pilvi.run.supervisor import Process

Say = Callable[[str], None]
OVN_DAEMONS = ("control/ovn", "ovs")
DAEMON_SECONDS = 15.0
"""What they may take to end after SIGTERM."""


class Refused(Exception):
    """The cloud can't do that now; the text says why and what to do."""


def processes(settings: Settings) -> list[Process]:
    """What the supervisor runs."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("PILVI_") and name != "PILVI_READY_FD"}
    # The thresholds leave room for objects' pieces of 1 MiB: given back to the kernel each time, they cost a GET half of its CPU time.
    memory = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "4194304", "MALLOC_MMAP_THRESHOLD_": "2097152"}
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin", "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1",
           **memory, **kept}
    if "PYTHONPATH" in os.environ: env["PYTHONPATH"] = os.environ["PYTHONPATH"]
    uid = settings.control_uid if os.getuid() == 0 and settings.unprivileged else None
    python = [sys.executable, *([] if "PYTHONPATH" in env else ["-I"])]
    found = [Process("control", [*python, "-m", "pilvi.run.server", settings.state], uid, uid, env)] if settings.control else []
    if settings.agent:
        after = tuple(process.name for process in found)
        found.append(Process("agent", [*python, "-m", "pilvi.run.agent", settings.state], None, None, env, after=after))
    return found


def start(settings: Settings, say: Say) -> None:
    """Starts the processes in the background and returns when they are ready. Raises supervisor.StartFailed."""
    choices.prepare(settings)
    if settings.control: tls.prepare(settings)
    choices.save(settings)
    supervisor.start(settings.directory, processes(settings), lambda name: say(f"{name} is ready"))
    if settings.control: write_clouds(settings)


def running(directory: Path) -> bool:
    """Is the cloud up?"""
    return supervisor.running(directory, supervisor.NAME) is not None


def write_clouds(settings: Settings) -> None:
    """DIR/clouds.yaml, for the openstack client: `pilvi` the administrator, `pilvi-demo` a member of a project."""
    words = yaml.safe_load(settings.passwords_path.read_text())
    trust = {"cacert": str(settings.authority_path)} if settings.url.startswith("https:") and settings.authority_path.exists() else {}

    def cloud(user: str, project: str) -> dict[str, object]:
        return {"auth": {"auth_url": settings.url + "/identity/v3", "username": user, "password": words[user], "project_name": project,
                         "user_domain_id": "default", "project_domain_id": "default"},
                "region_name": settings.region, "identity_api_version": "3", "interface": "public", **trust}

    path = settings.directory / "clouds.yaml"
    beside = path.with_name(".clouds.yaml")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        yaml.safe_dump({"clouds": {"pilvi": cloud("admin", "admin"), "pilvi-demo": cloud("demo", "demo")}}, file)
    beside.rename(path)


def stop(directory: Path) -> None:
    """Guests power off and are remembered; then all processes end, the network's daemons too. Nothing is lost."""
    mark = directory / "run" / "down"
    if running(directory): mark.touch()
    supervisor.stop(directory)
    end_daemons(directory)


def end_daemons(directory: Path) -> None:
    """Ends what outlives control and agent: the network's daemons, by pid file and command line; returns when they are gone."""
    handles = []
    for folder in OVN_DAEMONS:
        for path in (directory / "run" / folder).glob("*.pid"):
            try:
                pid = int(path.read_text())
                handle = os.pidfd_open(pid)
            except (OSError, ValueError): continue
            try: command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
            except OSError: command = ""
            if str(path) in command: handles.append(handle)
            else: os.close(handle)
    supervisor.end_all(handles, DAEMON_SECONDS)


def reset(settings: Settings) -> None:
    """Removes everything in the cloud but its choices: servers, networks, volumes, users, images. The cloud must be down."""
    if running(settings.directory): raise Refused("The cloud is up; `pilvi down` first.")
    for name in ("control", "host", "run", "clouds.yaml", "hello.key", "ca.pem"):
        path = settings.directory / name
        if path.is_dir(): shutil.rmtree(path)
        else: path.unlink(missing_ok=True)


def uninstall(directory: Path, say: Say) -> None:
    """Removes the state folder and the Debian packages that `up` installed; only those."""
    stop(directory)
    removed = debian.remove(directory) if os.getuid() == 0 else []
    say(f"removed packages: {', '.join(removed) or 'none'}")
    for name in ("control", "host", "run", "logs", "guest", "share", "policy", "clouds.yaml", "cloud.json", "hello.key", "join.json",
                 "installed.json", "config.toml", "ca.pem"):
        path = directory / name
        if path.is_dir(): shutil.rmtree(path)
        else: path.unlink(missing_ok=True)
    for path in directory.glob("env*"):
        if path.is_dir() and not path.is_symlink(): shutil.rmtree(path, ignore_errors=True)
        else: path.unlink()
    try: directory.rmdir()
    except OSError: say(f"{directory} stays: it holds what is not of the cloud's making")


def backup(settings: Settings, target: Path, *, disks: bool) -> Path:
    """Database, keys, network state and images, optionally disks, in one archive; the cloud may be up (each database is a consistent
    copy)."""
    root = settings.directory
    if settings.database_url: raise Refused("The database is a server's: use its own backup (pg_dump) and keep DIR/control/keys.")
    with tempfile.TemporaryDirectory(dir=root) as scratch, tarfile.open(target, "w:gz", compresslevel=1) as tar:
        os.chmod(target, 0o600)
        for path in sorted((settings.control_directory / "db").glob("*.sqlite")):
            copy = Path(scratch) / path.name
            with sqlite3.connect(path) as source, sqlite3.connect(copy) as sink: source.backup(sink)
            tar.add(copy, f"control/db/{path.name}")
        for name in ("cloud.json", "config.toml", "hello.key", "ca.pem", "control/keys", "control/images", "policy"):
            if (root / name).exists(): tar.add(root / name, name)
        for path in sorted((root / "run" / "control" / "ovn").glob("*.db")): tar.add(path, str(path.relative_to(root)))
        if disks: tar.add(root / "host", "host", filter=_no_sockets)
    return target


def _no_sockets(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return entry if entry.isfile() or entry.isdir() else None


def restore(directory: Path, archive: Path) -> None:
    """Puts a backup back; the cloud must be down. What the backup does not know stays untouched and is reported as unmanaged."""
    if running(directory): raise Refused("The cloud is up; `pilvi down` first.")
    directory.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        entries = tar.getmembers()
        # Root unpacks it, so it may hold nothing that leads out of the folder. (Debian 12's Python has no filters for that yet.)
        foreign = [e.name for e in entries if not (e.isfile() or e.isdir()) or e.name.startswith("/") or ".." in Path(e.name).parts]
        if foreign or "cloud.json" not in tar.getnames(): raise Refused(f"{archive} is no backup of a cloud. {' '.join(foreign)}".strip())
        for stale in (directory / "control" / "db").glob("*"): stale.unlink()
        tar.extractall(directory)
    settings = replace(choices.load(directory), state=str(directory))
    choices.prepare(settings)
    choices.save(settings)
    (directory / "run" / "down").touch()  # its machines are all off, but what ran when it was saved is to run
    if os.getuid() == 0:
        for folder in (settings.control_directory, settings.run_directory / "control"):
            for path in folder.rglob("*"): os.chown(path, settings.control_uid, settings.control_uid)
