"""How stacks come to what is wanted: order, replacement, failure, rollback, wishes that overtake one another, hooks, nesting, actions."""
from __future__ import annotations

import json

import pytest
from tests.requests.orchestration.conftest import VERSION, Stacks, thing

RANDOM = {"type": "OS::Heat::RandomString"}
NESTED = json.dumps({
    "heat_template_version": VERSION, "parameters": {"v": {"type": "string", "default": "d"}},
    "resources": {"inner": thing({"get_param": "v"})}, "outputs": {"out": {"value": {"get_attr": ["inner", "output"]}}}})  # type: ignore[arg-type]


def test_what_is_required_comes_first_and_goes_last(stacks: Stacks) -> None:
    stacks.make("order", {"c": thing(depends_on=["b"]), "b": thing({"get_attr": ["a", "output"]}), "a": thing()})  # type: ignore[arg-type]
    assert [name for name, status in stacks.events("order") if status == "CREATE_COMPLETE"] == ["a", "b", "c", "order"]
    path = stacks.path("order")
    stacks.remove("order")
    gone = [one["resource_name"] for one in stacks.ask("GET",
                                                       path + "/events").body["events"] if one["resource_status"] == "DELETE_COMPLETE"]
    assert gone == ["c", "b", "a", "order"]


def test_independent_resources_are_made_at_the_same_time(stacks: Stacks) -> None:
    stacks.make("wide", {f"r{n}": thing(action_wait_secs={"create": -1}) for n in range(10)}, wait="")
    for n in range(10): stacks.until("wide", f"r{n}", "CREATE_IN_PROGRESS")  # of each, though none of the others ever ends


def test_update_keeps_changes_replaces_adds_and_removes(stacks: Stacks) -> None:
    stacks.make("up", {"keep": RANDOM, "change": thing("1"), "swap": RANDOM, "drop": thing()})
    old = {name: one["physical_resource_id"] for name, one in stacks.resources("up").items()}
    stacks.change("up", {"keep": RANDOM, "change": thing("2"), "swap": {**RANDOM, "properties": {"length": 7}}, "add": thing()},
                  outputs={"swap": {"value": {"get_attr": ["swap", "value"]}}, "change": {"value": {"get_attr": ["change", "output"]}}})
    new = stacks.resources("up")
    assert set(new) == {"keep", "change", "swap", "add"} and new["keep"]["physical_resource_id"] == old["keep"]
    assert new["change"]["physical_resource_id"] == old["change"] and new["change"]["resource_status"] == "UPDATE_COMPLETE"
    assert new["swap"]["physical_resource_id"] != old["swap"] and len(stacks.outputs("up")["swap"]) == 7
    assert stacks.outputs("up")["change"] == "2" and ("swap", "DELETE_COMPLETE") in stacks.events("up")


def test_a_failure_stops_what_depends_on_it(stacks: Stacks) -> None:
    found = stacks.make("bad", {"a": thing(fail=True), "b": thing(depends_on="a")}, wait="CREATE_FAILED")
    assert found["stack_status_reason"] == "Resource CREATE failed: ValueError: resources.a: Test Resource failed a"
    assert "b" not in stacks.resources("bad")
    stacks.change("bad", {"a": thing(), "b": thing(depends_on="a")})
    assert {one["resource_status"] for one in stacks.resources("bad").values()} == {"CREATE_COMPLETE"}


def test_rollback_of_a_create_leaves_nothing(stacks: Stacks) -> None:
    stacks.make("back", {"net": {"type": "OS::Neutron::Net"}, "b": thing(fail=True, depends_on="net")}, disable_rollback=False,
                wait="ROLLBACK_COMPLETE")
    assert stacks.resources("back") == {} and stacks.networks() == []


def test_rollback_of_an_update_restores_what_was(stacks: Stacks) -> None:
    stacks.make("undo", {"a": thing("1"), "b": RANDOM}, outputs={"a": {"value": {"get_attr": ["a", "output"]}}})
    kept = stacks.resources("undo")["b"]["physical_resource_id"]
    stacks.change("undo", {"a": thing("2"), "b": RANDOM, "z": thing(fail=True, depends_on="a")}, disable_rollback=False,
                  wait="ROLLBACK_COMPLETE")
    assert stacks.outputs("undo") == {"a": "1"} and set(stacks.resources("undo")) == {"a", "b"}
    assert stacks.resources("undo")["b"]["physical_resource_id"] == kept


