"""A cloud's choices, and the names and places that follow from them."""
from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from pilvi.run import settings
from pilvi.run.settings import UID_BASE, Settings


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    made = Settings(state=str(tmp_path), listen="127.0.0.1:9", simulated=True, hosts=7, seed=3, latencies={"create": 0.5})
    settings.save(made)
    assert settings.load(tmp_path) == made
    assert [path.name for path in tmp_path.iterdir()] == ["cloud.json"], "nothing half-written stays"


def test_no_cloud(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError): settings.load(tmp_path)


def test_two_clouds_share_no_name(tmp_path: Path) -> None:
    one, two = (Settings(state=str(tmp_path / name)) for name in ("one", "two"))
    for facts in (lambda s: s.tag, lambda s: s.cloud_id, lambda s: s.control_uid, lambda s: s.external):
        assert facts(one) != facts(two)
    assert one.tag == Settings(state=str(tmp_path / "x" / ".." / "one")).tag, "the same folder by another path is the same cloud"
    assert UID_BASE <= one.control_uid < 2**31 and replace(one, unprivileged=False).control_uid == os.getuid()


@pytest.mark.parametrize(("given", "expected"), [
    ("192.0.2.0/24", ("192.0.2.0/24", "192.0.2.1")), ("10.9.8.128/25", ("10.9.8.128/25", "10.9.8.1"))])
def test_external_network_may_be_given(given: str, expected: tuple[str, str]) -> None:
    assert Settings(state="/x", external_cidr=given).external == expected


def test_folders_are_shut(tmp_path: Path) -> None:
    made = Settings(state=str(tmp_path / "cloud"), unprivileged=False)
    settings.prepare(made)
    settings.prepare(made)
    closed = {path.name for path in made.control_directory.iterdir() if path.stat().st_mode & 0o077 == 0}
    assert closed == {"db", "keys", "images", "ovn"}
    assert made.control_directory.stat().st_mode & 0o077 == 0 and made.bus_path.parent.stat().st_mode & 0o777 == 0o711
