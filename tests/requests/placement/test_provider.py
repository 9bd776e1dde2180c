"""Resource providers over HTTP: trees, generations, inventories, traits, classes, aggregates."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

Ask = Callable[..., Any]


def make(ask: Ask, name: str, parent: str | None = None) -> str:
    body = {"name": name} | ({"parent_provider_uuid": parent} if parent else {})
    return str(ask("POST", "/resource_providers", body).body["uuid"])


def test_a_provider_is_made_shown_renamed_and_removed(ask: Ask) -> None:
    made = ask("POST", "/resource_providers", {"name": "a"})
    id = made.body["uuid"]
    assert (made.status, made.body["generation"], made.body["root_provider_uuid"]) == (200, 0, id)
    assert made.headers["Location"] == f"http://cloud/placement/resource_providers/{id}"
    assert {"rel": "self", "href": f"/placement/resource_providers/{id}"} in made.body["links"]
    assert ask("PUT", f"/resource_providers/{id}", {"name": "b"}).body["name"] == "b"
    assert [one["uuid"] for one in ask("GET", "/resource_providers?name=b").body["resource_providers"]] == [id]
    assert ask("DELETE", f"/resource_providers/{id}").status == 204
    assert ask("GET", f"/resource_providers/{id}").status == 404


def test_before_1_20_the_answer_to_post_has_no_body(ask: Ask) -> None:
    made = ask("POST", "/resource_providers", {"name": "a"}, version="1.19")
    assert (made.status, made.body) == (201, None)


def test_names_and_ids_are_unique(ask: Ask) -> None:
    make(ask, "a")
    again = ask("POST", "/resource_providers", {"name": "a"})
    assert (again.status, again.body["errors"][0]["code"]) == (409, "placement.duplicate_name")


def test_a_subtree_moves_with_its_provider_and_never_under_itself(ask: Ask) -> None:
    top, other = make(ask, "top"), make(ask, "other")
    child = make(ask, "child", top)
    leaf = make(ask, "leaf", child)
    assert ask("PUT", f"/resource_providers/{child}", {"name": "child", "parent_provider_uuid": other}).status == 200
    assert ask("GET", f"/resource_providers/{leaf}").body["root_provider_uuid"] == other
    assert ask("PUT", f"/resource_providers/{child}", {"name": "child", "parent_provider_uuid": leaf}).status == 400
    assert ask("PUT", f"/resource_providers/{child}", {"name": "child", "parent_provider_uuid": top}, version="1.36").status == 400
    assert ask("PUT", f"/resource_providers/{child}", {"name": "child", "parent_provider_uuid": None}).status == 200
    in_tree = ask("GET", f"/resource_providers?in_tree={leaf}").body["resource_providers"]
    assert sorted(one["name"] for one in in_tree) == ["child", "leaf"]
    assert ask("DELETE", f"/resource_providers/{child}").body["errors"][0]["code"] == "placement.resource_provider.cannot_delete_parent"


@pytest.mark.parametrize("token", ["member", "reader"])
def test_only_administrators_and_services_may(ask: Ask, token: str) -> None:
    assert ask("GET", "/resource_providers", token=token).status == 403
    assert ask("GET", "/allocation_candidates?resources=VCPU:1", token=token).status == 403
    assert ask("PUT", "/hosts", {"hosts": []}, token=token).status == 403
    assert ask("GET", "/usages?project_id=another", token=token).status == 403
    assert ask("GET", f"/usages?project_id=project-{token}", token=token).status == 200


def test_inventories_want_the_newest_generation(ask: Ask) -> None:
    path = f"/resource_providers/{make(ask, 'a')}/inventories"
    body = {"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 4, "allocation_ratio": 16.0}}}
    assert ask("PUT", path, body).body["resource_provider_generation"] == 1
    stale = ask("PUT", path, body)
    assert (stale.status, stale.body["errors"][0]["code"]) == (409, "placement.concurrent_update")
    shown = ask("GET", path + "/VCPU").body
    assert shown == {"resource_provider_generation": 1, "total": 4, "reserved": 0, "min_unit": 1, "max_unit": 2147483647, "step_size": 1,
                     "allocation_ratio": 16.0}
    assert ask("POST", path, {"resource_class": "VCPU", "total": 1}).status == 409
    assert ask("POST", path, {"resource_class": "CUSTOM_NONE", "total": 1}).status == 400
    assert ask("POST", path, {"resource_class": "DISK_GB", "total": 1, "reserved": 2}).status == 400
    assert ask("DELETE", path + "/VCPU").status == 204
    assert ask("DELETE", path + "/VCPU").status == 404


def test_all_of_a_provider_may_be_reserved_since_1_26(ask: Ask) -> None:
    path = f"/resource_providers/{make(ask, 'a')}/inventories"
    body = {"resource_class": "VCPU", "total": 2, "reserved": 2}
    assert ask("POST", path, body, version="1.25").status == 400
    assert ask("POST", path, body, version="1.26").status == 201


def test_custom_classes_and_traits_are_made_once_and_kept_while_used(ask: Ask) -> None:
    for path in ("/resource_classes/CUSTOM_GOLD", "/traits/CUSTOM_GOLD"):
        assert [ask("PUT", path).status for _ in range(2)] == [201, 204]
    id = make(ask, "a")
    ask("POST", f"/resource_providers/{id}/inventories", {"resource_class": "CUSTOM_GOLD", "total": 1})
    body = {"traits": ["CUSTOM_GOLD", "HW_CPU_X86_AVX2"], "resource_provider_generation": 1}
    assert ask("PUT", f"/resource_providers/{id}/traits", body).body["traits"] == ["CUSTOM_GOLD", "HW_CPU_X86_AVX2"]
    for path in ("/resource_classes/CUSTOM_GOLD", "/traits/CUSTOM_GOLD"): assert ask("DELETE", path).status == 409
    assert ask("PUT", "/traits/HW_NONSENSE").status == 400
    assert ask("DELETE", "/traits/HW_CPU_X86_AVX2").status == 400
    assert ask("GET", "/traits?name=startswith:CUSTOM&associated=true").body == {"traits": ["CUSTOM_GOLD"]}
    ask("DELETE", f"/resource_providers/{id}/traits")
    ask("DELETE", f"/resource_providers/{id}/inventories")
    for path in ("/resource_classes/CUSTOM_GOLD", "/traits/CUSTOM_GOLD"): assert ask("DELETE", path).status == 204


def test_aggregates_are_a_bare_list_before_1_19(ask: Ask) -> None:
    path, group = f"/resource_providers/{make(ask, 'a')}/aggregates", str(uuid4())
    assert ask("PUT", path, [group], version="1.18").body == {"aggregates": [group]}
    assert ask("GET", path).body == {"aggregates": [group], "resource_provider_generation": 0}
    assert ask("PUT", path, {"aggregates": [], "resource_provider_generation": 0}).body["resource_provider_generation"] == 1


def test_lists_filter_by_what_is_free_traits_and_aggregates(ask: Ask) -> None:
    a, b, group = make(ask, "a"), make(ask, "b"), str(uuid4())
    for id, total in ((a, 2), (b, 8)): ask("POST", f"/resource_providers/{id}/inventories", {"resource_class": "VCPU", "total": total})
    ask("PUT", f"/resource_providers/{a}/aggregates", {"aggregates": [group], "resource_provider_generation": 1})
    ask("PUT", f"/resource_providers/{b}/traits", {"traits": ["COMPUTE_NODE"], "resource_provider_generation": 1})

    def names(query: str) -> list[str]:
        return [one["name"] for one in ask("GET", "/resource_providers?" + query).body["resource_providers"]]

    assert names("resources=VCPU:4") == ["b"] and names("member_of=" + group) == ["a"] and names("member_of=!" + group) == ["b"]
    assert names("required=COMPUTE_NODE") == ["b"] and names("required=!COMPUTE_NODE") == ["a"]
    assert ask("GET", "/resource_providers?colour=red").status == 400
    assert ask("GET", "/resource_providers?resources=VCPU:1", version="1.3").status == 400


def test_the_root_document_is_under_microversions_too(ask: Ask) -> None:
    assert ask("GET", "/").body["versions"][0]["max_version"] == "1.39"
    assert ask("GET", "/", version="1.40").status == 406
