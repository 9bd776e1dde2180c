"""Templates of CloudFormation: their sections, parameters and functions."""
from __future__ import annotations

from typing import Any

import pytest
from tests.orchestration.template.scopes import Fixed

from pilvi.core.errors import Failure
from pilvi.orchestration.template.functions import holds, resolve
from pilvi.orchestration.template.parameters import values_of
from pilvi.orchestration.template.parse import Template, parse
from pilvi.orchestration.template.versions import AWS, HEAT

A, H = {"AWSTemplateFormatVersion": "2010-09-09"}, {"HeatTemplateFormatVersion": "2012-12-12"}
WEB = A | {
    "Description": "d", "Mappings": {"Sizes": {"test": {"ram": "1"}, "prod": {"ram": "4"}}},
    "Parameters": {
        "Kind": {"Type": "String", "Default": "test", "AllowedValues": ["test", "prod"], "ConstraintDescription": "test or prod"},
        "Word": {"Type": "String", "NoEcho": "true", "MinLength": "2", "MaxLength": "4", "AllowedPattern": "[a-z]+"},
        "Count": {"Type": "Number", "Default": "3", "MinValue": 1, "MaxValue": 5},
        "Names": {"Type": "CommaDelimitedList", "Default": "a,b"}},
    "Conditions": {"Prod": {"Fn::Equals": [{"Ref": "Kind"}, "prod"]}, "Other": {"Fn::Not": [{"Condition": "Prod"}]},
                   "Both": {"Fn::And": ["Prod", {"Fn::Or": ["Prod", "Other"]}]}},
    "Resources": {
        "net": {"Type": "OS::Neutron::Net", "Condition": "Prod", "DeletionPolicy": "Retain"},
        "value": {"Type": "OS::Heat::Value", "DependsOn": "net", "Metadata": {"m": 1}, "Properties": {
            "value": {"Fn::FindInMap": ["Sizes", {"Ref": "Kind"}, "ram"]}}}},
    "Outputs": {"ram": {"Description": "o", "Value": {"Fn::GetAtt": ["value", "value"]}, "Condition": "Other"}}}


def test_the_sections() -> None:
    found = parse(WEB)
    assert (found.version, found.description, found.raw) == (AWS, "d", WEB)
    net, value = found.resources["net"], found.resources["value"]
    assert (net.condition, net.deletion_policy, value.depends_on, value.metadata) == ("Prod", "Retain", ("net",), {"m": 1})
    assert found.outputs["ram"].condition == "Other" and found.outputs["ram"].description == "o"
    assert parse(H).version == HEAT and parse(H).description == "No description"


def test_the_parameters() -> None:
    schema = parse(WEB).parameters
    assert values_of(schema, {"Word": "abc"}, {}, {}).values == {"Kind": "test", "Word": "abc", "Count": 3, "Names": ["a", "b"]}
    assert schema["Word"].hidden
    for wrong, said in (({"Word": "a"}, "length"), ({"Word": "ABC"}, "pattern"), ({"Word": "ab", "Count": 6}, "range"),
                        ({"Word": "ab", "Kind": "x"}, "test or prod")):
        with pytest.raises(Failure, match=said): values_of(schema, wrong, {}, {})


@pytest.mark.parametrize(("kind", "ram", "conditions"), [("test", "1", (False, True, False)), ("prod", "4", (True, False, True))])
def test_conditions_and_mappings(kind: str, ram: str, conditions: tuple[bool, ...]) -> None:
    template = parse(WEB)
    scope = Fixed(AWS, template.conditions, {"Kind": kind})
    assert resolve(template.resources["value"].properties, scope) == {"value": ram}
    assert tuple(holds(name, scope) for name in ("Prod", "Other", "Both")) == conditions
    assert resolve({"Fn::If": ["Prod", "yes", {"Ref": "Kind"}]}, scope) == ("yes" if kind == "prod" else "test")


@pytest.mark.parametrize(("written", "made"), [
    ({"Ref": "p"}, "x"), ({"Ref": "thing"}, "id-of-thing"), ({"Fn::GetAtt": ["thing", "address"]}, "10.0.0.1"),
    ({"Fn::GetAtt": "thing.address"}, "10.0.0.1"), ({"Fn::Join": ["-", ["a", {"Ref": "p"}]]}, "a-x"),
    ({"Fn::Select": ["1", ["a", "b"]]}, "b"),
    ({"Fn::Base64": "t"}, "t"), ({"Fn::GetAZs": ""}, ["nova"]), ({"Fn::Split": [",", "a,b"]}, ["a", "b"]),
    ({"Fn::Replace": [{"$p": "1"}, "is $p"]}, "is 1"), ({"Fn::ResourceFacade": "DeletionPolicy"}, "Retain"),
    ({"Fn::MemberListToMap": ["Name", "Value", [".member.0.Name=a", ".member.0.Value=1"]]}, {"a": "1"}),
])
def test_functions(written: Any, made: Any) -> None:
    assert resolve(written, Fixed(HEAT, parameters={"p": "x"})) == made


def test_the_name_of_a_mapping_may_be_made() -> None:
    template: Template = parse(H | {"Mappings": {"m": {"a": {"b": 7}}}, "Resources": {"r": {"Type": "X", "Properties": {
        "p": {"Fn::FindInMap": [{"Ref": "name"}, "a", "b"]}}}}})
    assert resolve(template.resources["r"].properties, Fixed(HEAT, parameters={"name": "m"})) == {"p": 7}
    with pytest.raises(Failure, match=r"There is no n\.a\.b"):
        resolve(template.resources["r"].properties, Fixed(HEAT, parameters={"name": "n"}))


def test_what_has_no_value_is_left_out() -> None:
    written = {"a": 1, "b": {"Fn::If": ["no", 2, {"Ref": "AWS::NoValue"}]}, "c": [{"Ref": "AWS::NoValue"}, 3]}
    assert resolve(written, Fixed(AWS, {"no": False})) == {"a": 1, "c": [3]}


@pytest.mark.parametrize(("template", "said"), [
    (A | {"Resource": {}}, 'section is invalid: "Resource"'), (H | {"Conditions": {}}, 'section is invalid: "Conditions"'),
    (H | {"HeatTemplateFormatVersion": "2013-01-01"}, "should be: 2012-12-12"), (A | {"Mappings": {"m": {"a": 1}}}, "maps of maps"),
    (A | {"Resources": []}, "must be a mapping"), (A | {"Resources": {"r": {"type": "X"}}}, '"type" is not a valid keyword'),
    (A | {"Resources": {"r": {"Type": "X", "DependsOn": "s"}}}, '"s" (in r) is incorrect'), (A | {"Outputs": {"o": {}}}, "value"),
    (A | {"Parameters": {"p": {"Type": "Set"}}}, "Invalid type (Set)"), (A | {"Parameters": {"p": {}}}, "Missing parameter type"),
    (A | {"Parameters": {"p": {"Type": "String", "Min": 1}}}, "Invalid key 'Min'"),
    (A | {"Resources": {"r": {"Type": "X", "DeletionPolicy": "Perhaps"}}}, "Invalid deletion policy"),
])
def test_what_is_no_template(template: Any, said: str) -> None:
    with pytest.raises(Failure) as failure: parse(template)
    assert failure.value.status == 400 and said in failure.value.message


@pytest.mark.parametrize("condition", [{"Fn::Not": "a"}, {"Fn::Not": []}, {"equals": [1, 1]}, {"Condition": "none"}])
def test_what_is_no_condition(condition: Any) -> None:
    with pytest.raises(Failure): holds(condition, Fixed(AWS, {"a": True}))
