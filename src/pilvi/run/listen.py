"""Where the control process listens: the address that was asked for, and the external network's gateway, by which guests reach the APIs
(the wait conditions of their stacks, the object store)."""
from __future__ import annotations

import socket

from pilvi.run.settings import Settings

BACKLOG = 2048
IP_FREEBIND = 15
"""From linux/in.h; Python's socket module does not name it."""


def sockets(settings: Settings, ahead: int = 0) -> list[socket.socket]:
    """Listening sockets on the cloud's port plus `ahead`. Raises OSError when the port is taken."""
    host, _, port = settings.listen.rpartition(":")
    addresses = [host.strip("[]")]
    if settings.reaches_guests and host not in ("0.0.0.0", "[::]"): addresses.append(settings.external[1])
    return [_listening(address, int(port) + ahead) for address in addresses]


def _listening(address: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # The gateway's address appears only when the host agent has made its bridge.
    if made.family == socket.AF_INET: made.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
    try: made.bind((address, port))
    except OSError as failure:
        made.close()
        raise OSError(failure.errno, f"cannot listen on {address} port {port}: {failure.strerror}") from failure
    made.listen(BACKLOG)
    return made
