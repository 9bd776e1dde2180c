"""Stacks as a client meets them: paths, statuses, bodies, errors, lists."""
from __future__ import annotations

from typing import Any

import pytest
from tests.requests.orchestration.conftest import Stacks, template, thing

from pilvi.orchestration.template.parse import parse

RANDOM = {"type": "OS::Heat::RandomString"}


def test_the_life_of_a_stack(stacks: Stacks) -> None:
    made = stacks.make("life", {"a": RANDOM, "net": {"type": "OS::Neutron::Net", "properties": {
        "name": {"list_join": ["-", ["n", {"get_attr": ["a", "value"]}]]}}}},
        outputs={"name": {"value": {"get_attr": ["net", "name"]}}, "id": {"value": {"get_resource": "net"}}}, tags="one,two")
    word = stacks.ask("GET", stacks.path("life") + "/resources/a").body["resource"]["attributes"]["value"]
    assert stacks.outputs("life")["name"] == f"n-{word}" and stacks.networks() == [f"n-{word}"]
    assert made["tags"] == ["one", "two"] and made["parameters"]["OS::stack_name"] == "life" and made["stack_owner"] == "test-member"
    assert [event for event in stacks.events("life") if event[0] == "life"] == [("life", "CREATE_IN_PROGRESS"), ("life", "CREATE_COMPLETE")]
    path = stacks.path("life")
    stacks.remove("life")
    assert stacks.networks() == [] and stacks.ask("GET", "/stacks/life").status == 404
    assert stacks.ask("GET", path).body["stack"]["stack_status"] == "DELETE_COMPLETE"
    assert stacks.ask("DELETE", path).status == 404


def test_names_lead_to_addresses_with_the_id(stacks: Stacks) -> None:
    stacks.make("lookup", {"a": RANDOM})
    stack_id = stacks.show("lookup")["id"]
    for method, below in (("GET", ""), ("DELETE", ""), ("GET", "/resources"), ("GET", "/events"), ("GET", "/template"),
                          ("POST", "/actions")):
        answer = stacks.ask(method, f"/stacks/lookup{below}")
        assert answer.status == 302 and answer.headers["Location"].endswith(f"/stacks/lookup/{stack_id}{below}")
    assert stacks.ask("GET", f"/stacks/{stack_id}").status == 302
    assert stacks.ask("GET", f"/stacks/other/{stack_id}").status == 404


@pytest.mark.parametrize(("body", "status", "kind", "said"), [
    ({"stack_name": "x"}, 400, "HTTPBadRequest", "No template specified"), ({"template": {}}, 400, "HTTPBadRequest", "No stack name"),
    ({"stack_name": "1x", "template": template({})}, 400, "StackValidationFailed", "Invalid stack name 1x"),
    ({"stack_name": "x", "template": "a: [b"}, 400, "StackValidationFailed", "line 2"),
    ({"stack_name": "x", "template": template({"a": {"type": "OS::No::Such"}})}, 400, "StackValidationFailed",
     "The Resource Type (OS::No::Such) could not be found"),
    ({"stack_name": "x", "template": template({"a": thing(depends_on="b"), "b": thing(depends_on="a")})}, 400,
     "CircularDependencyException",
     "a -> b -> a"),
    ({"stack_name": "x", "template": template({"a": thing(valeu="1")})}, 400, "StackValidationFailed",
     "Property error: : resources.a.properties: : Unknown Property valeu"),
    ({"stack_name": "x", "template": template({"a": {"type": "OS::Heat::RandomString", "properties": {"length": 0}}})}, 400,
     "StackValidationFailed", "resources.a.properties.length: : 0 is out of range"),
    ({"stack_name": "x", "template": template({"a": thing()}, {"o": {"value": {"get_attr": ["b", "output"]}}})}, 400,
     "StackValidationFailed",
     'outputs.o.value: The specified reference "b" is incorrect'),
    ({"stack_name": "x", "template": template({"a": thing({"get_attr": ["a2", "nose"]}), "a2": thing()})}, 400, "StackValidationFailed",  # type: ignore[arg-type]
     "The Referenced Attribute (a2 nose) is incorrect"),
    ({"stack_name": "x", "template": template({}), "parameters": {"p": 1}}, 400, "UnknownUserParameter", "(p) was not defined"),
    ({"stack_name": "x", "template": template({}, parameters={"p": {"type": "string"}})}, 400, "UserParameterMissing",
     "(p) was not provided"),
    ({"stack_name": "x", "template": template({}), "timeout_mins": "soon"}, 400, "HTTPBadRequest", "timeout_mins"),
    ({"stack_name": "x", "template": template({"a": {"type": "loop.yaml"}}), "files": {
        "loop.yaml": "heat_template_version: 2018-08-31\nresources: {}\noutputs: []"}}, 400, "StackValidationFailed", "loop.yaml: The"),
])
def test_bad_requests_get_heats_error_body(stacks: Stacks, body: Any, status: int, kind: str, said: str) -> None:
    answer = stacks.ask("POST", "/stacks", body)
    assert answer.status == status and answer.body["code"] == status and answer.body["title"] == "Bad Request"
    assert answer.body["error"]["type"] == kind and said in answer.body["error"]["message"], answer.body


