"""The command line: what it says, where it looks, and how it ends."""
from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.outside.clouds import free_port, wait
from tests.run.conftest import ROOT, Here

from pilvi.core.errors import Failure

NOBODY = 65534
PRIVILEGED = ["--privileged-control"] if os.geteuid() == 0 else []


def test_no_cloud_is_said_so(here: Callable[[str], Here]) -> None:
    nothing = here("nothing")
    for words in (("status",), ("trace", "x"), ("backup", "x"), ("report", "x"), ("reset", "--yes")):
        assert f"There is no cloud in {nothing.state}" in re.sub(r"\s+", " ", nothing.run(*words, status=1)), words
    assert "it was not up" in nothing.run("down")
    assert not (nothing.state / "cloud.json").exists()


def test_state_may_stand_anywhere(here: Callable[[str], Here]) -> None:
    nothing = here("nothing")
    for words in (["--state", str(nothing.state), "status"], ["status", f"--state={nothing.state}"]):
        done = subprocess.run([*nothing.words()[:3], *words], env=nothing.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and str(nothing.state) in done.stderr.replace("\n", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_an_ordinary_user_is_told_what_to_do(tmp_path_factory: pytest.TempPathFactory) -> None:
    done = subprocess.run(Here(Path("/nonexistent/pilvi")).words("up"), env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src")},
                          capture_output=True, text=True, check=False, user=NOBODY, group=NOBODY, cwd="/")
    assert done.returncode == 2 and "need root" in done.stderr and "--simulated" in done.stderr and "Traceback" not in done.stderr


def test_doctor(here: Callable[[str], Here]) -> None:
    text = here("nothing").run("doctor")
    assert all(word in text for word in ("Python", "QEMU", "KVM", "disk", "memory"))


@pytest.mark.slow
def test_status(furnished: Here) -> None:
    text = furnished.run("status")
    assert re.search(r"control +ready +\d+", text) and re.search(r"agent +ready +\d+", text)
    assert f"APIs at http://{furnished.listen}; healthy" in text and re.search(r"in all \d+ MB", text)


@pytest.mark.slow
def test_trace(furnished: Here) -> None:
    lines = furnished.run("trace", "hello").splitlines()
    numbers = [line.split()[0] for line in lines if re.match(r"\d\d ", line)]
    assert numbers == [f"{number:02}" for number in range(1, 30)]
    assert "ACTIVE is reported" in "\n".join(lines) and "no server called x" in furnished.run("trace", "x", status=1)


@pytest.mark.slow
def test_up_again_changes_nothing(furnished: Here) -> None:
    before = (furnished.servers(), (furnished.state / "cloud.json").read_text(), (furnished.state / "run/control.pid").read_text())
    text = furnished.run("up")
    assert "is up already" in text and "The cloud is up" in text
    assert "--listen is heeded after" in furnished.run("up", "--listen", "127.0.0.1:1")
    assert before == (furnished.servers(), (furnished.state / "cloud.json").read_text(), (furnished.state / "run/control.pid").read_text())


@pytest.mark.slow
def test_hold(furnished: Here) -> None:
    furnished.boot("kept")
    wait(lambda: furnished.servers()["kept"] == "ACTIVE", "it runs")
    assert "kept is held" in furnished.run("hold", "kept")
    assert "It is held" in furnished.run("explain", "server", "kept")
    id = next(s["id"] for s in furnished.session().ask("compute", "GET", "/v2.1/servers", name="^kept$")["servers"])
    with pytest.raises(Failure) as refusal:
        furnished.session().ask("compute", "PUT", f"/v2.1/servers/{id}/pilvi-hold", {"held": False})
    assert refusal.value.status == 403
    assert "looked after again" in furnished.run("hold", "--release", "kept")
    assert "It is held" not in furnished.run("explain", "server", "kept")
    assert "no server called nobody" in furnished.run("hold", "nobody", status=1)


@pytest.mark.slow
def test_two_clouds_side_by_side(furnished: Here, here: Callable[[str], Here]) -> None:
    other = here("other")
    assert "The cloud is up" in other.up("--empty")
    assert other.servers() == {} and "hello" in furnished.servers()
    other.run("down")
    assert "healthy" in furnished.run("status")


@pytest.mark.slow
def test_another_listener(furnished: Here, here: Callable[[str], Here]) -> None:
    twin = here("twin")
    twin.listen = furnished.listen
    done = subprocess.run(twin.words("up", "--simulated", "--listen", furnished.listen, *PRIVILEGED), env=twin.environment,
                          capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 1 and "already in use" in " ".join(done.stderr.split())
    assert "healthy" in furnished.run("status")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_foreground(here: Callable[[str], Here], number: signal.Signals) -> None:
    shown = here(f"foreground-{number.name}")
    words = shown.words("up", "--simulated", "--empty", "--foreground", "--listen", f"127.0.0.1:{free_port()}", *PRIVILEGED)
    with subprocess.Popen(words, env=shown.environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        while "openstack server list" not in process.stdout.readline(): assert process.poll() is None
        time.sleep(1)
        assert process.poll() is None, "it stays"
        process.send_signal(number)
        rest, _ = process.communicate(timeout=300)
    assert "the cloud is down" in rest and not (shown.state / "run/control.pid").exists()
