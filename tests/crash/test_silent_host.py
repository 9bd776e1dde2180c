"""A host whose agent does not come back: what never reached the hypervisor moves on, the rest fails; what is owed there is paid when it
returns."""
from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.crash.inside import Cloud, Host, Park, parked, until

from pilvi.core import trace


@pytest.fixture()
def cloud() -> Iterator[Cloud]:
    made = Cloud()
    yield made
    made.close()


def boot_until(cloud: Cloud, step: str) -> tuple[str, Host, Park]:
    """A boot whose agent died at the step: (server, its host, where the dead agent's thread still hangs)."""
    park = Park(step)
    trace.BEFORE.append(park)
    id = cloud.boot(f"silent-{step}")
    park.wait()
    host = cloud.host_of(id)
    host.die()
    return id, host, park


@pytest.mark.parametrize("step", ["boot.20", "boot.23", "boot.28"])
def test_boot_moves_to_another_host(cloud: Cloud, step: str) -> None:
    id, host, park = boot_until(cloud, step)
    cloud.fall_silent(host)
    server = cloud.settled(id)
    assert server and server["status"] == "ACTIVE" and cloud.host_of(id) is not host
    park.go()  # the dead agent wakes up and goes on: nobody listens to it
    assert cloud.machines(id) == [cloud.host_of(id).name]
    assert len(cloud.left(id)["ports"]) == 1 and len(cloud.left(id)["allocations"]) == 1
    cloud.delete(id)
    cloud.gone(id)


def test_a_control_that_was_away_itself_takes_nobody_for_silent(cloud: Cloud) -> None:
    id, host, park = boot_until(cloud, "boot.20")
    cloud.fall_silent(host, control_too=True)
    assert cloud.tasks(id) == [("boot", "ready", f"host:{host.name}")]
    park.go()
    host.begin()
    server = cloud.settled(id)
    assert server and server["status"] == "ACTIVE" and cloud.host_of(id).name == host.name
    cloud.delete(id)
    cloud.gone(id)


def test_boot_that_was_dispatched_fails_and_the_debt_is_paid(cloud: Cloud) -> None:
    id, host, park = boot_until(cloud, "boot.29")
    cloud.fall_silent(host)
    server = cloud.settled(id)
    assert server and server["status"] == "ERROR" and host.name in server["fault"]["message"]
    assert cloud.tasks(id) == [("boot", "debt", f"host:{host.name}")]
    left = cloud.left(id)
    assert len(left["ports"]) == 1 and len(left["allocations"]) == 1  # its place stays taken: the machine might run
    park.go()
    host.begin()
    until(lambda: not cloud.tasks(id), lambda: f"the debt is paid: {cloud.tasks(id)}")
    assert not cloud.machines(id) and not set(cloud.left(id)) & {"ports", "allocations", "machines"}
    cloud.delete(id)
    cloud.gone(id)


def test_delete_on_a_dead_host_succeeds_and_is_paid_later(cloud: Cloud) -> None:
    id = cloud.boot("runs")
    assert (server := cloud.settled(id)) and server["status"] == "ACTIVE"
    host = cloud.host_of(id)
    host.die()
    cloud.delete(id)
    until(lambda: ("delete", "ready", f"host:{host.name}") in cloud.tasks(id), "the delete has come to the host")
    cloud.fall_silent(host)
    until(lambda: cloud.server(id) is None, "the user's server is gone")
    left = cloud.left(id)
    assert left["machines"] == [host.name] and len(left["ports"]) == 1 and len(left["allocations"]) == 1
    host.begin()
    cloud.gone(id)


def test_delete_of_a_boot_on_a_dead_host(cloud: Cloud) -> None:
    """The debt of the failed boot and that of the delete are the same machine; both end."""
    id, host, park = boot_until(cloud, "boot.29")
    cloud.fall_silent(host)
    assert (server := cloud.settled(id)) and server["status"] == "ERROR"
    cloud.delete(id)
    until(lambda: ("delete", "ready", f"host:{host.name}") in cloud.tasks(id), "the delete has come to the host")
    cloud.fall_silent(host)
    until(lambda: cloud.server(id) is None, "the user's server is gone")
    park.go()
    host.begin()
    cloud.gone(id)


def test_an_agent_that_comes_late_finds_its_task_taken(cloud: Cloud) -> None:
    """It was only cut off, never dead: at its next word it learns that the server is another host's, and makes no machine."""
    with parked("boot.28") as park:
        id = cloud.boot("late")
        park.wait()
        host = cloud.host_of(id)
        cloud.fall_silent(host)
        server = cloud.settled(id)
        assert server and server["status"] == "ACTIVE" and cloud.host_of(id) is not host
    host.compute.say_alive()
    assert cloud.machines(id) == [cloud.host_of(id).name]
    cloud.delete(id)
    cloud.gone(id)


def test_stop_on_a_dead_host_fails_and_the_server_stays_what_it_is(cloud: Cloud) -> None:
    id = cloud.boot("stopped")
    assert cloud.settled(id)
    host = cloud.host_of(id)
    host.die()
    cloud.act(id, os_stop=None)
    cloud.fall_silent(host)
    server = cloud.settled(id)
    assert server and server["status"] == "ACTIVE"
    host.begin()
    until(lambda: not cloud.tasks(id), lambda: f"no task is left: {cloud.tasks(id)}")
    cloud.act(id, os_stop=None)
    assert (server := cloud.settled(id)) and server["status"] == "SHUTOFF"
    cloud.delete(id)
    cloud.gone(id)


def test_no_host_is_left(cloud: Cloud) -> None:
    for host in cloud.hosts:
        host.die()
        cloud.fall_silent(host)
    id = cloud.boot("nowhere")
    server = cloud.settled(id)
    assert server and server["status"] == "ERROR", server
    assert all(host.name in server["fault"]["message"] for host in cloud.hosts), server["fault"]
    cloud.delete(id)
    cloud.gone(id)
