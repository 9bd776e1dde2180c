"""All flows of a server's life, by name."""
from __future__ import annotations

from pilvi.compute.server.attach import ATTACH
from pilvi.compute.server.boot import BOOT
from pilvi.compute.server.delete import DELETE
from pilvi.compute.server.image import CREATE_IMAGE
from pilvi.compute.server.power import POWER
from pilvi.compute.server.rebuild import REBUILD
from pilvi.compute.server.resize import RESIZE

FLOWS = {flow.name: flow for flow in (BOOT, DELETE, *POWER, *RESIZE, *ATTACH, CREATE_IMAGE, *REBUILD)}
