"""Sharing over HTTP: an owner offers, a project answers."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[..., Any]


@pytest.fixture
def image(ask: Ask) -> str:
    return str(ask("POST", "/v2/images", {"name": "i"}).body["id"])


def listed(ask: Ask, query: str = "", token: str = "two") -> int:
    return len(ask("GET", f"/v2/images?{query}", token=token).body["images"])


def test_an_offer_is_seen_by_id_and_listed_once_accepted(ask: Ask, image: str) -> None:
    path = f"/v2/images/{image}/members"
    made = ask("POST", path, {"member": "two"})
    assert (made.status, made.body["status"], made.body["member_id"], made.body["schema"]) == (200, "pending", "two", "/v2/schemas/member")
    assert ask("GET", f"/v2/images/{image}", token="two").status == 200
    assert (listed(ask), listed(ask, "member_status=pending"), listed(ask, "member_status=all")) == (0, 1, 1)
    assert ask("PUT", path + "/two", {"status": "accepted"}, token="two").body["status"] == "accepted"
    assert (listed(ask), listed(ask, "visibility=shared")) == (1, 1)
    assert ask("PUT", path + "/two", {"status": "rejected"}, token="two").status == 200
    assert listed(ask) == 0


def test_only_the_member_answers_and_only_the_owner_offers(ask: Ask, image: str) -> None:
    path = f"/v2/images/{image}/members"
    ask("POST", path, {"member": "two"})
    assert ask("POST", path, {"member": "two"}).status == 409
    assert ask("PUT", path + "/two", {"status": "accepted"}).status == 403
    assert ask("PUT", path + "/two", {"status": "perhaps"}, token="two").status == 400
    assert ask("POST", path, {"member": "three"}, token="two").status == 403
    assert ask("DELETE", path + "/two", token="two").status == 403
    assert ask("POST", path, {"member": "four"}, token="three").status == 404
    assert ask("POST", path, {}).status == 400


def test_members_see_only_themselves(ask: Ask, image: str) -> None:
    path = f"/v2/images/{image}/members"
    for project in ("two", "three"): ask("POST", path, {"member": project})
    assert [one["member_id"] for one in ask("GET", path).body["members"]] == ["three", "two"]
    assert [one["member_id"] for one in ask("GET", path, token="two").body["members"]] == ["two"]
    assert ask("GET", path + "/three", token="two").status == 404
    assert ask("GET", path + "/two").status == 200
    assert ask("DELETE", path + "/two").status == 204
    assert ask("GET", path, token="two").status == 404


def test_only_shared_images_have_members(ask: Ask) -> None:
    private = ask("POST", "/v2/images", {"visibility": "private"}).body["id"]
    assert ask("POST", f"/v2/images/{private}/members", {"member": "two"}).status == 403


def test_an_image_that_is_no_longer_shared_is_seen_by_nobody_else(ask: Ask, image: str) -> None:
    ask("POST", f"/v2/images/{image}/members", {"member": "two"})
    ask("PATCH", f"/v2/images/{image}", [{"op": "replace", "path": "/visibility", "value": "private"}],
        content_type="application/openstack-images-v2.1-json-patch")
    assert ask("GET", f"/v2/images/{image}", token="two").status == 404
