"""A node of the object store as a process of its own: devices, their door for the other nodes, and the loops over them."""
from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from pilvi.core import logs
from pilvi.objectstore.cluster import administer
from pilvi.objectstore.cluster.open import open_store
from pilvi.objectstore.loops.run import Loops
from pilvi.run.process import End, ready


def main(directory: Path) -> None:
    """Runs until SIGTERM. Raises OSError when its address is taken."""
    end = End.expect()
    logs.configure("info")
    me = administer.known(directory)
    store = open_store(directory, me.storage, own=me.name)
    loops = Loops(store, me.storage, directory).start()
    ready()
    end.wait()
    loops.stop()
    asyncio.run(store.close())


if __name__ == "__main__": main(Path(sys.argv[1]))
