"""Files that are whole at every moment, whoever reads them and whatever ends their writer."""
from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Puts a new file in the place of the old one; may be repeated."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    os.replace(fresh, path)
