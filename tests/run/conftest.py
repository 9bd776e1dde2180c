"""Simulated clouds, started by the command line of this checkout."""
from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.outside.clouds import free_port

from pilvi.run.furnish import Cloud
from pilvi.run.settings import load

ROOT = Path(__file__).parents[2]


class Here:
    """A state folder and the command line over it."""

    def __init__(self, state: Path) -> None:
        self.state, self.listen = state, f"127.0.0.1:{free_port()}"
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(state.parent), "PYTHONPATH": str(ROOT / "src")}

    def words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "pilvi.run.cli", *words, "--state", str(self.state)]

    def run(self, *words: str, status: int = 0) -> str:
        """What a command says; it must end with this status."""
        done = subprocess.run(self.words(*words), env=self.environment, capture_output=True, text=True, timeout=300, check=False,
                              stdin=subprocess.DEVNULL, cwd=self.state.parent)
        assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def up(self, *words: str) -> str:
        """Starts it the first time."""
        return self.again("--simulated", "--listen", self.listen, *words)

    def again(self, *words: str) -> str:
        """Starts it as it is. Control stays root: pytest's folders let nobody else in."""
        return self.run("up", *(["--privileged-control"] if os.geteuid() == 0 else []), *words)

    def session(self, user: str = "demo") -> Cloud:
        return Cloud(load(self.state), user, user)

    def servers(self) -> dict[str, str]:
        found = self.session("admin").ask("compute", "GET", "/v2.1/servers/detail", all_tenants=1)["servers"]
        return {server["name"]: server["status"] for server in found}

    def boot(self, name: str, **values: Any) -> dict[str, Any]:
        """A server without a network; asked for, not waited for."""
        demo = self.session()
        image = demo.ask("image", "GET", "/v2/images")["images"][0]["id"]
        body = {"name": name, "imageRef": image, "flavorRef": "1", "networks": "none", **values}
        return dict(demo.ask("compute", "POST", "/v2.1/servers", {"server": body})["server"])


@pytest.fixture(scope="session")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Here]]:
    """Makes state folders; takes down what was left up in them."""
    made: list[Here] = []
    base = tmp_path_factory.mktemp("clouds")

    def make(name: str) -> Here:
        made.append(Here(base / name))
        return made[-1]

    yield make
    for one in made:
        if (one.state / "cloud.json").exists(): one.run("down")


@pytest.fixture(scope="session")
def furnished(here: Callable[[str], Here]) -> Here:
    """A cloud with its first server, for tests that change nothing that others look at."""
    made = here("furnished")
    made.up()
    return made