def test_a_rollback_returns_to_what_was_replaced(stacks: Stacks) -> None:
    stacks.make("former", {"a": RANDOM, "b": thing(depends_on="a")}, outputs={"v": {"value": {"get_attr": ["a", "value"]}}})
    old, value = stacks.resources("former")["a"]["physical_resource_id"], stacks.outputs("former")
    stacks.change("former", {"a": {**RANDOM, "properties": {"length": 9}}, "b": thing("2", depends_on="a", fail=True)},
                  outputs={"v": {"value": {"get_attr": ["a", "value"]}}}, disable_rollback=False, wait="ROLLBACK_COMPLETE")
    assert stacks.resources("former")["a"]["physical_resource_id"] == old and stacks.outputs("former") == value
    assert [status for _, status in stacks.events("former", "a")].count("DELETE_COMPLETE") == 1


def test_an_update_overtakes_a_create(stacks: Stacks) -> None:
    stacks.make("over", {"slow": thing("1", wait_secs=3), "b": thing(depends_on="slow")}, wait="")
    stacks.until("over", "slow", "CREATE_IN_PROGRESS")
    stacks.change("over", {"slow": thing("2"), "c": thing(depends_on="slow")}, outputs={"o": {"value": {"get_attr": ["slow", "output"]}}})
    assert set(stacks.resources("over")) == {"slow", "c"} and stacks.outputs("over") == {"o": "2"}


def test_what_is_being_removed_may_be_wanted_again(stacks: Stacks) -> None:
    slow = thing("1", action_wait_secs={"delete": 4.0})
    stacks.make("again", {"a": thing(), "slow": slow, "g": {"type": "n.yaml"}}, files={"n.yaml": NESTED})
    stacks.change("again", {"a": thing()}, wait="")
    stacks.until("again", "slow", "DELETE_IN_PROGRESS")
    stacks.change("again", {"a": thing(), "slow": slow, "g": {"type": "n.yaml"}}, files={"n.yaml": NESTED})
    assert set(stacks.resources("again", "?nested_depth=1")) == {"a", "slow", "g", "inner"}
    stacks.change("again", {"a": thing(fail=True)}, disable_rollback=False, wait="ROLLBACK_COMPLETE")
    assert set(stacks.resources("again", "?nested_depth=1")) == {"a", "slow", "g", "inner"}


def test_a_delete_overtakes_everything(stacks: Stacks) -> None:
    endless = {"action_wait_secs": {"create": -1}}
    stacks.make("stop", {"net": {"type": "OS::Neutron::Net"}, "slow": thing(depends_on="net", **endless)}, wait="")
    stacks.until("stop", "slow", "CREATE_IN_PROGRESS")
    stacks.remove("stop")
    assert stacks.networks() == []


def test_an_update_can_be_cancelled(stacks: Stacks) -> None:
    stacks.make("cancel", {"a": thing("1")}, outputs={"o": {"value": {"get_attr": ["a", "output"]}}})
    for action, status, value in (("cancel_update", "ROLLBACK_COMPLETE", "1"), ("cancel_without_rollback", "UPDATE_FAILED", "2")):
        stacks.change("cancel", {"a": thing("2", action_wait_secs={"update": -1})},
                      outputs={"o": {"value": {"get_attr": ["a", "output"]}}}, wait="")
        stacks.until("cancel", "a", "UPDATE_IN_PROGRESS")
        stacks.act("cancel", action, status)
        assert stacks.outputs("cancel") == {"o": value}
    stacks.change("cancel", {"a": thing("3")}, outputs={"o": {"value": {"get_attr": ["a", "output"]}}}, wait="", disable_rollback=False)


def test_unhealthy_resources_are_replaced(stacks: Stacks) -> None:
    stacks.make("ill", {"a": RANDOM})
    old = stacks.resources("ill")["a"]["physical_resource_id"]
    assert stacks.ask("PATCH", stacks.path("ill") + "/resources/a",
                      {"mark_unhealthy": True, "resource_status_reason": "seen"}).status == 200
    assert stacks.resources("ill")["a"]["resource_status"] == "CHECK_FAILED"
    stacks.change("ill", {"a": RANDOM})
    assert stacks.resources("ill")["a"]["physical_resource_id"] != old


def test_suspend_resume_check_reach_nested_stacks(stacks: Stacks) -> None:
    stacks.make("acts", {"n": {"type": "n.yaml"}}, files={"n.yaml": NESTED})
    for action in ("suspend", "resume", "check"):
        stacks.act("acts", action, f"{action.upper()}_COMPLETE")
        inner = stacks.resources("acts", "?nested_depth=2")["inner"]
        assert inner["resource_status"] == f"{action.upper()}_COMPLETE" and inner["parent_resource"] == "n"


