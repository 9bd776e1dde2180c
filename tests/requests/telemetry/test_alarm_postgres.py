"""Alarms and bills over PostgreSQL: what is written in its own SQL, and what several processes do at once."""
from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import update
from tests.postgres_server import new_database
from tests.requests.telemetry import test_alarm as alarms
from tests.requests.telemetry import test_alarm_notices as notices
from tests.requests.telemetry import test_invoice as bills
from tests.requests.telemetry.alarm_cloud import World, until, world_in

from pilvi.telemetry.alarm import watch
from pilvi.telemetry.alarm.notify import Notifier
from pilvi.telemetry.config import Config
from pilvi.telemetry.resources.alarm_tables import Alarm

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("test", [
    alarms.test_lists_are_filtered_sorted_and_paged, alarms.test_complex_queries, alarms.test_a_put_replaces_everything,
    alarms.test_history_is_filtered_and_paged, notices.test_a_repeating_event_alarm_fires_once_for_each_event,
    notices.test_what_failed_is_told_again, bills.test_a_month_is_billed_by_state_to_the_second,
    bills.test_repeated_and_disordered_events_change_nothing, bills.test_prices_end_but_do_not_vanish])
def test_the_same_as_over_sqlite(test: Callable[[World], None], tmp_path: Path, postgres_url: str) -> None:
    with world_in(tmp_path, Config(prices=bills.PRICES), new_database(postgres_url, f"telemetry_{uuid4().hex}")) as world: test(world)


def test_several_processes_tell_and_evaluate_each_thing_once(tmp_path: Path, postgres_url: str) -> None:
    with world_in(tmp_path, None, new_database(postgres_url, f"telemetry_{uuid4().hex}")) as world:
        rule = {"metric": "cpu", "resource_id": "r", "resource_type": "generic", "threshold": 1, "aggregation_method": "mean"}
        ids = [world.make(type="gnocchi_resources_threshold", gnocchi_resources_threshold_rule=rule, event_rule=None)["alarm_id"]
               for _ in range(20)]
        taken: list[Any] = []
        threads = [threading.Thread(target=lambda: taken.extend(watch._take(world.app))) for _ in range(6)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert sorted(alarm.id for alarm in taken) == sorted(ids)
        with world.database.write() as db: db.execute(update(Alarm).values(alarm_actions=[world.hooks.url + "/x"]))
        others = [Notifier(world.app) for _ in range(3)]
        for other in others: other.start()
        for id in ids: notices.find(world, id)
        world.hooks.wait(20)
        until(lambda: not notices.left(world))
        for other in others: other.stop()
        assert sorted(body["alarm_id"] for _, _, body in world.hooks.heard) == sorted(ids)
