#!/usr/bin/env python3
"""Writes docs/states/*.md from the state tables, so that the drawings can't differ from the code. `--check` changes nothing and tells.

Needs Pilvi's environment: `.venv/bin/python tools/write_docs.py`.
"""
from __future__ import annotations

import sys
from pathlib import Path

from pilvi.compute.server.states import SERVER
from pilvi.core.state import Machine
from pilvi.image.image.states import IMAGE
from pilvi.telemetry.alarm.states import MACHINE as ALARM
from pilvi.volume.snapshot.states import SNAPSHOT
from pilvi.volume.volume.states import VOLUME

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "states"
MACHINES: dict[str, Machine] = {"server": SERVER, "volume": VOLUME, "snapshot": SNAPSHOT, "image": IMAGE, "alarm": ALARM}


def page(name: str, machine: Machine) -> str:
    """The document of one thing's life."""
    rows = [f"| {verb.name} | {', '.join(sorted(verb.start))} | {verb.busy} | {verb.end or 'as before'} | {verb.fail or 'as before'} |"
            for verb in machine.verbs.values()]
    table = "\n".join(["| verb | may start in | meanwhile | ends in | if it fails |", "|---|---|---|---|---|", *rows])
    return f"# The life of a {name}\n\nWritten by tools/write_docs.py.\n\n```mermaid\n{machine.diagram()}\n```\n\n{table}\n"


def main() -> int:
    """Writes what differs; with --check only names it, exit status 1."""
    stale = [name for name, machine in MACHINES.items()
             if not (path := FOLDER / f"{name}.md").exists() or path.read_text() != page(name, machine)]
    if "--check" in sys.argv:
        if stale: print(f"not current: {', '.join(stale)}; run tools/write_docs.py")
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in stale: (FOLDER / f"{name}.md").write_text(page(name, MACHINES[name]))
    print(f"written: {', '.join(stale) or 'nothing'}")
    return 0


if __name__ == "__main__": sys.exit(main())
