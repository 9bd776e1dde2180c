"""Prometheus: it writes here (remote write), and it reads here (the newest values, in its text format).

Source: Gnocchi REST API, "Prometheus"; Prometheus, "Exposition formats", "Remote-Write 1.0"; names and labels of Ceilometer's exporter.
A scraper has no token that lasts: it may come with a bearer token, or with USER@PROJECT and a password (basic_auth).
"""
from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import math
import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import select

from pilvi.core.context import Call
from pilvi.core.errors import Unauthenticated
from pilvi.core.http import limits
from pilvi.core.http.app import Response, read_body
from pilvi.core.http.routes import ANYONE, Route
from pilvi.identity.client import Tokens
from pilvi.telemetry import errors, wire
from pilvi.telemetry.drivers import sql
from pilvi.telemetry.resources import access, archive_policy, metric, resource
from pilvi.telemetry.resources.tables import Metric, MetricResource

TEXT = "text/plain; version=0.0.4; charset=utf-8"
MOST_SCRAPERS = 100
GROWING = re.compile(r"^cpu$|^network\.(incoming|outgoing)\.|^disk\.device\.(read|write)\.")
"""Meters that count up."""


async def write(call: Call, receive: Any, send: Any) -> Response:
    """POST /v1/prometheus/write: each job's instance is a resource `job@instance`, each name a metric. (Streamed: it is no JSON.)"""
    assert call.application is not None
    body = await read_body(receive, limits.BODY_BYTES)
    return await asyncio.get_running_loop().run_in_executor(call.application.threads, _write, call, body)


def _write(call: Call, body: bytes) -> Response:
    assert call.application is not None
    found = wire.series(wire.unpacked(body))
    with call.application.database.write() as call.db:
        batch: dict[int, list[tuple[float, float]]] = {}
        for labels, samples in found:
            name = labels.get("__name__", "").replace("/", "_")[:255]
            finite = [(at, value) for at, value in samples if math.isfinite(value) and at >= 0]
            if name: batch.setdefault(_metric(call, labels, name).number, []).extend(finite)
        sql.write(call.db, batch)
    call.db = None
    return Response(202)


def _metric(call: Call, labels: dict[str, str], name: str) -> Metric:
    assert call.db is not None
    job, instance = labels.get("job") or "none", labels.get("instance") or "none"
    original = f"{job}@{instance}".replace("/", "_")[:access.LONGEST_NAME]
    id = access.resource_id(original, access.creator(call))
    row = call.db.get(MetricResource, id)
    if row is None:
        values = {"project_id": call.project_id, "user_id": call.user_id, "attributes": {"job": job[:512], "instance": instance[:512]}}
        row = resource.make(call.db, "prometheus", id, original, access.creator(call), values)
    if row.type != "prometheus": raise errors.ResourceExists(id=id)
    access.permit(call, "update resource", row.creator, row.project_id)
    known = call.db.scalar(select(Metric).where(Metric.resource_id == id, Metric.name == name))
    if known is not None: return known
    policy = archive_policy.policy_for(call.db, name)
    if policy is None: raise errors.Malformed(reason=f"No archive policy rule found matching the metric name {name}")
    made = metric.make(call.db, access.creator(call), policy, name, None, id)
    call.db.flush()
    return made


def scrape(call: Call) -> Response:
    """GET /v1/prometheus/metrics: the newest value of every metric of what exists for the caller and has not ended"""
    assert call.application is not None
    if not call.user_id: _sign_in(call)
    with call.application.database.read() as call.db: body = "".join(_lines(call)).encode()
    call.db = None
    return Response(200, body, media_type=TEXT)


def _lines(call: Call) -> Iterator[str]:
    assert call.db is not None
    columns = (Metric.name, Metric.unit, Metric.newest_at, Metric.newest, MetricResource.original_resource_id, MetricResource.type,
               MetricResource.project_id, MetricResource.user_id, MetricResource.attributes)
    rows = call.db.execute(select(*columns).join(MetricResource, MetricResource.id == Metric.resource_id).where(
        *access.seen(call, MetricResource), MetricResource.ended_at.is_(None), Metric.newest.is_not(None), Metric.name.is_not(None))
        .order_by(Metric.name))
    before = ""
    for name, unit, at, value, id, kind, project, user, attributes in rows:
        shown = "ceilometer_" + "".join(c if c.isalnum() and c.isascii() else "_" for c in name or "")
        if shown != before: yield f"# TYPE {shown} {'counter' if GROWING.search(name) else 'gauge'}\n"
        before = shown
        labels = {"resource": id, "type": kind, "counter": name, "project": project, "user": user, "unit": unit,
                  "resource_name": attributes.get("display_name") or attributes.get("name"), "vm_instance": attributes.get("instance_id"),
                  "server_group": attributes.get("server_group"), "host": attributes.get("host")}
        told = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items() if text)
        yield f"{shown}{{{told}}} {value!r} {int(at * 1000)}\n"


def _escaped(text: Any) -> str:
    return str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _sign_in(call: Call) -> None:
    """Who scrapes, by the Authorization header. Raises Unauthenticated."""
    assert call.request is not None and call.application is not None
    scheme, _, given = call.request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer": call.token = given.strip()
    elif scheme.lower() == "basic": call.token = _token(call, given)
    call.application.authenticate(call, call.request)


def _token(call: Call, given: str) -> str:
    """A token for USER@PROJECT:PASSWORD, kept until it ends."""
    assert call.application is not None
    try: name, _, password = base64.b64decode(given, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError): raise Unauthenticated() from None
    user, _, project = name.rpartition("@")
    if not user or not project: raise Unauthenticated()
    known: dict[str, Tokens] = call.application.state.setdefault("scrapers", {})
    key = hashlib.sha256(given.encode()).hexdigest()
    tokens = known.get(key) or Tokens(user, password, project)
    token, _ = tokens.current()
    if len(known) >= MOST_SCRAPERS: known.clear()
    known[key] = tokens
    return token


ROUTES = [
    Route("/v1/prometheus/write", "POST", write, "create resource", stream=True),
    Route("/v1/prometheus/metrics", "GET", scrape, ANYONE),
]
