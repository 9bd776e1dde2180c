"""One host (or many simulated ones) as the agent's acts see it: drivers, images, APIs, and what servers are told about themselves."""
from __future__ import annotations

import json
import shutil
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from pilvi.compute.agent import config_drive
from pilvi.compute.agent.apis import Apis
from pilvi.compute.agent.images import Images
from pilvi.compute.drivers.interface import Hypervisor
from pilvi.core.errors import Failure

LOG = structlog.get_logger()


@dataclass
class Node:
    """What the acts work with. `open_metadata(network_id)` makes 169.254.169.254 answer on a network of this host, `close_metadata` ends
    it, `opened_metadata()` tells where it does."""
    drivers: dict[str, Hypervisor]
    apis: Apis
    images: Images
    directory: Path
    boots: threading.Semaphore
    """As many machines boot at once as the host has cores."""
    open_metadata: Callable[[str], None]
    close_metadata: Callable[[str], None]
    opened_metadata: Callable[[], set[str]]
    simulated: bool = False
    patience_seconds: float = 300.0
    port_up_seconds: float = 120.0
    grace_seconds: float = 30.0
    mutex: threading.Lock = field(default_factory=threading.Lock)

    def name_of_driver(self, host: str) -> str:
        """The driver's name, for traces."""
        return type(self.drivers[host]).__name__.lower()

    def server_directory(self, server_id: str) -> Path:
        """What the agent keeps of a server beside the driver's own files."""
        return self.directory / "servers" / server_id

    def write_metadata(self, server_id: str, facts: dict[str, Any]) -> None:
        """Keeps what the metadata service will tell; whole or not at all."""
        if self.simulated: return
        folder = self.server_directory(server_id)
        folder.mkdir(parents=True, exist_ok=True)
        data = {**facts, "user_data": b64encode(facts["user_data"]).decode() if facts.get("user_data") is not None else None}
        beside = folder / ".metadata.json"
        beside.write_text(json.dumps(data))
        beside.rename(folder / "metadata.json")

    def metadata(self) -> dict[tuple[str, str], dict[str, Any]]:
        """{(network id, address): facts} of the servers on this host."""
        found = {}
        for path in (self.directory / "servers").glob("*/metadata.json"):
            try: facts = json.loads(path.read_text())
            except (OSError, ValueError): continue
            if facts["user_data"] is not None: facts["user_data"] = b64decode(facts["user_data"])
            for network_id, address in facts["sources"]: found[network_id, address] = facts
        return found

    def serve_metadata(self, network_id: str) -> None:
        """169.254.169.254 answers on the network; after `write_metadata`, or `tidy_metadata` could close it again. May be repeated."""
        with self.mutex: self.open_metadata(network_id)

    def tidy_metadata(self) -> None:
        """It answers where servers of this host are, and nowhere else."""
        with self.mutex:
            wanted = {network_id for network_id, _ in self.metadata()}
            for network_id in wanted: self._try(self.open_metadata, network_id)
            for network_id in self.opened_metadata() - wanted: self._try(self.close_metadata, network_id)

    def _try(self, act: Callable[[str], None], network_id: str) -> None:
        """Tidying fails no task; it comes again."""
        try: act(network_id)
        except (OSError, RuntimeError, Failure) as failure: LOG.warning("metadata address", network=network_id, reason=str(failure))

    def write_config_drive(self, server_id: str, facts: dict[str, Any]) -> str | None:
        """The path of the server's config drive."""
        if self.simulated: return None
        path = self.server_directory(server_id) / "config-drive.iso"
        path.parent.mkdir(parents=True, exist_ok=True)
        config_drive.write(path, config_drive.files(facts))  # type: ignore[arg-type]
        return str(path)

    def forget(self, server_id: str) -> None:
        """Removes what the agent kept of a server."""
        shutil.rmtree(self.server_directory(server_id), ignore_errors=True)
