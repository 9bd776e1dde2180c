"""Quotas and limits: set, shown, enforced."""
from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from pilvi.volume.config import Config

PROJECT, OTHER = "a" * 32, "b" * 32


def message(body: Any) -> str:
    return str(next(iter(body.values()))["message"])


def test_shown_set_and_reset(world: Any) -> None:
    status, body = world.ask("GET", f"/os-quota-sets/{PROJECT}")
    defaults = {"volumes": 10, "per_volume_gigabytes": -1, "snapshots": 10, "gigabytes": 1000, "backups": 10, "backup_gigabytes": 1000,
                "groups": 10}
    assert (status, body) == (200, {"quota_set": {"id": PROJECT} | defaults})
    assert world.ask("GET", f"/os-quota-sets/{OTHER}")[0] == 403 and world.ask("GET", f"/os-quota-sets/{OTHER}", who="admin")[0] == 200
    assert world.ask("PUT", f"/os-quota-sets/{PROJECT}", {"quota_set": {"volumes": 1}})[0] == 403
    status, body = world.ask("PUT", f"/os-quota-sets/{PROJECT}", {"quota_set": {"volumes": 3, "gigabytes": "20"}}, who="admin")
    assert (status, body) == (200, {"quota_set": defaults | {"volumes": 3, "gigabytes": 20}})
    for wrong in ({"nonsense": 1}, {"volumes": -2}, {"volumes": "x"}, {"volumes": 2**31}, {"volumes": None}):
        assert world.ask("PUT", f"/os-quota-sets/{PROJECT}", {"quota_set": wrong}, who="admin")[0] == 400, wrong
    world.make(size=2)
    usage = world.ask("GET", f"/os-quota-sets/{PROJECT}?usage=True")[1]["quota_set"]
    assert usage["volumes"] == {"limit": 3, "in_use": 1, "reserved": 0} and usage["gigabytes"] == {"limit": 20, "in_use": 2, "reserved": 0}
    absolute = world.ask("GET", "/limits")[1]["limits"]["absolute"]
    assert (absolute["maxTotalVolumes"], absolute["totalVolumesUsed"], absolute["totalGigabytesUsed"]) == (3, 1, 2)
    assert world.ask("GET", f"/os-quota-sets/{PROJECT}/defaults")[1]["quota_set"]["volumes"] == 10
    assert world.ask("DELETE", f"/os-quota-sets/{PROJECT}", who="admin")[0] == 200
    assert world.ask("GET", f"/os-quota-sets/{PROJECT}")[1]["quota_set"]["volumes"] == 10
    assert world.ask("GET", "/os-quota-class-sets/default", who="admin")[1]["quota_set"]["volumes"] == 10


def test_enforced(make_world: Callable[..., Any]) -> None:
    world = make_world(config=Config(quota_volumes=2, quota_snapshots=1, quota_gigabytes=4, per_volume_gigabytes=3))
    status, body = world.ask("POST", "/volumes", {"volume": {"size": 4}})
    assert status == 413 and message(body) == "Requested volume size 4G is larger than maximum allowed limit 3G."
    first = world.make(size=2)
    status, body = world.ask("POST", "/volumes", {"volume": {"size": 3}})
    assert status == 413 and message(body) == ("Requested volume or snapshot exceeds allowed gigabytes quota. Requested 3G, quota is 4G "
                                               "and 2G has been consumed.")
    assert "overLimit" in body
    second = world.make(size=1)
    status, body = world.ask("POST", "/volumes", {"volume": {"size": 1}})
    assert status == 413 and message(body) == "Maximum number of volumes allowed (2) exceeded for quota 'volumes'."
    assert world.act(first, "os-extend", {"new_size": 4})[0] == 413, "of one volume"
    assert world.act(second, "os-extend", {"new_size": 3})[0] == 413, "of all together"
    world.snapshot(second)
    status, body = world.ask("POST", "/snapshots", {"snapshot": {"volume_id": second}})
    assert status == 413 and message(body) == "Maximum number of snapshots allowed (1) exceeded"
    world.ask("DELETE", f"/volumes/{first}")
    world.until(first, None)
    world.make(size=1)


def test_many_at_once_do_not_exceed_it(make_world: Callable[..., Any]) -> None:
    world = make_world(config=Config(quota_volumes=3))
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(world.ask("POST", "/volumes", {"volume": {"size": 1}})[0])) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join(60)
    assert sorted(codes) == [202] * 3 + [413] * 5
