"""A service's manifest: what `SERVICE = Service(...)` in each service folder holds. Nothing is registered anywhere else."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pilvi.core.dialect import Dialect
from pilvi.core.events import Subscription
from pilvi.core.http import cors as browser
from pilvi.core.http.routes import Route
from pilvi.core.microversion import Microversions
from pilvi.core.policy import Rule

if TYPE_CHECKING:
    from pilvi.core.context import Call
    from pilvi.core.http.app import Application, Request
    from pilvi.core.resource import Resource
    from pilvi.core.task import Flow


@dataclass(frozen=True)
class Loop:
    """Something a service does again and again: `function(application)`, every so many seconds (with jitter), in one process at a time."""
    name: str
    seconds: float
    function: Callable[[Application], None]


@dataclass(frozen=True)
class Service:
    """One service. `types`: its names in the catalogue (the first is its own). `path`: what the catalogue adds to the mount point,
    `%(project_id)s` allowed. `optional_project`: the path prefix after which clients may put their project's id."""
    name: str
    types: tuple[str, ...]
    path: str
    dialect: Dialect
    versions: Callable[[Request], tuple[int, dict[str, Any]]]
    """The version document for `GET /`."""
    resources: Sequence[Resource] = ()
    routes: Sequence[Route] = ()
    microversions: Microversions | None = None
    rules: Mapping[str, Rule] = field(default_factory=dict)
    tables: Sequence[Any] = ()
    """Mapped classes that are no resource of their own."""
    flows: Sequence[Flow] = ()
    handlers: Mapping[str, Mapping[str, Callable[..., Any]]] = field(default_factory=dict)
    """Bus targets that a control process serves: {target: {method: function(application, args, message)}}."""
    loops: Sequence[Loop] = ()
    subscriptions: Sequence[Subscription] = ()
    """Events of the services below that it wants to hear."""
    config: type[Any] | None = None
    before: Callable[[Call, Route, Mapping[str, str]], None] | None = None
    """Called once it is known who asks, before the request's transaction, with the route and its parameters: to ask others first."""
    start: Callable[[Application], None] | None = None
    stop: Callable[[Application], None] | None = None
    optional_project: str | None = None
    request_prefix: str = "req-"
    headers: Mapping[str, str] = field(default_factory=dict)
    door: Callable[[Application], Any] | None = None
    """Makes an ASGI application that answers instead of the routes: for a service that streams, whose clients want the root of an address.
    It listens on the port after the cloud's, and under the service's mount point."""
    cors: browser.Headers | None = browser.USUAL
    """What pages from elsewhere may send and read; None: it is for its own page only, or looks after them by itself."""
    catalogued: bool = True
    """Is it in identity's catalogue?"""

    @property
    def mount(self) -> str:
        return "/" + self.types[0]
