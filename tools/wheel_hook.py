"""Builds the dashboard's page before a wheel is packed: one from `pip wheel --no-deps .` (or `uv build --wheel`) carries it."""
from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Page(BuildHookInterface[Any]):
    """The hook; hatchling finds it by its only class."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """An editable one looks into the sources, where the launcher and the tests build the page."""
        root = Path(self.root)
        sys.path.insert(0, str(root / "src"))
        from pilvi.run import ui  # the package itself is not installed where wheels are built

        source = root / "src/pilvi/dashboard/ui"
        if version == "editable" or ui.is_built(source / "dist", source): return
        with tempfile.NamedTemporaryFile() as log:
            ui.build(source, source / "dist", Path(sys.executable), root / "requirements-ui.lock", Path(log.name), log.fileno())
