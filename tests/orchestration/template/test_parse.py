"""Templates as values, parameters and their constraints, environments."""
from __future__ import annotations

from typing import Any

import pytest

from pilvi.core.errors import Failure
from pilvi.orchestration.errors import DependencyCycle, ParameterInvalid, ParameterMissing, ParameterUnknown, TemplateInvalid
from pilvi.orchestration.graph import check_acyclic
from pilvi.orchestration.template import environment
from pilvi.orchestration.template.parameters import described, values_of
from pilvi.orchestration.template.parse import parse

V = {"heat_template_version": "2018-08-31"}


@pytest.mark.parametrize(("template", "said"), [
    ({}, "Template format version not found"), ({"heat_template_version": "1999-01-01"}, "The template version is invalid"),
    ({"AWSTemplateFormatVersion": "2010-09-10"}, "should be: 2010-09-09"), (V | {"resource": {}}, 'section is invalid: "resource"'),
    ({"heat_template_version": "2013-05-23", "conditions": {}}, "section is invalid"), (V | {"resources": []}, "must be a mapping"),
    (V | {"resources": {"a": {"type": "X", "propertis": {}}}}, '"propertis" is not a valid keyword'), (V | {"resources": {"a": {}}},
                                                                                                       "type"),
    (V | {"resources": {"a": {"type": "X", "depends_on": "b"}}}, '"b" (in a) is incorrect'),
    (V | {"resources": {"a": {"type": "X", "deletion_policy": "Perhaps"}}}, "Invalid deletion policy"), (V | {"outputs": {"o": {}}},
                                                                                                         "value"),
    (V | {"parameters": {"p": {}}}, "Missing parameter type"), (V | {"parameters": {"p": {"type": "set"}}}, "Invalid type (set)"),
    (V | {"parameters": {"p": {"type": "string", "constraints": [{"range": {"min": 1}}]}}}, "Range constraint invalid for type string"),
    (V | {"parameters": {"p": {"type": "number", "default": 3, "constraints": [{"range": {"max": 2}}]}}}, "3 is out of range"),
    (V | {"parameters": {"p": {"type": "string", "constraints": [{"allowed_pattern": "("}]}}}, "not a regular expression"),
    (V | {"parameter_groups": [{"parameters": ["p"]}]}, "does not reference a valid parameter"), ([], "not a JSON object"),
])
def test_what_is_no_template(template: Any, said: str) -> None:
    with pytest.raises(Failure) as failure: parse(template)
    assert failure.value.status == 400 and said in failure.value.message


def schema(**kinds: Any) -> Any:
    return parse(V | {"parameters": kinds}).parameters


def test_values_come_in_their_types() -> None:
    wanted = schema(s={"type": "string"}, n={"type": "number"}, b={"type": "boolean"}, j={"type": "json"},
                    l={"type": "comma_delimited_list"}, d={"type": "string", "default": "x"})
    found = values_of(wanted, {"s": 5, "n": "2.5", "b": "off", "j": '{"a": 1}', "l": "a, b"}, {"d": "from defaults"}, {})
    assert found.values == {"s": "5", "n": 2.5, "b": False, "j": {"a": 1}, "l": ["a", "b"], "d": "from defaults"}
    assert found.shown()["j"] == '{"a":1}' and found.shown()["l"] == "a,b"


def test_hidden_values_are_covered() -> None:
    assert values_of(schema(p={"type": "string", "hidden": True}), {"p": "secret"}, {}, {}).shown() == {"p": "******"}


