"""A cloud on PostgreSQL and NATS: many servers at once, volumes; then the broker, the database or a control process is killed meanwhile."""
from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from sqlalchemy import create_engine, text
from tests.scale.conftest import Grown
from tests.scale.grown import LISTS, Customer, left, status_of, until

from pilvi.core.db.session import Database
from pilvi.identity.token.keys import Keyring
from pilvi.run import supervisor
from pilvi.run.settings import Settings

pytestmark = pytest.mark.slow
AWAY_SECONDS = 2.0


def test_twenty_servers_at_once_and_volumes(grown: Grown) -> None:
    demo, admin = Customer(grown.one), Customer(grown.one, "admin")
    net = demo.network()
    with ThreadPoolExecutor(10) as pool: ids = list(pool.map(lambda number: demo.boot(f"many-{number}", net), range(20)))
    made = [demo.cloud.ask("volume", "POST", "/v3/volumes", {"volume": {"size": 1, "name": f"many-{n}"}}) for n in range(4)]
    volumes = [body["volume"]["id"] for body in made]
    until(lambda: demo.settled(ids), "all are ACTIVE")
    assert demo.statuses(ids) == ["ACTIVE"] * 20
    until(lambda: all(demo.ask("volume", "GET", f"/v3/volumes/{id}")["volume"]["status"] == "available" for id in volumes), "volumes")
    neighbour = beside(admin, volumes[0])
    demo.cloud.ask("compute", "POST", f"/v2.1/servers/{neighbour}/os-volume_attachments", {"volumeAttachment": {"volumeId": volumes[0]}})
    until(lambda: demo.ask("volume", "GET", f"/v3/volumes/{volumes[0]}")["volume"]["status"] == "in-use", "the volume is attached")
    demo.delete(ids)
    until(lambda: demo.ask("volume", "GET", f"/v3/volumes/{volumes[0]}")["volume"]["status"] == "available", "it is free again")
    for id in volumes: demo.cloud.ask("volume", "DELETE", f"/v3/volumes/{id}")
    until(lambda: not demo.ask("volume", "GET", "/v3/volumes")["volumes"], "no volumes")
    until(lambda: not left(admin, ids), "nothing is left")


def beside(admin: Customer, volume_id: str) -> str:
    """A server on the volume's host: a file volume serves no others."""
    host = admin.ask("volume", "GET", f"/v3/volumes/{volume_id}")["volume"]["os-vol-host-attr:host"].partition("@")[0]
    servers = admin.ask("compute", "GET", "/v2.1/servers/detail", all_tenants="1")["servers"]
    return next(str(server["id"]) for server in servers if server["OS-EXT-SRV-ATTR:host"] == host)


@pytest.mark.parametrize("victim", ["broker", "database"])
def test_killed_in_the_middle(grown: Grown, victim: str) -> None:
    demo, admin = Customer(grown.one), Customer(grown.one, "admin")
    net = demo.network()
    ids = [demo.boot(f"{victim}-{number}", net) for number in range(6)]
    service = {"broker": grown.broker, "database": grown.database}[victim]
    service.kill()
    time.sleep(AWAY_SECONDS)
    service.start()
    until(lambda: demo.settled(ids), "all have settled")
    assert demo.statuses(ids).count("ACTIVE") == 6
    demo.delete(ids)
    until(lambda: not left(admin, ids), "nothing is left")


def test_two_control_processes_share_the_work(grown: Grown, request: pytest.FixtureRequest) -> None:
    demo = Customer(grown.one)
    net = demo.network()
    ids = [demo.boot(f"alone-{number}", net) for number in range(10)]
    second: Settings = request.getfixturevalue("second")  # it starts while the first one works
    demos, admin = [demo, Customer(second)], Customer(second, "admin")
    with ThreadPoolExecutor(8) as pool: ids += pool.map(lambda number: demos[number % 2].boot(f"shared-{number}", net), range(10))
    until(lambda: demos[1].settled(ids), "all have settled")
    assert demos[0].statuses(ids) == demos[1].statuses(ids) == ["ACTIVE"] * 20
    assert attempts(grown, ids) == {1}, "a task was taken over from a control process that lives"
    demos[1].delete(ids)
    until(lambda: not left(admin, ids), "nothing is left")


