"""The configuration file: what it may say, and how a mistake is told."""
from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import Struct

from pilvi.core.config import ConfigInvalid, read


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    """Of the toy service."""
    seconds: float = 5.0
    name: str = "toy"


def test_what_is_not_said_is_the_default(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    assert read(path, {"toy": Options}) == {"toy": Options()}
    path.write_text("[toy]\nseconds = 7\n")
    assert read(path, {"toy": Options, "other": Options}) == {"toy": Options(seconds=7.0), "other": Options()}


@pytest.mark.parametrize(("text", "told"), [("[toy", "config.toml"), ("[tyo]\n", "tyo"), ("[toy]\nsecond = 1\n", "second"),
                                            ("[toy]\nseconds = 'x'\n", "seconds"), ("toy = 1\n", "object")])
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ConfigInvalid, match=told): read(path, {"toy": Options})
