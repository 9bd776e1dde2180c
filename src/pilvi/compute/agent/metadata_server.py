"""169.254.169.254 on this host: one small HTTP server per network with servers here, listening inside that network's namespace.

Who asks is told by the network (the namespace) and the source address; the switch lets no port send from another's address or MAC.
"""
from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog

from pilvi.compute import metadata

LOG = structlog.get_logger()
CLONE_NEWNET = 0x40000000
ADDRESS = ("169.254.169.254", 80)
Facts = Callable[[str, str], dict[str, Any] | None]
"""(network id, source address) → what that server is told"""


def listen(namespace: str) -> socket.socket:
    """A listening socket inside a network namespace. A thread of its own enters the namespace; the socket stays in it. Raises OSError."""
    made: list[socket.socket | OSError] = []

    def enter() -> None:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            descriptor = os.open(namespace, os.O_RDONLY)
            try:
                if libc.setns(descriptor, CLONE_NEWNET): raise OSError(ctypes.get_errno(), "setns")
            finally: os.close(descriptor)
            server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(ADDRESS)
            server.listen(64)
            made.append(server)
        except OSError as failure: made.append(failure)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError): raise made[0]
    return made[0]


class Servers:
    """The metadata servers of this host, by network."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.running: dict[str, tuple[str, ThreadingHTTPServer]] = {}
        self.lock = threading.Lock()

    def serve(self, network_id: str, namespace: str) -> None:
        """Begins to answer on a network. May be repeated; a namespace that was made anew gets a new server."""
        identity = f"{namespace}:{os.stat(namespace).st_ino}"
        with self.lock:
            known = self.running.get(network_id)
            if known and known[0] == identity: return
            if known: self._end(known[1])
            server = _Server(network_id, self.facts, listen(namespace))
            threading.Thread(target=server.serve_forever, name=f"metadata-{network_id[:8]}", daemon=True).start()
            self.running[network_id] = (identity, server)

    def drop(self, network_id: str) -> None:
        """Ends the answering on a network."""
        with self.lock:
            known = self.running.pop(network_id, None)
            if known: self._end(known[1])

    def _end(self, server: ThreadingHTTPServer) -> None:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, network_id: str, facts: Facts, listening: socket.socket) -> None:
        super().__init__(ADDRESS, _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.network_id, self.facts = network_id, facts


class _Handler(BaseHTTPRequestHandler):
    """GET only; everything a server may read about itself."""
    timeout = 20

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        facts = server.facts(server.network_id, self.client_address[0])
        status, kind, body = metadata.answer(self.path, facts) if facts is not None else (404, metadata.TEXT, b"")  # type: ignore[arg-type]
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        LOG.debug("metadata", line=format % args)
