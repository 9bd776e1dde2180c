"""The same telemetry over PostgreSQL: what it says in SQL, and several who write one metric at once."""
from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.postgres_server import new_database
from tests.requests.telemetry import test_collect, test_measure, test_resource
from tests.requests.telemetry.conftest import Telemetry

from pilvi.core.crypto import new_hex_id

pytestmark = pytest.mark.slow


@pytest.fixture
def telemetry(tmp_path: Path, postgres_url: str) -> Iterator[Telemetry]:
    made = Telemetry(tmp_path, new_database(postgres_url, f"telemetry_{new_hex_id()}"))
    yield made
    made.close()


def test_it_does_there_what_it_does_on_sqlite(telemetry: Telemetry) -> None:
    test_measure.test_batches_in_any_order_are_merged_in_the_database_as_in_memory(telemetry)
    test_collect.test_what_is_deleted_ends_with_its_parts(telemetry)


def test_storage_is_bounded(telemetry: Telemetry) -> None:
    test_measure.test_storage_is_bounded_by_the_policy(telemetry)


def test_history(telemetry: Telemetry) -> None:
    test_resource.test_a_change_makes_a_revision_and_the_former_one_is_kept(telemetry)


@pytest.mark.parametrize("number", range(11))
def test_queries(telemetry: Telemetry, number: int) -> None:
    query, found = test_resource.QUERIES[number]
    test_resource.test_resources_are_found_by_attributes(telemetry, query, found)


def test_many_write_one_metric_at_once(telemetry: Telemetry) -> None:
    telemetry.policy(3600, methods=["count", "sum", "rate:sum"])
    id = telemetry.metric()

    def write(first: int) -> None:
        for second in range(first, 120, 6): telemetry.post(f"/v1/metric/{id}/measures", [{"timestamp": second, "value": second}])

    threads = [threading.Thread(target=write, args=(first,)) for first in range(6)]
    for thread in threads: thread.start()
    for thread in threads: thread.join(60)
    for method, expected in (("count", 120), ("sum", sum(range(120))), ("rate:sum", 119)):
        assert telemetry.get(f"/v1/metric/{id}/measures?aggregation={method}")[0][2] == expected, method
