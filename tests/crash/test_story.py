"""kill -9 of control or agent at ten random moments while an application is made and ended from its template: it comes to the same end."""
from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from keystoneauth1.exceptions import ClientException
from tests.crash.killing import kill, until
from tests.outside.clouds import Cloud, free_port
from tests.outside.test_application import TEMPLATE, Demo, post

SECONDS = 300.0


def calm(action: Callable[[], Any]) -> Any:
    """The action's result, tried again while a process is away."""
    end = time.monotonic() + 180
    while True:
        try: return action()
        except (ClientException, OSError, LookupError):
            if time.monotonic() > end: raise
            time.sleep(0.2)


def die(state: Path, chance: random.Random, times: int, longest: float) -> None:
    """Kills one of the two, so often, after up to so many seconds each."""
    for _ in range(times):
        time.sleep(chance.uniform(0, longest))
        kill(state, chance.choice(["control", "agent"]))


def tell(demo: Demo) -> bool:
    """The web server's word that it is up; a real one gives it itself, too."""
    return bool(post(demo.output("web_answers"), b'{"status": "SUCCESS"}') == 200)


def live_through_it(cloud: Cloud, longest: float) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chance, demo = random.Random(seed), calm(lambda: Demo(cloud))
    before = calm(demo.things)
    body = {"stack_name": "app", "template": Path(TEMPLATE).read_text(), "timeout_mins": 30}
    found = calm(lambda: demo.session.post("/stacks", json=body, endpoint_filter={"service_type": "orchestration", "interface": "public"}))
    assert found.status_code == 201
    die(cloud.state, chance, 5, longest)
    calm(lambda: tell(demo))
    die(cloud.state, chance, 1, longest)
    until(lambda: calm(demo.stack) != "CREATE_IN_PROGRESS", "the stack comes to an end", SECONDS)
    assert calm(demo.stack) == "CREATE_COMPLETE"

    def end() -> Any:
        left = demo.get("orchestration", "/stacks")["stacks"]
        for one in left:
            if one["stack_status"] != "DELETE_IN_PROGRESS": demo.session.delete(
                f"/stacks/app/{one['id']}", endpoint_filter={"service_type": "orchestration", "interface": "public"})
        return left

    calm(end)
    die(cloud.state, chance, 4, longest)
    until(lambda: not calm(end), "the stack is gone", SECONDS)
    until(lambda: calm(demo.things) == before, lambda: f"nothing is left: {calm(demo.things)} instead of {before}", SECONDS)


@pytest.mark.slow
def test_simulated(cloud_at: Callable[[str], Cloud]) -> None:
    cloud = cloud_at("crash-story")
    privileged = ["--privileged-control"] if os.geteuid() == 0 else []
    done = cloud.pilvi("up", "--simulated", "--empty", "--listen", f"127.0.0.1:{free_port()}", *privileged, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    live_through_it(cloud, 1.0)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.long
def test_real(cloud_at: Callable[[str], Cloud]) -> None:
    cloud = cloud_at("crash-story-real")
    done = cloud.pilvi("up", "--empty", "--listen", f"127.0.0.1:{free_port()}", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    live_through_it(cloud, 10.0)