def test_a_name_is_taken_once(stacks: Stacks) -> None:
    stacks.make("twice", {})
    answer = stacks.ask("POST", "/stacks", {"stack_name": "twice", "template": template({})})
    assert answer.status == 409 and answer.body["error"]["type"] == "StackExists"


def test_strangers_and_readers(stacks: Stacks) -> None:
    stacks.make("mine", {"a": RANDOM})
    path = stacks.path("mine")
    assert stacks.ask("GET", path, who="reader").status == 200 and stacks.ask("DELETE", path, who="reader").status == 403
    for method, below in (("GET", ""), ("DELETE", ""), ("GET", "/resources"), ("GET", "/resources/a"), ("GET", "/events"),
                          ("GET", "/template")):
        assert stacks.ask(method, path + below, who="stranger").status in (400, 404)
    assert stacks.ask("GET", "/stacks/mine", who="stranger").status == 404
    assert stacks.ask("GET", "/stacks?global_tenant=1", who="reader").status == 403


def test_lists_filter_sort_page_and_count(stacks: Stacks) -> None:
    for name, tags in (("la", "x"), ("lb", "x,y"), ("lc", "y"), ("ld", "hidden")): stacks.make(name, {}, tags=tags)

    def names(query: str) -> list[str]:
        return [one["stack_name"] for one in stacks.ask("GET", f"/stacks?{query}").body["stacks"]]

    assert names("sort_keys=name&sort_dir=asc") == ["la", "lb", "lc"]
    assert names("sort_keys=name&sort_dir=asc&show_hidden=true") == ["la", "lb", "lc", "ld"]
    assert names("name=lb") == ["lb"] and names("status=FAILED") == [] and len(names("status=COMPLETE&action=CREATE")) == 3
    assert names("tags=x,y") == ["lb"] and set(names("tags_any=x,y")) == {"la", "lb", "lc"} and names("not_tags=x") == ["lc"]
    first = stacks.ask("GET", "/stacks?sort_keys=name&sort_dir=asc&limit=2&with_count=true").body
    assert first["count"] == 3 and [one["stack_name"] for one in first["stacks"]] == ["la", "lb"]
    assert names(f"sort_keys=name&sort_dir=asc&marker={first['stacks'][-1]['id']}") == ["lc"]


def test_preview_makes_nothing(stacks: Stacks) -> None:
    files = {"in.yaml": '{"heat_template_version": "2018-08-31", "resources": {"r": {"type": "OS::Heat::RandomString"}}}'}
    body = {"stack_name": "look", "template": template({"a": thing("v"), "n": {"type": "in.yaml"}}), "files": files}
    told = stacks.ask("POST", "/stacks/preview", body).body["stack"]
    assert told["resources"][0]["properties"]["value"] == "v" and told["resources"][1][0]["parent_resource"] == "n"
    assert stacks.ask("GET", "/stacks/look").status == 404


def test_preview_of_an_update_sorts_what_would_happen(stacks: Stacks) -> None:
    stacks.make("before", {"same": thing(), "changed": thing("1"), "other": RANDOM, "gone": thing()})
    wanted = {"same": thing(), "changed": thing("2"), "other": {**RANDOM, "properties": {"length": 5}}, "new": thing()}
    told = stacks.ask("PUT", stacks.path("before") + "/preview", {"template": template(wanted)}).body["resource_changes"]
    assert {kind: [one["resource_name"] for one in found] for kind, found in told.items()} == {
        "unchanged": ["same"], "updated": ["changed"], "replaced": ["other"], "added": ["new"], "deleted": ["gone"]}


def test_hidden_parameters_are_covered_and_immutable_ones_kept(stacks: Stacks) -> None:
    kinds = {"secret": {"type": "string", "hidden": True}, "fixed": {"type": "string", "immutable": True}}
    body = {"stack_name": "para", "template": template({}, parameters=kinds), "parameters": {"secret": "s", "fixed": "1"}}
    assert stacks.ask("POST", "/stacks", body).status == 201
    assert stacks.wait("para", "CREATE_COMPLETE")["parameters"]["secret"] == "******"
    assert stacks.ask("GET", stacks.path("para") + "/environment").body["parameters"]["secret"] == "******"
    answer = stacks.ask("PATCH", stacks.path("para"), {"parameters": {"fixed": "2"}})
    assert answer.status == 400 and answer.body["error"]["type"] == "ImmutableParameterModified"


