"""`python -m pilvi.image.guest OUTDIR`: builds the guest image there; downloaded packages are kept in OUTDIR/packages."""
from __future__ import annotations

import sys
from pathlib import Path

from pilvi.image.guest.build import build
from pilvi.image.guest.errors import GuestBuildFailed


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 built, 1 not built, 2 called wrongly."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m pilvi.image.guest OUTDIR", file=sys.stderr)
        return 2
    out_dir = Path(arguments[0])
    try:
        build(out_dir, cache_dir=out_dir / "packages", progress=print)
    except GuestBuildFailed as failure:
        print(f"guest image: {failure}", file=sys.stderr)
        return 1
    return 0


sys.exit(main(sys.argv[1:]))
