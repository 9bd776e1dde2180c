"""The drill of benchmarks/object_drill.py, small: every failure once, nothing lost; `python -m benchmarks.object_drill` is all of it."""
from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from benchmarks import object_drill


@pytest.mark.slow
def test_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(object_drill.__file__).parents[1] / "src"))
    monkeypatch.setattr(object_drill, "FLIPS", 20)
    assert asyncio.run(object_drill.main(150, 1.0, tmp_path)) == 0
    told = capfd.readouterr().out
    assert "LOST 0" in told and told.count("whole after") == 8
