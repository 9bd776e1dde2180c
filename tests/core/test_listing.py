"""Lists: pages, sorting, filters, fields and links, in the manner of three families, on each database."""
from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
from tests.core.shop import Shop, Thing

Open = Callable[[str], Shop]
LIST = {"nova": "/v2/things/detail", "neutron": "/v2/things", "keystone": "/v2/things"}


@pytest.fixture(params=list(LIST))
def full(request: pytest.FixtureRequest, shop: Open) -> tuple[Shop, str]:
    """A shop with 30 things whose names repeat and whose sizes are often unknown, and two of another project; the path of its list."""
    found, chance = shop(request.param), random.Random(7)
    with found.application.database.write() as db:
        db.add_all(Thing(project_id="one", name=chance.choice("abcB"), size=chance.choice([None, 1, 2]), created_at=1.0) for _ in range(30))
        db.add_all(Thing(project_id="two", name="a") for _ in range(2))
    return found, LIST[request.param]


def next_link(body: dict[str, Any]) -> str | None:
    """The link to the next page, whatever the family calls it, as a path."""
    if "things_links" in body: found = next((link["href"] for link in body["things_links"] if link["rel"] == "next"), None)
    else: found = body.get("links", {}).get("next")
    return found.removeprefix("http://cloud/shop") if found else None


def pages(shop: Shop, path: str) -> list[list[dict[str, Any]]]:
    found: list[list[dict[str, Any]]] = []
    following: str | None = path
    while following is not None:
        body = shop.ask("GET", following).body
        found.append(body["things"])
        following = next_link(body)
        assert len(found) < 40
    return found


def rank(thing: dict[str, Any], key: str) -> tuple[bool, Any]:
    return (thing[key] is not None, thing[key])


@pytest.mark.parametrize("key", ["name", "size", "id", "fragile", "updated_at"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_pages_are_disjoint_and_in_order(full: tuple[Shop, str], key: str, direction: str) -> None:
    shop, path = full
    found = pages(shop, f"{path}?limit=7&sort_key={key}&sort_dir={direction}")
    assert [len(page) for page in found] == [7, 7, 7, 7, 2]
    things = list(itertools.chain(*found))
    assert len({thing["id"] for thing in things}) == 30
    if key != "name":  # how letters compare is the database's own
        assert things == sorted(things, key=lambda thing: rank(thing, key), reverse=direction == "desc") or key == "updated_at"


def test_several_sort_keys(full: tuple[Shop, str]) -> None:
    shop, path = full
    for sort in ("sort_key=size&sort_key=name&sort_dir=desc&sort_dir=asc", "sort=size:desc,name:asc"):
        things = list(itertools.chain(*pages(shop, f"{path}?limit=4&{sort}")))
        assert len({thing["id"] for thing in things}) == 30
        sizes = [rank(thing, "size") for thing in things]
        assert sizes == sorted(sizes, reverse=True)
        assert things == shop.ask("GET", f"{path}?{sort}").body["things"]


def test_pages_backwards(shop: Open) -> None:
    neutron = shop("neutron")
    with neutron.application.database.write() as db: db.add_all(Thing(project_id="one", name=str(index)) for index in range(6))
    names = [thing["name"] for thing in neutron.ask("GET", "/v2/things?sort_key=name").body["things"]]
    last = neutron.ask("GET", "/v2/things?sort_key=name").body["things"][-1]
    before = neutron.ask("GET", f"/v2/things?sort_key=name&limit=2&page_reverse=True&marker={last['id']}").body
    assert [thing["name"] for thing in before["things"]] == names[3:5]
    previous = next(link["href"] for link in before["things_links"] if link["rel"] == "previous").removeprefix("http://cloud/shop")
    assert [thing["name"] for thing in neutron.ask("GET", previous).body["things"]] == names[1:3]


def test_limits_and_markers_that_are_none(full: tuple[Shop, str]) -> None:
    shop, path = full
    for query in ("limit=-1", "limit=x", "limit=", "limit=99999999999999999999", "marker=nothing", "sort_key=name&sort_dir=up",
                  "sort_key=nothing",
                  "marker=%00", "size=x", "size=99999999999999999999999", "fragile=perhaps"):
        assert shop.ask("GET", f"{path}?{query}").status == 400, query
    with shop.application.database.read() as db: other = db.query(Thing.id).where(Thing.project_id == "two").first()
    assert other is not None and shop.ask("GET", f"{path}?marker={other[0]}").status == 400
    assert len(shop.ask("GET", f"{path}?limit=0").body["things"]) == 30


def test_filters(full: tuple[Shop, str]) -> None:
    shop, path = full
    every = shop.ask("GET", path).body["things"]
    for query, fits in [("name=a", lambda thing: thing["name"] == "a"), ("name=a&name=b", lambda thing: thing["name"] in "ab"),
                        ("size=1&fragile=False", lambda thing: thing["size"] == 1), ("fragile=true", lambda thing: False),
                        ("size=1&name=b", lambda thing: thing["size"] == 1 and thing["name"] == "b"),
                        ("nothing=at+all", lambda thing: True),
                        ("shelf=", lambda thing: True), ("project_id=two", lambda thing: False)]:
        found = shop.ask("GET", f"{path}?{query}").body["things"]
        if query == "shelf=" and shop.application.service.dialect.name == "nova": continue  # 2.1 has no shelves: no filter either
        assert {thing["id"] for thing in found} == {thing["id"] for thing in every if fits(thing)}, query


def test_links_keep_the_rest_of_the_query(full: tuple[Shop, str]) -> None:
    shop, path = full
    body = shop.ask("GET", f"{path}?name=a&limit=1&sort_key=id&sort_dir=desc").body
    link = next_link(body)
    assert link is not None
    for part in ("name=a", "limit=1", "sort_key=id", "sort_dir=desc", f"marker={body['things'][0]['id']}"): assert part in link


def test_only_the_wanted_fields(shop: Open) -> None:
    neutron = shop("neutron")
    made = neutron.make()
    assert neutron.ask("GET", "/v2/things?fields=id&fields=name").body["things"] == [{"id": made["id"], "name": "a"}]
    assert neutron.ask("GET", f"/v2/things/{made['id']}?fields=name").body == {"thing": {"name": "a"}}


def test_a_list_without_a_query_has_the_familys_links(shop: Open) -> None:
    assert set(shop("nova").ask("GET", "/v2/things").body) == {"things"}
    assert set(shop("neutron").ask("GET", "/v2/things").body) == {"things"}
    assert shop("keystone").ask("GET", "/v2/things?name=x").body["links"] == {
        "next": None, "previous": None, "self": "http://cloud/shop/v2/things?name=x"}