def attempts(grown: Grown, ids: list[str]) -> set[int]:
    """How often the servers' boots were begun anew or taken over, plus one."""
    engine = create_engine(grown.one.database_url)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT attempt FROM compute_tasks WHERE flow = 'boot' AND subject_id = ANY(:ids)"), {"ids": ids})
        numbers = {row.attempt for row in found}
    engine.dispose()
    return numbers


def test_keys_change_every_half_second_and_no_token_is_refused(grown: Grown, second: Settings) -> None:
    demo = Customer(grown.one).cloud.call
    keys = [(place.control_directory / "keys" / "master").read_text() for place in (grown.one, second)]
    assert keys[0] == keys[1]
    done = Event()

    def use(number: int) -> list[int]:
        """Tokens from one process, shown at the other to identity and to a service that asks it."""
        here, there = (grown.one, second) if number % 2 else (second, grown.one)
        token, met = demo.token, []
        asked = {"auth": {"identity": {"methods": ["token"], "token": {"id": token}}, "scope": {"project": {"id": project}}}}
        while not done.is_set():
            status, headers = status_of(here, token, "/identity/v3/auth/tokens?nocatalog", "POST", asked)
            met.append(status)
            token = headers.get("x-subject-token", token)
            met += [status_of(there, token, path, x_subject_token=token)[0] for path in ("/identity/v3/auth/tokens?nocatalog", LISTS[0])]
        return met

    reply = status_of(grown.one, demo.token, "/identity/v3/auth/tokens?nocatalog", x_subject_token=demo.token)
    assert reply[0] == 200
    project = Customer(grown.one).ask("identity", "GET", "/v3/auth/projects")["projects"][0]["id"]
    database = Database(grown.one.database_url)
    keyring = Keyring(database, keys[0], rotation_seconds=1e9, token_seconds=3600)
    with ThreadPoolExecutor(4) as pool:
        loads = [pool.submit(use, number) for number in range(4)]
        try:
            for _ in range(12):
                keyring.rotate()
                done.wait(0.5)
        finally: done.set()
        met = [status for load in loads for status in load.result()]
    database.close()
    assert not {401, 404} & set(met) and met.count(200) > 20, {status: met.count(status) for status in set(met)}


def test_a_token_that_is_ended_is_ended_in_every_service_of_every_process_within_a_second(grown: Grown, second: Settings) -> None:
    places = [(settings, path) for settings in (grown.one, second) for path in LISTS]
    for ending in (grown.one, second):
        token = Customer(grown.one).cloud.call.token
        for settings, path in places: assert status_of(settings, token, path)[0] != 401
        assert status_of(ending, token, "/identity/v3/auth/tokens", "DELETE", x_subject_token=token)[0] == 204
        ended = time.monotonic()
        while (begun := time.monotonic()) < ended + 2.5:
            for settings, path in places:
                asked = time.monotonic()
                status = status_of(settings, token, path)[0]
                assert status == 401 or asked < ended + 1.0, f"{asked - ended:.2f} s later {path} at {settings.listen} answered {status}"
            if begun > ended + 1.0: break


def test_a_control_process_killed_leaves_its_work_to_the_other(grown: Grown, second: Settings) -> None:
    demo, admin = Customer(grown.one), Customer(grown.one, "admin")
    net = demo.network()
    ids = [demo.boot(f"orphan-{number}", net) for number in range(8)]
    pid = supervisor.running(second.directory, "control")
    assert pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: demo.settled(ids), "all have settled")
    assert demo.statuses(ids) == ["ACTIVE"] * 8
    demo.delete(ids)
    until(lambda: not left(admin, ids), "nothing is left")
