"""gnocchiclient and `openstack metric`, unmodified, against a simulated cloud whose host samples its machines every second."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gnocchiclient.exceptions import ClientException, MetricNotFound, ResourceTypeNotFound
from gnocchiclient.v1.client import Client
from tests.outside.clouds import Cloud, wait

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cloud(cloud_at: Callable[[str], Cloud]) -> Iterator[Cloud]:
    yield from cloud_at("telemetry").while_up("--simulated", "--meter-seconds", "1")


def gnocchi(cloud: Cloud, name: str) -> Any:
    return Client(cloud.connect(name).session)


def test_a_server_s_meters_appear_and_end_with_it(cloud: Cloud) -> None:
    demo, people = gnocchi(cloud, "pilvi-demo"), cloud.connect("pilvi-demo")
    server = people.get_server("hello")
    thing = wait(lambda: next(iter(demo.resource.search("instance", {"=": {"display_name": "hello"}})), None), "the server is known")
    assert thing["id"] == server.id and thing["flavor_name"] == "m1.nano" and thing["project_id"] == server.project_id

    def measures() -> Any:
        try: return demo.metric.get_measures("cpu", resource_id=server.id, aggregation="rate:mean", granularity=60)
        except MetricNotFound: return None  # the resource is there with the server's first event, its meters with the first sample

    cpu = wait(measures, "it is measured")
    assert cpu[0][2] > 0
    assert demo.metric.get_measures("vcpus", resource_id=server.id, granularity=3600)[0][2] == 1
    wait(lambda: demo.resource.search("instance_network_interface", {"=": {"instance_id": server.id}}), "its card is known")
    assert demo.aggregates.fetch("(aggregate mean (metric memory mean))", resource_type="instance", search={"=": {"host": "sim-00001"}},
                                 granularity=60)["measures"]["aggregated"][0][2] == 128
    admin = gnocchi(cloud, "pilvi")
    image = wait(lambda: admin.resource.list("image"), "the image is known")[0]
    assert wait(lambda: admin.metric.get_measures("image.size", resource_id=image["id"]), "it has a size")[0][2] > 0
    people.delete_server(server.id, wait=True, timeout=300)
    wait(lambda: demo.resource.get("instance", server.id)["ended_at"], "it has ended")


def test_metrics_policies_and_resources_of_one_s_own(cloud: Cloud) -> None:
    demo, admin = gnocchi(cloud, "pilvi-demo"), gnocchi(cloud, "pilvi")
    admin.archive_policy.create({"name": "fine", "definition": [{"granularity": "10s", "timespan": "1 hour"}]})
    with pytest.raises(ClientException): demo.archive_policy.create({"name": "mine", "definition": [{"granularity": "10s"}]})
    admin.resource_type.create({"name": "pump", "attributes": {"site": {"type": "string", "required": True}}})
    pump = demo.resource.create("pump", {"id": "pump-1", "site": "north", "metrics": {"rpm": {"archive_policy_name": "fine"}}})
    demo.metric.add_measures("rpm", [{"timestamp": 100, "value": 5}, {"timestamp": 105, "value": 7}], resource_id=pump["id"])
    assert [row[2] for row in demo.metric.get_measures("rpm", resource_id=pump["id"])] == [6.0]
    demo.metric.batch_resources_metrics_measures({pump["id"]: {"heat": [{"timestamp": 100, "value": 9}]}}, create_metrics=True)
    assert demo.metric.get("heat", resource_id=pump["id"])["archive_policy"]["name"] == "low"
    with pytest.raises(ClientException, match="already exists"): demo.metric.create({"name": "rpm", "resource_id": pump["id"]})
    demo.resource.update("pump", pump["id"], {"site": "south"})
    assert [row["site"] for row in demo.resource.history("pump", pump["id"], details=True)] == ["north", "south"]
    with pytest.raises(ResourceTypeNotFound): demo.resource_type.get("nothing")
    demo.resource.delete(pump["id"])
    assert demo.resource.list("pump") == []
    admin.resource_type.delete("pump")
    assert "rate:mean" in demo.capabilities.list()["aggregation_methods"]


def test_the_command_line(cloud: Cloud) -> None:
    assert {row["name"] for row in cloud.demo.json("metric", "archive-policy", "list")} >= {"low", "medium", "high", "bool"}
    made = cloud.demo.json("metric", "create", "--archive-policy-name", "low", "load")
    cloud.demo.run("metric", "measures", "add", made["id"], "-m", "2026-01-01T00:00:00@3")
    assert cloud.demo.json("metric", "measures", "show", made["id"])[0]["value"] == 3.0
    assert "measures to process" in cloud.admin.run("metric", "status")
