"""Prometheus writes and scrapes."""
from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from tests.requests.telemetry.callers import OTHER_PROJECT
from tests.requests.telemetry.conftest import Telemetry
from tests.requests.telemetry.test_collect import ID, OTHER_ID, sample, server
from tests.telemetry.test_wire import packed, request


def remote_write(telemetry: Telemetry, body: bytes, who: str = "member") -> tuple[int, Any]:
    """Over ASGI, as its body is no JSON."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: dict[str, Any]) -> None: sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/prometheus/write", "raw_path": b"/v1/prometheus/write", "query_string": b"",
             "headers": [(b"x-auth-token", who.encode()), (b"content-type", b"application/x-protobuf"), (b"content-encoding", b"snappy")]}
    asyncio.run(telemetry.application(scope, receive, send))
    data = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], json.loads(data) if data else None


def test_remote_write_makes_resources_and_metrics(telemetry: Telemetry) -> None:
    labels = {"job": "node", "instance": "host:9100"}
    body = packed(request(({"__name__": "load1", **labels}, [(300.0, 1.5), (360.0, 2.5)]), ({"__name__": "up", **labels}, [(300.0, 1.0)]),
                          ({"__name__": "odd", **labels}, [(300.0, float("nan"))])))
    for _ in range(2): assert remote_write(telemetry, body) == (202, None)
    thing = telemetry.get("/v1/resource/prometheus/node@host:9100")
    assert thing["job"] == "node" and set(thing["metrics"]) == {"load1", "up", "odd"}
    assert telemetry.get("/v1/resource/prometheus/node@host:9100/metric/odd/measures") == []
    assert telemetry.get("/v1/resource/prometheus/node@host:9100/metric/load1/measures")[0][2] == 2.0
    assert remote_write(telemetry, b"nonsense")[0] == 400 and remote_write(telemetry, body, "reader")[0] == 403
    assert remote_write(telemetry, body, "nobody")[0] == 401


def test_a_scrape_shows_the_newest_values_of_what_the_caller_may_see(telemetry: Telemetry) -> None:
    sample(telemetry, 1000.0, server(), server(OTHER_ID, OTHER_PROJECT))
    for who, headers in (("member", {}), ("", {"authorization": "Bearer member"})):
        status, body, _ = telemetry.ask("GET", "/v1/prometheus/metrics", who=who, headers=headers)
        text = body.decode()
        assert status == 200 and "# TYPE ceilometer_cpu counter\n" in text and "# TYPE ceilometer_memory_usage gauge\n" in text
        (line,) = [line for line in text.splitlines() if line.startswith("ceilometer_cpu{")]
        assert f'resource="{ID}"' in line and 'resource_name="web"' in line and line.endswith("} 1500000000.0 1000000")
        assert OTHER_ID not in text
    assert OTHER_ID in telemetry.ask("GET", "/v1/prometheus/metrics", who="admin")[1].decode()
    wrong = base64.b64encode(b"nobody").decode()
    for headers in ({}, {"authorization": f"Basic {wrong}"}, {"authorization": "Basic ?"}, {"authorization": "Bearer nobody"}):
        assert telemetry.ask("GET", "/v1/prometheus/metrics", who="", headers=headers)[0] == 401
