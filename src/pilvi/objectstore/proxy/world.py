"""What the end of the chain and the middleware work with."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pilvi.core.http.app import Application
from pilvi.objectstore.config import Config
from pilvi.objectstore.node.interface import Store
from pilvi.objectstore.proxy.facts import Facts
from pilvi.objectstore.proxy.traffic import Traffic


@dataclass
class World:
    """One proxy's surroundings."""
    store: Store
    config: Config
    application: Application
    traffic: Traffic
    facts: Facts = field(init=False)
    info: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What `GET /info` tells, filled by each middleware as the chain is made."""

    def __post_init__(self) -> None:
        self.facts = Facts(self.store)
