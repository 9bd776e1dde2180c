"""The locks of the Python packages: complete, hashed, and without any host's name."""
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = FILE["project"]
RUNTIME: list[str] = PROJECT["dependencies"]
LOCKS = {"requirements.lock": RUNTIME, "requirements-dev.lock": RUNTIME + PROJECT["optional-dependencies"]["dev"],
         "requirements-ui.lock": FILE["dependency-groups"]["ui"]}


def canonical(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement)[0]).lower()


def entries(name: str) -> dict[str, str]:
    """{package: its lines} of a lock."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    return {canonical(line): line for line in text.splitlines() if line and not line.startswith("#")}


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_locked(name: str) -> None:
    assert {canonical(requirement) for requirement in LOCKS[name]} <= entries(name).keys()


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_has_one_version_and_a_hash(name: str) -> None:
    for line in entries(name).values():
        assert re.match(r"[a-z0-9-]+==\S+ ", line), line
        assert "--hash=sha256:" in line


@pytest.mark.parametrize("name", LOCKS)
def test_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text and "index-url" not in text


def test_development_uses_the_versions_of_production() -> None:
    development = entries("requirements-dev.lock")
    for package, line in entries("requirements.lock").items():
        assert development[package].split()[0] == line.split()[0]


def test_production_is_free_of_test_tools() -> None:
    tools = {"pytest", "hypothesis", "schemathesis", "oslo-policy", "python-openstackclient", "httpx"}
    assert entries("requirements.lock").keys().isdisjoint(tools)
