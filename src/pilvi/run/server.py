"""The control process: all APIs, the scheduler, the conductor and their loops, on one address, without privileges."""
from __future__ import annotations

import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from cryptography.fernet import Fernet

from pilvi.compute.resources.console import serve_socket
from pilvi.compute.service import SERVICE as COMPUTE
from pilvi.core import config, events, logs
from pilvi.core.bus import BROKERS
from pilvi.core.bus.interface import Bus
from pilvi.core.bus.unix_socket import UnixSocketHub
from pilvi.core.context import Call
from pilvi.core.crypto import secret_file
from pilvi.core.db.migrate import migrate
from pilvi.core.db.session import Database
from pilvi.core.http import auth, client, cors, fetch, trust
from pilvi.core.http.app import Application, Response, from_scope, send_response
from pilvi.core.http.inprocess import InProcess
from pilvi.core.http.protocol import BoundedHttp
from pilvi.core.reconcile import Repeat
from pilvi.core.service import Service
from pilvi.core.wire import Base
from pilvi.dashboard import single_sign_on
from pilvi.dashboard.service import SERVICE as DASHBOARD
from pilvi.identity import client as identity
from pilvi.identity.service import SERVICE as IDENTITY
from pilvi.image.service import SERVICE as IMAGE
from pilvi.network.drivers import BACKENDS
from pilvi.network.service import SERVICE as NETWORK
from pilvi.objectstore.service import SERVICE as OBJECTSTORE
from pilvi.orchestration.service import SERVICE as ORCHESTRATION
from pilvi.placement.service import SERVICE as PLACEMENT
from pilvi.run import crash, listen, novnc, tls, ui
from pilvi.run.bootstrap import bootstrap, passwords
from pilvi.run.process import ready
from pilvi.run.settings import Settings, load
from pilvi.telemetry.service import SERVICE as TELEMETRY
from pilvi.volume.service import SERVICE as VOLUME

LOG = structlog.get_logger()
SERVICES: Sequence[Service] = (IDENTITY, OBJECTSTORE, IMAGE, PLACEMENT, NETWORK, VOLUME, COMPUTE, TELEMETRY, ORCHESTRATION,
                               DASHBOARD)
"""In the order in which they may call each other: each only those before it."""


KEEP_ALIVE_SECONDS = 75
"""Longer than clients pause between two looks: heatclient's five seconds met uvicorn's own five, and one in some met a closed door."""
LISTENERS = [heard for one in SERVICES if (heard := events.listener_of(one.name, one.subscriptions))]


