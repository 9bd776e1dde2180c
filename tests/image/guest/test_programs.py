"""Running the host's programs: what a failure says."""
from __future__ import annotations

from pathlib import Path

import pytest

from pilvi.image.guest import programs
from pilvi.image.guest.errors import GuestBuildFailed
from pilvi.image.guest.programs import PACKAGE_OF_PROGRAM, require, run, run_script


def test_a_failure_carries_the_programs_own_words() -> None:
    with pytest.raises(GuestBuildFailed, match=r"sh -c .*: it is broken; badly"):
        run(["sh", "-c", "echo it is broken >&2; echo badly >&2; exit 3"])


def test_programs_speak_english_and_utc() -> None:
    assert run(["sh", "-c", "echo $LC_ALL $TZ $MORE"], variables={"MORE": "x"}) == "C UTC x\n"


def test_a_scripts_complaints_come_back_without_the_first_line(tmp_path: Path) -> None:
    # called like debugfs: the script's file is the second argument, after -f
    complaining = ["sh", "-c", 'echo version >&2; while read line; do echo "no $line" >&2; done < "$2"', "sh"]
    assert run_script(complaining, "such thing\n", folder=tmp_path, variables={}) == "no such thing"


def test_missing_programs_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    # the search path is the only way to a host without these programs
    monkeypatch.setattr(programs, "SEARCH_PATH", "/nonexistent")
    with pytest.raises(GuestBuildFailed) as failure:
        require()
    for package in set(PACKAGE_OF_PROGRAM.values()):
        assert package in str(failure.value)
