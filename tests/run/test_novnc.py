"""noVNC is fetched once, and its absence is said, not fatal. apt-get is a script here."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pilvi.run import novnc

APT = """#!/bin/sh
echo "$*" >> {log}
case "$*" in *update*) touch {lists};; *) [ -e {lists} ] || {{ echo "E: Unable to locate package novnc" >&2; exit 100; }}
cp {package} .;; esac
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of an apt-get that knows the package once its lists are there."""
    tree = tmp_path / "tree"
    (tree / "usr/share/novnc").mkdir(parents=True)
    (tree / "usr/share/novnc/vnc_lite.html").write_text("page")
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text("Package: novnc\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n")
    subprocess.run(["dpkg-deb", "--build", tree, tmp_path / "novnc_1_all.deb"], check=True, capture_output=True)
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin/apt-get"
    script.write_text(APT.format(log=tmp_path / "log", lists=tmp_path / "lists", package=tmp_path / "novnc_1_all.deb"))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path / "log"


def test_fetched_once(apt: Path, tmp_path: Path) -> None:
    said: list[str] = []
    novnc.fetch(tmp_path / "state", said.append)
    assert (novnc.folder(tmp_path / "state") / "vnc_lite.html").read_text() == "page"
    assert "update" in apt.read_text(), "without lists they are brought first"
    before = apt.read_text()
    novnc.fetch(tmp_path / "state", said.append)
    assert apt.read_text() == before and len(said) == 1
    assert [path.name for path in (tmp_path / "state/share").iterdir()] == ["novnc"]


def test_no_package(apt: Path, tmp_path: Path) -> None:
    (tmp_path / "novnc_1_all.deb").unlink()
    said: list[str] = []
    novnc.fetch(tmp_path / "state", said.append)
    assert not novnc.folder(tmp_path / "state").exists() and "no consoles in the browser" in said[0]


def test_no_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []
    novnc.fetch(tmp_path / "state", said.append)
    assert "no apt-get" in said[0]