def test_the_service_describes_itself(stacks: Stacks) -> None:
    types = stacks.ask("GET", "/resource_types").body["resource_types"]
    assert "OS::Heat::TestResource" in types and "OS::Neutron::Net" in types
    for name in types:
        assert stacks.ask("GET", f"/resource_types/{name}").status == 200
        made = stacks.ask("GET", f"/resource_types/{name}/template?template_type=hot").body
        assert next(iter(made["resources"].values()))["type"] == name
        made = stacks.ask("GET", f"/resource_types/{name}/template").body
        assert next(iter(parse(made).resources.values())).type == name, "a template of CloudFormation, which is understood too"
    assert stacks.ask("GET", "/resource_types/OS::No::Such").status == 404
    assert {"version": "heat_template_version.2018-08-31", "type": "hot", "aliases": ["heat_template_version.rocky"]} in stacks.ask(
        "GET", "/template_versions").body["template_versions"]
    found = stacks.ask("GET",
                       "/template_versions/heat_template_version.rocky/functions?with_condition_func=true").body["template_functions"]
    assert {"repeat", "yaql", "equals"} <= {one["functions"] for one in found}
    aws = "/template_versions/AWSTemplateFormatVersion.2010-09-09/functions"
    assert [one["functions"] for one in stacks.ask("GET", aws).body["template_functions"]] == [
        "Fn::Base64", "Fn::FindInMap", "Fn::GetAZs", "Fn::GetAtt", "Fn::If", "Fn::Join", "Fn::Select", "Ref"]
    assert "Fn::Not" in str(stacks.ask("GET", aws + "?with_condition_func=true").body)
    for version in ("AWSTemplateFormatVersion.2012-12-12", "AWSTemplateFormatVersion", "2010-09-09", "heat_template_version.2010-09-09"):
        assert stacks.ask("GET", f"/template_versions/{version}/functions").status == 404, version
    assert stacks.ask("GET", "/build_info").status == 200 and stacks.ask("GET", "/services", who="admin").status == 200


def test_a_snapshot_brings_a_stack_back(stacks: Stacks) -> None:
    outputs = {"o": {"value": {"get_attr": ["a", "output"]}}}
    stacks.make("snap", {"a": thing("1")}, outputs=outputs)
    path = stacks.path("snap")
    made = stacks.ask("POST", path + "/snapshots", {"name": "first"})
    assert made.status == 202 and made.body["status"] == "IN_PROGRESS"
    stacks.wait("snap", "SNAPSHOT_COMPLETE")
    stacks.change("snap", {"a": thing("2"), "b": RANDOM}, outputs=outputs)
    place = f"{path}/snapshots/{made.body['id']}"
    assert stacks.ask("GET", place).body["snapshot"]["status"] == "COMPLETE" and stacks.outputs("snap") == {"o": "2"}
    assert stacks.ask("POST", place + "/restore").status == 202
    stacks.wait("snap", "RESTORE_COMPLETE")
    assert stacks.outputs("snap") == {"o": "1"} and set(stacks.resources("snap")) == {"a"}
    assert stacks.ask("DELETE", place).status == 204 and stacks.ask("GET", place).status == 404


def test_an_abandoned_stack_can_be_adopted(stacks: Stacks) -> None:
    stacks.make("left", {"net": {"type": "OS::Neutron::Net", "properties": {"name": "left"}}, "a": RANDOM})
    word = stacks.ask("GET", stacks.path("left") + "/resources/a").body["resource"]["attributes"]["value"]
    assert stacks.ask("GET", stacks.path("left") + "/export").body["resources"]["net"]["status"] == "COMPLETE"
    data = stacks.ask("DELETE", stacks.path("left") + "/abandon").body
    assert stacks.ask("GET", "/stacks/left").status == 404 and stacks.networks() == ["left"]
    assert stacks.ask("POST", "/stacks", {"stack_name": "found", "adopt_stack_data": data}).status == 201
    stacks.wait("found", "ADOPT_COMPLETE")
    assert stacks.resources("found")["net"]["physical_resource_id"] == data["resources"]["net"]["resource_id"]
    assert stacks.ask("GET", stacks.path("found") + "/resources/a").body["resource"]["attributes"]["value"] == word
    stacks.remove("found")
    assert stacks.networks() == []
