"""Messages between processes: call, cast, fanout. They carry hints; the truth is in the database."""
from collections.abc import Callable

from pilvi.core.bus.interface import Bus
from pilvi.core.drivers import Drivers

BROKERS = Drivers[Callable[..., Bus]]({"nats": "pilvi.core.bus.nats:NatsBus"})
"""By the scheme of their address; made with ([address], name=…). One machine needs none (unix_socket.py)."""
