"""Consoles of this host's machines: a unix socket on which a ticket opens the screen or serial line of exactly one server."""
from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from pilvi.compute.drivers.interface import Hypervisor, HypervisorFailure
from pilvi.core.errors import Failure

LOG = structlog.get_logger()
PIECE = 65536
TICKET_BYTES = 200


class Consoles:
    """The door. `redeem(ticket)` asks the conductor: {"server_id", "kind"}; `driver_of(server_id)` finds the machine."""

    def __init__(self, path: Path, uid: int, redeem: Callable[[str], dict[str, Any]],
            driver_of: Callable[[str], Hypervisor | None]) -> None:
        self.path, self.uid, self.redeem, self.driver_of = path, uid, redeem, driver_of

    def start(self) -> None:
        """Listens; only the control process's user may connect."""
        self.path.unlink(missing_ok=True)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try: server.bind(str(self.path))
        finally: os.umask(before)
        if os.getuid() == 0: os.chown(self.path, self.uid, -1)
        server.listen(16)
        threading.Thread(target=self._accept, args=(server,), name="consoles", daemon=True).start()

    def _accept(self, server: socket.socket) -> None:
        while True:
            client, _ = server.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                client.settimeout(10)
                allowed = self.redeem(_line(client))
                client.settimeout(None)
                driver = self.driver_of(allowed["server_id"])
                if driver is None: return
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as machine:
                    machine.connect(driver.console_socket(allowed["server_id"], allowed["kind"]))
                    back = threading.Thread(target=_copy, args=(machine, client), daemon=True)
                    back.start()
                    _copy(client, machine)
                    back.join(5)
            except (OSError, Failure, HypervisorFailure, ValueError) as failure:
                LOG.info("console refused", reason=str(failure))


def _line(client: socket.socket) -> str:
    """The ticket: the first line, read byte by byte so that nothing behind it is lost."""
    read = b""
    while not read.endswith(b"\n"):
        piece = client.recv(1)
        if not piece or len(read) > TICKET_BYTES: raise ValueError("no ticket")
        read += piece
    return read.decode().strip()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(PIECE): target.sendall(data)
    except OSError: pass
    for end in (source, target):
        try: end.shutdown(socket.SHUT_RDWR)
        except OSError: pass
