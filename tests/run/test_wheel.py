"""A wheel is all that a cloud needs, the dashboard's built page included."""
from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UI = "pilvi/dashboard/ui/"


def test_a_wheel_carries_the_page_built_and_not_its_sources(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path], cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel: names = set(wheel.namelist())
    assert {UI + "dist/index.html", UI + "dist/pilvi-key"} <= names
    assert {name for name in names if name.startswith(UI) and not name.startswith(UI + "dist/")} == set()
    ours = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src/pilvi").rglob("*.py")}
    assert ours <= names
