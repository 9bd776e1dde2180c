"""The launcher at the root: which environment it makes, when it makes it again, and what it refuses."""
import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLI = 'import os, sys, pilvi\nprint(*sys.argv[1:], pilvi.__file__, os.environ["PILVI_STATE"], sep="|")\n'


def load() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("launcher", str(ROOT / "pilvi"))
    spec = importlib.util.spec_from_loader("launcher", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    path, bytecode = list(sys.path), sys.dont_write_bytecode
    loader.exec_module(module)
    sys.path[:], sys.dont_write_bytecode = path, bytecode  # the launcher sets both for itself
    return module


launcher = load()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the real launcher, a command line that says what it was given, and no packages to download."""
    folder = tmp_path / "checkout"
    (folder / "src" / "pilvi" / "run").mkdir(parents=True)
    shutil.copy(ROOT / "pilvi", folder)
    for name in ("__init__.py", "run/__init__.py", "run/steps.py", "run/debian.py", "run/files.py", "run/ui.py"):
        shutil.copy(ROOT / "src" / "pilvi" / name, folder / "src" / "pilvi" / name)
    (folder / "src" / "pilvi" / "run" / "cli.py").write_text(CLI)
    (folder / "requirements.lock").write_text("# nothing\n")
    return folder


def start(checkout: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    state = str(checkout.parent / "state")
    return subprocess.Popen([sys.executable, str(checkout / "pilvi"), *arguments], env=os.environ | {"PILVI_STATE": state} | environment,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/")


def call(checkout: Path, *arguments: str, **environment: str) -> tuple[str, str]:
    process = start(checkout, *arguments, **environment)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out.strip(), err


def listing(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*")}


def test_it_makes_the_environment_and_becomes_the_command_line(checkout: Path) -> None:
    before, state = listing(checkout), checkout.parent / "state"
    out, err = call(checkout, "server", "list", "--long", HOME="")
    assert out == f"server|list|--long|{next(state.glob('env/lib/*/site-packages'))}/pilvi/__init__.py|{state}"
    assert "Python packages: done" in err
    assert listing(checkout) == before, "the checkout may be read-only"

    made = listing(state)
    assert call(checkout, "server") == (out.replace("server|list|--long", "server"), "")
    assert listing(state) == made, "when all is in place nothing is written"


def test_all_of_the_environment_is_readable_for_others(checkout: Path) -> None:
    (checkout / "src" / "pilvi" / "run" / "cli.py").chmod(0o600)
    old = os.umask(0o077)
    try:
        call(checkout, "x")
    finally:
        os.umask(old)
    for path in (checkout.parent / "state").rglob("*"):
        assert path.is_symlink() or path.stat().st_mode & (0o005 if path.is_dir() else 0o004), path


@pytest.mark.slow
def test_changed_sources_and_requirements_are_taken_up(checkout: Path) -> None:
    call(checkout, "x")
    state, cli = checkout.parent / "state", checkout / "src" / "pilvi" / "run" / "cli.py"
    first = (state / "env").resolve()
    (cli.parent / "gone.py").write_text("")
    call(checkout, "x")
    (cli.parent / "gone.py").unlink()
    cli.write_text("print('new')\n")
    assert call(checkout, "x")[0] == "new"
    assert (state / "env").resolve() == first and not list(first.rglob("gone.py"))

    (checkout / "requirements.lock").write_text("# nothing more\n")
    call(checkout, "x")
    second = (state / "env").resolve()
    assert first != second and first.exists(), "a running cloud may still load from it"
    (checkout / "requirements.lock").write_text("# nothing at all\n")
    call(checkout, "x")
    assert second.exists() and not first.exists()


@pytest.mark.slow
def test_an_interrupted_build_is_repaired(checkout: Path) -> None:
    call(checkout, "x")
    environment = (checkout.parent / "state" / "env").resolve()
    (environment / "pilvi-key").write_text("incomplete")
    shutil.rmtree(next(environment.glob("lib/*/site-packages/pilvi")))
    assert call(checkout, "x")[0].startswith("x|")


def test_an_interrupted_copy_is_repaired(checkout: Path) -> None:
    call(checkout, "x")
    environment = (checkout.parent / "state" / "env").resolve()
    site = next(environment.glob("lib/*/site-packages"))
    (environment / "pilvi-source").unlink()
    (site / "pilvi").rename(site / ".pilvi-old")
    assert call(checkout, "x")[0].startswith("x|")
    assert not list(site.glob(".pilvi*"))


def test_two_at_once_build_once(checkout: Path) -> None:
    both = [start(checkout, name) for name in ("one", "two")]
    said = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("Python packages: done" in err for _, err in said) == 1


def test_a_failed_installation_says_why_and_leaves_no_half(checkout: Path) -> None:
    (checkout / "requirements.lock").write_text("/nowhere/nothing-1.0.whl --hash=sha256:00\n")
    process = start(checkout, "x")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1 and "nothing-1.0.whl" in err and "launcher.log" in err
    assert not (checkout.parent / "state" / "env").exists()


@pytest.mark.parametrize(("arguments", "given", "state", "command"), [
    (["up"], "", None, "up"), (["--state", "/s", "up"], "", "/s", "up"), (["up", "--state=/s"], "/t", "/s", "up"),
    (["server", "show", "up"], "/t", "/t", "server"), (["--help"], "/t", "/t", ""), (["--state"], "", None, ""),
])
def test_the_state_folder_and_the_command(arguments: list[str], given: str, state: str | None, command: str,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PILVI_STATE", given)
    assert launcher.understand(arguments)[1] == command
    for euid, default in ((0, "/var/lib/pilvi"), (1000, "/home/me/.local/state/pilvi")):
        monkeypatch.setenv("HOME", "/home/me")
        monkeypatch.setattr(os, "geteuid", lambda euid=euid: euid)
        assert str(launcher.understand(arguments)[0]) == (state or default)


def test_without_root_a_real_cloud_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(launcher.steps.Trouble, match="--simulated") as refusal:
        launcher.main(["up"])
    assert refusal.value.status == 2


def test_a_state_folder_that_the_control_process_cannot_reach_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(launcher.steps.Trouble, match="chmod"):
        launcher.check_reachable(tmp_path / "state")


def test_root_uses_the_python_that_others_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/root/python3.13")
    for real, euid, expected in (("/usr/bin/python3.11", 0, "/usr/bin/python3.11"), ("/usr/bin/python3.9", 0, "/root/python3.13"),
                                 ("/usr/bin/python3.11", 1000, "/root/python3.13")):
        monkeypatch.setattr(os, "geteuid", lambda euid=euid: euid)
        monkeypatch.setattr(os.path, "realpath", lambda path, real=real: real)
        assert launcher.choose_python() == expected


def test_a_python_without_venv_is_told_apart(tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(launcher.steps.Trouble, match="apt-get install python3-venv"):
        launcher.build(tmp_path / "env", "key", str(python), ROOT / "requirements.lock", tmp_path / "log", 0)
    assert not (tmp_path / "env").exists()


@pytest.mark.slow
def test_the_locked_packages_install(tmp_path: Path) -> None:
    with launcher.steps.locked(tmp_path / "lock") as lock:
        launcher.build(tmp_path / "env", "key", sys.executable, ROOT / "requirements.lock", tmp_path / "log", lock)
    modules = "aiohttp, alembic, bcrypt, cryptography, jsonschema_rs, msgspec, nats, ovs, ovsdbapp, psycopg, qemu.qmp, sqlalchemy, yaml"
    subprocess.run([str(tmp_path / "env" / "bin" / "python"), "-I", "-c", f"import {modules}"], check=True)


def test_a_page_that_cannot_be_built_is_no_reason_to_stay_without_a_cloud(checkout: Path) -> None:
    (checkout / "src" / "pilvi" / "dashboard" / "ui").mkdir(parents=True)
    out, err = call(checkout, "up", "--simulated")
    assert out.startswith("up|--simulated|") and "goes without its dashboard" in err
    assert not list((checkout.parent / "state" / "share").iterdir()), "no rest of a build"
