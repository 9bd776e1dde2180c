"""Stacks of CloudFormation's templates: made, changed, told, and within each other."""
from __future__ import annotations

from typing import Any

from tests.requests.orchestration.conftest import Stacks, template


def cloudformation(value: str = "1", **more: Any) -> dict[str, Any]:
    return {
        "AWSTemplateFormatVersion": "2010-09-09", "Description": "of two things",
        "Mappings": {"Words": {"short": {"word": "w"}, "long": {"word": "word"}}},
        "Parameters": {"Length": {"Type": "String", "Default": "short"}},
        "Conditions": {"Long": {"Fn::Equals": [{"Ref": "Length"}, "long"]}},
        "Resources": {
            "first": {"Type": "OS::Heat::TestResource", "Properties": {"value": value}},
            "second": {"Type": "OS::Heat::TestResource", "DependsOn": "first", "Properties": {
                "value": {"Fn::Join": ["-", [
                    {"Fn::GetAtt": ["first", "output"]}, {"Fn::FindInMap": ["Words", {"Ref": "Length"}, "word"]}]]}}},
            "third": {"Type": "OS::Heat::TestResource", "Condition": "Long"}},
        "Outputs": {"said": {"Value": {"Fn::GetAtt": ["second", "output"]}}, "name": {"Value": {"Ref": "AWS::StackName"}},
                    "arn": {"Value": {"Ref": "AWS::StackId"}}}, **more}


def test_a_stack(stacks: Stacks) -> None:
    made = stacks.make("aws", {}, template=cloudformation())
    assert made["description"] == made["template_description"] == "of two things"
    assert made["parameters"] == {"AWS::StackName": "aws", "AWS::StackId": stacks.outputs("aws")["arn"], "AWS::Region": "ap-southeast-1",
                                  "Length": "short"}
    assert made["parameters"]["AWS::StackId"].startswith("arn:openstack:heat::") and made["id"] in made["parameters"]["AWS::StackId"]
    assert stacks.outputs("aws")["said"] == "1-w" and stacks.outputs("aws")["name"] == "aws" and set(stacks.resources("aws")) == {
        "first", "second"}
    assert stacks.ask("GET", stacks.path("aws") + "/template").body == cloudformation()
    answer = stacks.ask("PUT", stacks.path("aws"), {"template": cloudformation("2"), "parameters": {"Length": "long"}})
    assert answer.status == 202, answer.body
    stacks.wait("aws", "UPDATE_COMPLETE")
    assert stacks.outputs("aws")["said"] == "2-word" and set(stacks.resources("aws")) == {"first", "second", "third"}


def test_it_is_validated_and_refused(stacks: Stacks) -> None:
    found = stacks.ask("POST", "/validate", {"template": cloudformation()}).body
    assert found["Description"] == "of two things" and found["Parameters"]["Length"]["Default"] == "short"
    for wrong in ({"Outputs": {"o": {"Value": {"Fn::GetAtt": ["none", "output"]}}}}, {"Mappings": {}}, {"Conditions": {}},
                  {"Resources": {"a": {"Type": "AWS::EC2::VPC"}}}):
        answer = stacks.ask("POST", "/stacks", {"stack_name": "wrong", "template": cloudformation(**wrong)})
        assert answer.status == 400, (wrong, answer.body)


def test_one_as_a_resource_of_another(stacks: Stacks) -> None:
    inner = {"HeatTemplateFormatVersion": "2012-12-12", "Parameters": {"word": {"Type": "String"}},
             "Resources": {"r": {"Type": "OS::Heat::TestResource", "Properties": {"value": {"Ref": "word"}}}},
             "Outputs": {"said": {"Value": {"Fn::GetAtt": ["r", "output"]}}}}
    outer = template({"inside": {"type": "inner.yaml", "properties": {"word": "hello"}}},
                     {"o": {"value": {"get_attr": ["inside", "said"]}}})
    stacks.make("outer", {}, template=outer, files={"inner.yaml": inner})
    assert stacks.outputs("outer")["o"] == "hello"
