"""A PostgreSQL of the tests' own: a cluster in a scratch folder, reached over a unix socket only, run by an unprivileged user."""
from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

BINARIES = Path("/usr/lib/postgresql/15/bin")


def _owner() -> str | None:
    """Whom to run as; None: ourselves. PostgreSQL refuses root."""
    if os.getuid() != 0: return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


class Server:
    """One cluster. It may be killed and started again."""

    def __init__(self) -> None:
        self.folder, self.owner = Path(tempfile.mkdtemp(prefix="pilvi-postgres-", dir="/var/tmp")), _owner()
        if self.owner: shutil.chown(self.folder, self.owner)
        self.url = f"postgresql+psycopg://pilvi@/postgres?host={self.folder}"
        subprocess.run([BINARIES / "initdb", "-D", self.folder / "data", "-U", "pilvi", "-A", "trust", "-E", "UTF8", "--no-sync"],
                       check=True, user=self.owner, cwd="/", stdout=subprocess.DEVNULL)
        self.start()

    def start(self) -> None:
        """Returns when it answers."""
        self.process = subprocess.Popen(
            [BINARIES / "postgres", "-D", self.folder / "data", "-k", self.folder, "-h", "", "-F", "-c", "max_connections=200"],
            user=self.owner, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _wait(self.url)

    def kill(self) -> None:
        """kill -9 of all its processes (each has a session of its own)."""
        for pid in (self.process.pid, *_children(self.process.pid)): os.kill(pid, signal.SIGKILL)
        self.process.wait(60)

    def remove(self) -> None:
        """Ends it and removes its files."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        shutil.rmtree(self.folder)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The address of an empty database server; a test makes its own database there."""
    if not (BINARIES / "initdb").exists(): pytest.skip("PostgreSQL 15 is not installed")
    server = Server()
    try: yield server.url
    finally: server.remove()


def _children(parent: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


def _wait(url: str) -> None:
    engine = create_engine(url)
    for _ in range(1200):
        try:
            with engine.connect() as connection: connection.execute(text("SELECT 1"))
            break
        except OperationalError:
            time.sleep(0.1)
    else:
        raise TimeoutError("PostgreSQL did not start within two minutes")
    engine.dispose()


def new_database(url: str, name: str) -> str:
    """The address of a new, empty database on that server."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection: connection.execute(text(f'CREATE DATABASE "{name}"'))
    engine.dispose()
    return url.replace("/postgres?", f"/{name}?")
