"""What only a database with several writers can get wrong."""
from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.postgres_server import new_database

from pilvi.core.crypto import new_hex_id
from pilvi.volume.config import Config

pytestmark = pytest.mark.slow
SERVER = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def world(make_world: Callable[..., Any], postgres_url: str) -> Any:
    return make_world(config=Config(quota_volumes=12), url=new_database(postgres_url, f"volume_{new_hex_id()}"))


def together(*acts: Callable[[], Any]) -> list[Any]:
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda act=act: answers.append(act())) for act in acts]  # type: ignore[misc]
    for thread in threads: thread.start()
    for thread in threads: thread.join(60)
    return answers


def test_several_let_go_of_a_volume_at_once(world: Any) -> None:
    for _ in range(8):
        id = world.make()
        body = {"attachment": {"volume_uuid": id, "instance_uuid": SERVER}}
        held = [world.ask("POST", "/attachments", body)[1]["attachment"]["id"] for _ in range(4)]
        together(*(lambda one=one: world.ask("DELETE", f"/attachments/{one}", who="admin") for one in held))  # type: ignore[misc]
        assert world.status(id) == "available"


def test_one_of_many_gets_the_volume(world: Any) -> None:
    id = world.make()
    bodies = [{"attachment": {"volume_uuid": id, "instance_uuid": f"{number}" * 8}} for number in range(6)]
    codes = together(*(lambda body=body: world.ask("POST", "/attachments", body)[0] for body in bodies))  # type: ignore[misc]
    assert sorted(codes) == [200] + [400] * 5


def test_many_at_once_do_not_exceed_the_quota(world: Any) -> None:
    codes = together(*(lambda: world.ask("POST", "/volumes", {"volume": {"size": 1}})[0] for _ in range(16)))
    assert sorted(codes) == [202] * 12 + [413] * 4


def test_lists_filter_by_words_and_status(world: Any) -> None:
    id = world.make(metadata={"n": "1"})
    world.make(metadata={"n": "2"})
    assert [one["id"] for one in world.ask("GET", "/volumes/detail?metadata={'n': '1'}&status=available")[1]["volumes"]] == [id]
