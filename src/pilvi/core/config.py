"""Configuration: one TOML file with a table per service, read into each service's dataclass-like Struct; unknown keys are refused.

    [compute]
    boot_seconds = 600
"""
from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec


class ConfigInvalid(Exception):
    """The configuration file holds something that no option takes."""


def read(path: Path, shapes: dict[str, type[Any]]) -> dict[str, Any]:
    """{table: its options}, defaults where the file or the table is absent. Raises ConfigInvalid with the place."""
    try: given = tomllib.loads(path.read_text()) if path.exists() else {}
    except tomllib.TOMLDecodeError as failure: raise ConfigInvalid(f"{path}: {failure}") from None
    if unknown := set(given) - set(shapes): raise ConfigInvalid(f"{path}: unknown tables {', '.join(sorted(unknown))}")
    try: return {name: msgspec.convert(given.get(name, {}), shape) for name, shape in shapes.items()}
    except msgspec.ValidationError as failure: raise ConfigInvalid(f"{path}: {failure}") from None
