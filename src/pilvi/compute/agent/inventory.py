"""What a host offers, as it is told to the conductor."""
from __future__ import annotations

from typing import Any

import msgspec

from pilvi.compute.drivers.interface import Capabilities


def report(offers: Capabilities) -> dict[str, Any]:
    """The driver's capabilities as a message."""
    found = msgspec.to_builtins(offers)
    assert isinstance(found, dict)
    return found