@pytest.mark.parametrize(("kind", "value", "said"), [
    ({"type": "string", "constraints": [{"length": {"min": 2, "max": 3}}]}, "a", "length (1) is out of range (min: 2, max: 3)"),
    ({"type": "string", "constraints": [{"allowed_values": ["a", "b"], "description": "a or b"}]}, "c", "a or b"),
    ({"type": "string", "constraints": [{"allowed_pattern": "[a-z]+"}]}, "A", "does not match pattern"),
    ({"type": "number", "constraints": [{"modulo": {"step": 10, "offset": 3}}]}, 12, "not a multiple of 10 with an offset of 3"),
    ({"type": "number"}, "many", "could not convert"), ({"type": "boolean"}, "perhaps", "not a valid boolean"), ({"type": "json"}, "{",
                                                                                                                 "valid JSON"),
])
def test_values_that_do_not_fit(kind: Any, value: Any, said: str) -> None:
    with pytest.raises(ParameterInvalid) as failure: values_of(schema(p=kind), {"p": value}, {}, {})
    assert said in failure.value.message


def test_missing_and_unknown_parameters() -> None:
    with pytest.raises(ParameterMissing): values_of(schema(p={"type": "string"}), {}, {}, {})
    with pytest.raises(ParameterUnknown): values_of({}, {"p": 1}, {}, {})


def test_a_parameter_as_validate_tells_it() -> None:
    kind = {"type": "number", "label": "L", "constraints": [{"range": {"min": 1, "max": 5}, "description": "few"},
                                                            {"custom_constraint": "x.y"}]}
    assert described(schema(p=kind)["p"], 3) == {
        "Type": "Number", "NoEcho": "false", "Description": "", "Label": "L", "Value": 3, "MinValue": 1, "MaxValue": 5,
        "ConstraintDescription": "few", "CustomConstraint": "x.y"}


def test_the_registry_means_types_by_name_pattern_and_place() -> None:
    found = environment.parse({"resource_registry": {
        "My::Server": "OS::Nova::Server", "Old::*": "New::*", "resources": {
            "db": {"My::Server": "db.yaml", "hooks": "pre-create"}, "web*": {"hooks": ["pre-update", "pre-delete"],
                                                                             "restricted_actions": "replace"},
            "outer": {"inner": {"hooks": "post-create"}}}}})
    assert found.type_of("My::Server", "x") == "OS::Nova::Server" and found.type_of("My::Server", "db") == "db.yaml"
    assert found.type_of("Old::Thing", "x") == "New::Thing" and found.type_of("OS::Heat::None", "x") == "OS::Heat::None"
    assert found.hooks("db") == {"pre-create"} and found.hooks("web1") == {"pre-update", "pre-delete"} and not found.hooks("x")
    assert found.restrictions("web1") == {"replace"} and found.within("outer").hooks("inner") == {"post-create"}
    assert found.within("outer").type_of("My::Server", "x") == "OS::Nova::Server"


@pytest.mark.parametrize("given",
                         [{"parameter": {}}, "- a", {"parameters": []}, {"resource_registry": {"resources": {"a": {"hooks": "x"}}}}])
def test_what_is_no_environment(given: Any) -> None:
    with pytest.raises(TemplateInvalid): environment.parse(given)


def test_a_registry_that_leads_in_a_circle() -> None:
    found = environment.parse({"resource_registry": {"A::B": "C::D", "C::D": "A::B"}})
    with pytest.raises(TemplateInvalid, match="to itself"): found.type_of("A::B", "x")


def test_environments_are_merged_by_their_strategies() -> None:
    merged = environment.merge([
        {"parameters": {"l": ["a"], "m": {"x": {"y": 1}}, "o": 1}, "resource_registry": {"A": "B"}},
        {"parameters": {"l": ["b"], "m": {"x": {"z": 2}}, "o": 2}, "resource_registry": {"C": "D"},
         "parameter_merge_strategies": {"l": "merge", "m": "deep_merge"}}])
    assert merged == {"parameters": {"l": ["a", "b"], "m": {"x": {"y": 1, "z": 2}}, "o": 2}, "resource_registry": {"A": "B", "C": "D"}}


def test_a_circle_is_told_with_its_way() -> None:
    check_acyclic({"a": ["b"], "b": ["c"], "c": []})
    with pytest.raises(DependencyCycle, match="b -> c -> b"): check_acyclic({"a": ["b"], "b": ["c"], "c": ["b"]})
    check_acyclic({str(n): [str(n + 1)] for n in range(5000)} | {"5000": []})