class Control:
    """All services in one process. `services` may be a part of them: then the others are reached at their catalogue address."""

    def __init__(self, settings: Settings, services: Sequence[Service] = SERVICES) -> None:
        self.settings = settings
        trust.believe(settings.authority_path)
        self.bus = bus_of(settings)
        shapes: dict[str, type[Any]] = {s.name: s.config for s in SERVICES if s.config}
        self.options = config.read(settings.directory / "config.toml", {**shapes, "fetch": fetch.Config, "cors": cors.Config})
        fetch.configure(self.options["fetch"])
        cors.configure(self.options["cors"])
        self.keys = settings.control_directory / "keys"
        self.applications: dict[str, Application] = {}
        self.loops: list[Repeat] = []
        self.leaving: list[Callable[[], object]] = []
        """Called on the event loop when the process is about to end, by those who hold connections open."""
        self.publishers: list[events.Publisher] = []
        for service in services: self.applications[service.name] = self._application(service)

    def _application(self, service: Service) -> Application:
        settings = self.settings
        url = settings.database_url or f"sqlite:///{settings.control_directory}/db/{service.name}.sqlite"
        database = Database(url)
        migrate(database, service.name, [Base.metadata.tables[t.__tablename__]
            for t in (*(r.table for r in service.resources), *service.tables)] + [events.outbox_table(service.name)])
        database.outbox = events.Outbox(service.name, LISTENERS)
        policy = settings.directory / "policy" / f"{service.name}.yaml"
        grant_key = secret_file(self.keys / "grants").encode()
        application = Application(service, database=database, bus=self.bus, config=self.options.get(service.name), region=settings.region,
                                  policy_file=policy, grant_key=grant_key, identity_url=settings.url + "/identity")
        way = client.Socket(settings.door_url) if service.door else InProcess(application, settings.url + service.mount)
        client.connect(service.name, way)
        if service.door: return application
        for base in dict.fromkeys((settings.url, settings.guest_url)):
            for kind in service.types: fetch.own(f"{base}/{kind}", InProcess(application, f"{base}/{kind}"))
        return application

    def start(self) -> None:
        """Makes the services ready, lowest first, and begins to listen on the bus."""
        settings = self.settings
        auth.validate_with(identity.validate)
        bootstrap(self.applications["identity"].database, settings, SERVICES)
        tokens = identity.Tokens("pilvi-control", passwords(settings)["pilvi-control"], "service")
        backend = BACKENDS["simulated" if settings.simulated else "ovn"](  # type: ignore[call-arg]
            settings.run_directory / "control" / "ovn", cloud_id=settings.cloud_id, listen=settings.network_listen or None)
        injected: dict[str, Any] = {
            "node": f"control-{socket.gethostname()}-{settings.tag}",
            "master_key": secret_file(self.keys / "master", lambda: Fernet.generate_key().decode()),
            "service_call": lambda: _service_call(tokens),
            "service_tokens": tokens,
            "network_backend": backend,
            "image_directory": settings.control_directory / "images",
            "object_directory": settings.control_directory / "objects",
            "federation_directory": settings.directory / "federation",
            "dashboard_receiver": settings.url + DASHBOARD.mount + single_sign_on.PATH,
            "novnc": novnc.folder(settings.directory),
            "dashboard_files": ui.folder(settings.directory),
            "console_socket": settings.run_directory / "console.sock",
            "cloud": self,
            "leaving": self.leaving,
            "settings": settings}
        self.bus.start()
        for application in self.applications.values():
            application.state |= injected
            if application.service.start: application.service.start(application)
            for target, handlers in application.service.handlers.items():
                self.bus.serve(target, {name: _handler(function, application) for name, function in handlers.items()}, threads=4)
            if application.service.subscriptions:
                self.bus.serve(f"events.{application.service.name}", {"deliver": _hearing(application)}, threads=1)
            self.publishers.append(events.Publisher(application.database, application.database.outbox, self.bus).start())
            self.loops += [Repeat(loop.name, loop.seconds, partial(loop.function, application)).start()
                for loop in application.service.loops]

    def stop(self) -> None:
        """Ends the loops, the workers and the bus; nothing is lost, since tasks are rows."""
        for loop in self.loops: loop.stop()
        for publisher in self.publishers: publisher.stop()
        for application in reversed(self.applications.values()):
            if application.service.stop: application.service.stop(application)
        self.bus.close()
        for application in self.applications.values():
            application.close()
            application.database.close()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application: the first segment of the path names the service."""
        if scope["type"] == "lifespan": return
        first = scope["path"].lstrip("/").partition("/")[0]
        application = self.by_mount.get("/" + first)
        if application is not None and application.service.door and scope["type"] == "http":
            await self.doors[application.service.name]({**scope, "root_path": "/" + first}, receive, send)
        elif scope["type"] == "websocket":
            await serve_socket(self.applications["compute"], scope, receive, send)
        elif application is not None:
            await application({**scope, "root_path": "/" + first}, receive, send)
        else:
            await self._root(scope, send)

    @cached_property
    def doors(self) -> dict[str, Any]:
        """{service: ASGI application} of those that answer at the root of an address of their own."""
        return {name: application.service.door(application) for name, application in self.applications.items() if application.service.door}

    @cached_property
    def by_mount(self) -> dict[str, Application]:
        """{mount point: application}; a service answers under each of its catalogue types."""
        return {f"/{kind}": application for application in self.applications.values() for kind in application.service.types}

    async def _root(self, scope: Any, send: Any) -> None:
        request = from_scope(scope)
        if not request.path.strip("/") and "dashboard" in self.applications and "text/html" in request.headers.get("accept", ""):
            await send_response(Response(303, None, {"Location": request.base + "/dashboard/"}), send, head=False,
                                threads=self.applications["identity"].threads)
            return
        known = {"": {"pilvi": "0.1.0", "services": {a.service.name: request.base + a.service.mount for a in self.applications.values()}},
                 "healthcheck": self._health()}
        body = known.get(request.path.strip("/"))
        response = Response(200, body) if body is not None else Response(404, {"error": {"code": 404, "title": "Not Found", "message":
                            f"There is nothing at {request.path}; the services are at {', '.join(sorted(self.by_mount))}."}})
        await send_response(response, send, head=scope["method"] == "HEAD", threads=self.applications["identity"].threads)

    def _health(self) -> dict[str, Any]:
        backend = self.applications["network"].state.get("network_backend")
        problems = {"bus": self.bus.health(), "network": backend.health() if backend else None}
        return {"healthy": not any(problems.values()), "problems": {name: text for name, text in problems.items() if text}}


def _service_call(tokens: identity.Tokens) -> Call:
    """A call of the cloud's own, with the control process's service user."""
    return Call(token=tokens.current()[0])


def _handler(function: Callable[..., Any], application: Application) -> Callable[[dict[str, Any], Any], Any]:
    return lambda args, message: function(application, args, message)


def _hearing(application: Application) -> Callable[[dict[str, Any], Any], Any]:
    return lambda args, message: events.deliver(application, args["events"])


def bus_of(settings: Settings) -> Bus:
    """The hub that agents connect to, or the broker."""
    if settings.bus_url: return BROKERS["nats"]([settings.bus_url], name=f"control-{os.getpid()}", tls=trust.context())
    return UnixSocketHub(settings.bus_path, allowed_uids={0, os.getuid()})


def main(directory: Path) -> None:
    """Runs until SIGTERM."""
    logs.configure(os.environ.get("PILVI_LOG", "info"))
    settings = load(directory)
    crash.arm(settings, "control")
    random.seed(settings.seed if settings.simulated else None)
    doors, own = listen.sockets(settings), listen.sockets(settings, 1)  # first: whoever finds its port taken has changed nothing
    control = Control(settings)
    door = tls.Door(settings) if settings.tls else None
    control.start()
    if door: control.loops.append(Repeat("look at the certificate", tls.WATCH_SECONDS, door.look).start())
    server = _Server(_serving(control, door))
    server.beside = [(uvicorn.Server(_serving(root, door)), own) for root in control.doors.values()]
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it once more after its own end; ours is still to come
    server.run(doors)
    control.stop()


def _serving(application: Any, door: tls.Door | None) -> uvicorn.Config:
    return uvicorn.Config(application, log_config=None, access_log=False, lifespan="off", loop="uvloop", http=BoundedHttp,
                          ws="websockets-sansio", proxy_headers=False, timeout_graceful_shutdown=5, server_header=False,
                          timeout_keep_alive=KEEP_ALIVE_SECONDS, h11_max_incomplete_event_size=65536,
                          ssl_context_factory=(lambda config, usual: door.context) if door else None)


class _Server(uvicorn.Server):
    """Says READY once it listens; so do, with it, those `beside` it on their own sockets."""

    beside: Sequence[tuple[uvicorn.Server, list[socket.socket]]] = ()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        for other, own in self.beside:
            other.config.load()
            other.lifespan = other.config.lifespan_class(other.config)
            await other.startup(own)
        ready()

    async def on_tick(self, counter: int) -> bool:
        for other, _ in self.beside: await other.on_tick(counter)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: Any = None) -> None:
        for leave in self.config.app.leaving: leave()  # type: ignore[union-attr]
        for other, own in self.beside: await other.shutdown(own)
        await super().shutdown(sockets)


if __name__ == "__main__": main(Path(sys.argv[1]))
