"""The dashboard's page: found by its sources, put in place whole, never half."""
from pathlib import Path

import pytest

from pilvi.run import steps, ui


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "ui"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "main.ts").write_text("1")
    (folder / "package.json").write_text("{}")
    return folder


def built(source: Path, text: str) -> None:
    """What a build leaves beside its sources."""
    (source / "dist").mkdir(exist_ok=True)
    (source / "dist" / "index.html").write_text(text)
    (source / "dist" / ui.KEY_FILE).write_text(ui.key_of(source))


def prepare(state: Path, source: Path) -> None:
    ui.prepare(state, Path("/nowhere/python"), source, state / "none.lock", state / "log", 2)


def test_the_key_follows_the_sources_only(source: Path) -> None:
    before = ui.key_of(source)
    built(source, "page")
    (source / "node_modules").mkdir()
    (source / "node_modules" / "x.js").write_text("x")
    assert ui.key_of(source) == before
    (source / "src" / "main.ts").write_text("2")
    assert ui.key_of(source) != before
    assert not ui.is_built(source / "dist", source)


def test_a_built_page_is_taken_and_an_older_one_given_up(source: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    built(source, "one")
    prepare(state, source)
    found = ui.folder(state)
    assert found and (found / "index.html").read_text() == "one" and ui.is_built(state / "share" / "dashboard", source)
    (source / "src" / "main.ts").write_text("2")
    built(source, "two")
    prepare(state, source)
    assert (state / "share" / "dashboard" / "index.html").read_text() == "two"
    assert len(list((state / "share").glob("dashboard-*"))) == 1


def test_what_cannot_be_built_says_why_and_leaves_the_old_one(source: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    built(source, "one")
    prepare(state, source)
    (source / "src" / "main.ts").write_text("2")
    with pytest.raises((steps.Trouble, OSError)): prepare(state, source)
    assert (state / "share" / "dashboard" / "index.html").read_text() == "one"
    assert sorted(path.name.split("-")[0] for path in (state / "share").iterdir()) == ["dashboard", "dashboard"], "no rest of a build"


def test_the_page_of_this_checkout_has_no_faults() -> None:
    faults = ui.SOURCE / "dist" / ui.FAULTS_FILE
    if not faults.exists() or not ui.is_built(ui.SOURCE / "dist", ui.SOURCE): pytest.skip("`./pilvi test` builds the page and checks it")
    assert faults.read_text() == ""
