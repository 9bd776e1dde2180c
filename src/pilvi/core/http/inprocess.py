"""Calling a service in the same process: the application's `handle`, on the caller's thread, with the same bytes as over a socket."""
from __future__ import annotations

from pilvi.core import trace
from pilvi.core.http.app import Application, Request
from pilvi.core.http.client import Message, Reply


class InProcess:
    """A way to an application object."""
    name = "in-process"

    def __init__(self, application: Application, base: str) -> None:
        self.application, self.base = application, base

    def send(self, message: Message) -> Reply:
        """Never raises; failures are replies."""
        path, _, query = message.path.partition("?")
        assert isinstance(message.body, bytes)
        request = Request(message.method, path, query, message.headers, message.body, self.base, self.name)
        with trace.active(None): response = self.application.handle(request)
        return Reply(response.status, {k.lower(): str(v) for k, v in response.headers.items()}, response.payload())