def test_hooks_wait_until_they_are_cleared(stacks: Stacks) -> None:
    environment = {"resource_registry": {"resources": {"b": {"hooks": ["pre-create", "post-create"]}}}}
    stacks.make("hook", {"a": thing(), "b": thing(depends_on="a"), "c": thing(depends_on="b")}, environment=environment, wait="")
    for hook, then in (("pre-create", "CREATE_IN_PROGRESS"), ("post-create", "CREATE_COMPLETE")):
        stacks.told("hook", "b", f"paused until Hook {hook} is cleared")
        refused = stacks.ask("POST", stacks.path("hook") + "/resources/b/signal", {"unset_hook": "pre-delete"})
        assert refused.status == 400
        assert stacks.ask("POST", stacks.path("hook") + "/resources/b/signal", {"unset_hook": hook}).status == 200
        stacks.until("hook", "b", then)
    stacks.wait("hook", "CREATE_COMPLETE")


def test_nested_stacks_and_groups(stacks: Stacks) -> None:
    group = {"type": "OS::Heat::ResourceGroup",
             "properties": {"count": 3, "resource_def": {"type": "n.yaml", "properties": {"v": "x%index%"}}}}
    outputs = {"a": {"value": {"get_attr": ["a", "out"]}}, "all": {"value": {"get_attr": ["g", "out"]}},
               "one": {"value": {"get_attr": ["g", "resource.1.out"]}}, "map": {"value": {"get_attr": ["g", "attributes", "out"]}}}
    stacks.make("nest", {"a": {"type": "n.yaml", "properties": {"v": "top"}}, "g": group}, files={"n.yaml": NESTED}, outputs=outputs)
    assert stacks.outputs("nest") == {"a": "top", "all": ["x0", "x1", "x2"], "one": "x1", "map": {"0": "x0", "1": "x1", "2": "x2"}}
    group["properties"] = {**group["properties"], "count": 2, "removal_policies": [{"resource_list": ["0"]}]}  # type: ignore[dict-item]
    stacks.change("nest", {"g": group}, files={"n.yaml": NESTED}, outputs={"all": outputs["all"]})
    assert stacks.outputs("nest") == {"all": ["x1", "x2"]}
    assert len(stacks.ask("GET", "/stacks?show_nested=true").body["stacks"]) == 4
    stacks.remove("nest")
    assert stacks.ask("GET", "/stacks?show_nested=true").body["stacks"] == []


def test_a_chain_makes_one_after_the_other(stacks: Stacks) -> None:
    stacks.make("chain", {"c": {"type": "OS::Heat::ResourceChain", "properties": {
        "resources": ["OS::Heat::TestResource"] * 3, "resource_properties": {"value": "v"}}}},
        outputs={"o": {"value": {"get_attr": ["c", "attributes", "output"]}}})
    assert stacks.outputs("chain") == {"o": {"0": "v", "1": "v", "2": "v"}}


def test_conditions_decide_what_there_is(stacks: Stacks) -> None:
    whole = {"heat_template_version": VERSION, "parameters": {"big": {"type": "boolean", "default": False}},
             "conditions": {"big": {"get_param": "big"}}, "resources": {"a": thing(), "b": {**thing(), "condition": "big"}},
             "outputs": {"o": {"value": {"if": ["big", {"get_attr": ["b", "output"]}, "none"]}}, "p": {"value": 1, "condition": "big"}}}
    assert stacks.ask("POST", "/stacks", {"stack_name": "cond", "template": whole}).status == 201
    stacks.wait("cond", "CREATE_COMPLETE")
    assert set(stacks.resources("cond")) == {"a"} and stacks.outputs("cond") == {"o": "none"}
    stacks.ask("PATCH", stacks.path("cond"), {"parameters": {"big": True}})
    stacks.wait("cond", "UPDATE_COMPLETE")
    assert set(stacks.resources("cond")) == {"a", "b"} and stacks.outputs("cond") == {"o": "x", "p": 1}


def test_what_is_retained_stays(stacks: Stacks) -> None:
    stacks.make("retain", {"net": {"type": "OS::Neutron::Net", "deletion_policy": "retain", "properties": {"name": "kept"}}})
    found = stacks.resources("retain")["net"]["physical_resource_id"]
    stacks.remove("retain")
    assert stacks.networks() == ["kept"]
    stacks.make("takes", {"net": {"type": "OS::Neutron::Net", "external_id": found}},
                outputs={"n": {"value": {"get_attr": ["net", "name"]}}})
    assert stacks.outputs("takes") == {"n": "kept"}
    stacks.remove("takes")
    assert stacks.networks() == ["kept"]
    stacks.cloud.ask("member", "network", "DELETE", f"/v2.0/networks/{found}")


@pytest.mark.slow
def test_two_hundred_resources_cost_little(stacks: Stacks) -> None:
    stacks.make("many", {f"r{n}": RANDOM for n in range(100)} | {
        f"v{n}": {"type": "OS::Heat::Value", "properties": {"value": {"get_attr": [f"r{n}", "value"]}}} for n in range(100)})
    assert len(stacks.resources("many")) == 200
