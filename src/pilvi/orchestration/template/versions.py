"""The versions of HOT and of CloudFormation's templates, and which functions and condition functions each knows.

Source: Template Guide, "Heat template version" and the API reference's "List template functions". All versions are dates, and
CloudFormation's are before HOT's, so that one comparison serves both.
"""
from __future__ import annotations

from pilvi.orchestration.errors import VersionInvalid

ALIASES = {"newton": "2016-10-14", "ocata": "2017-02-24", "pike": "2017-09-01", "queens": "2018-03-02", "rocky": "2018-08-31",
           "wallaby": "2021-04-16"}
VERSIONS = ("2013-05-23", "2014-10-16", "2015-04-30", "2015-10-15", "2016-04-08", "2016-10-14", "2017-02-24", "2017-09-01", "2018-03-02",
            "2018-08-31", "2021-04-16")
FIRST, LATEST = VERSIONS[0], VERSIONS[-1]
CFN = {"HeatTemplateFormatVersion": "2012-12-12", "AWSTemplateFormatVersion": "2010-09-09"}
"""{what a template of CloudFormation calls its version: the only one there is}"""
HEAT, AWS = CFN.values()

FUNCTIONS: dict[str, tuple[str, str]] = {
    "get_param": (FIRST, LATEST), "get_resource": (FIRST, LATEST), "get_attr": (FIRST, LATEST), "get_file": (FIRST, LATEST),
    "list_join": (FIRST, LATEST), "str_replace": (FIRST, LATEST), "resource_facade": (FIRST, LATEST),
    "Fn::Select": (AWS, "2015-04-30"), **{name: (AWS, FIRST) for name in ("Fn::GetAZs", "Fn::Join", "Fn::Base64", "Ref")},
    **{name: (HEAT, FIRST) for name in ("Fn::Split", "Fn::Replace", "Fn::MemberListToMap", "Fn::ResourceFacade")},
    "Fn::GetAtt": (AWS, HEAT), "Fn::FindInMap": (AWS, HEAT), "Fn::If": (AWS, AWS),
    "repeat": ("2015-04-30", LATEST), "digest": ("2015-04-30", LATEST), "str_split": ("2015-10-15", LATEST),
    "map_merge": ("2016-04-08", LATEST), "yaql": ("2016-10-14", LATEST), "map_replace": ("2016-10-14", LATEST),
    "if": ("2016-10-14", LATEST), "filter": ("2017-02-24", LATEST), "str_replace_strict": ("2017-02-24", LATEST),
    "make_url": ("2017-09-01", LATEST), "list_concat": ("2017-09-01", LATEST), "str_replace_vstrict": ("2017-09-01", LATEST),
    "list_concat_unique": ("2017-09-01", LATEST), "contains": ("2017-09-01", LATEST)}
"""{function: (first version, last version)}"""
CONDITION_FUNCTIONS: dict[str, tuple[str, str]] = {
    **{name: ("2016-10-14", LATEST) for name in ("get_param", "equals", "not", "and", "or")},
    "yaql": ("2017-09-01", LATEST), "contains": ("2017-09-01", LATEST),
    **{name: (AWS, AWS) for name in ("Fn::Equals", "Fn::Not", "Fn::And", "Fn::Or", "Ref", "Fn::FindInMap")}}
CONDITIONS_SINCE, MANY_LISTS_SINCE, WHOLE_RESOURCE_SINCE = "2016-10-14", "2015-10-15", "2015-10-15"
NESTED_LOOP_SINCE, NULLABLE_IF_SINCE, PATH_SINCE = "2017-09-01", "2021-04-16", "2014-10-16"

DESCRIPTIONS = {
    "get_param": "A function for resolving parameter references.", "get_resource": "A function for resolving resource references.",
    "get_attr": "A function for resolving resource attributes.", "get_file": "A function for including a file inline.",
    "list_join": "A function for joining one or more lists of strings.", "str_replace": "A function for performing string substitutions.",
    "resource_facade": "A function for retrieving data in a parent provider template.",
    "Fn::Select": "A function for selecting an item from a list or map.", "Fn::GetAZs": "A function for retrieving the availability zones.",
    "Fn::Join": "A function for joining strings.", "Fn::Split": "A function for splitting strings.",
    "Fn::Replace": "A function for performing string substitutions.", "Fn::Base64": "A placeholder function for converting to base64.",
    "Fn::MemberListToMap": "A function to convert lists with enumerated keys and values to mapping.",
    "Fn::ResourceFacade": "A function for retrieving data in a parent provider template.",
    "Ref": "A function for resolving parameters or resource references.",
    "Fn::GetAtt": "A function for resolving resource attributes.",
    "Fn::FindInMap": "A function for resolving keys in the template mappings.",
    "Fn::If": "A function to return corresponding value based on condition evaluation.",
    "repeat": "A function for iterating over a list of items.", "digest": "A function for performing digest operations.",
    "str_split": "A function for splitting delimited strings into a list.", "map_merge": "A function for merging maps.",
    "yaql": "A function for executing a yaql expression.", "map_replace": "A function for performing substitutions on maps.",
    "if": "A function to return corresponding value based on condition evaluation.",
    "filter": "A function for filtering out values from lists.",
    "str_replace_strict": "A function for performing string substitutions, which fails when a key is not found.",
    "str_replace_vstrict": "A function for performing string substitutions, which fails when a key is not found or a value is empty.",
    "make_url": "A function for performing substitutions on maps.", "list_concat": "A function for extending lists.",
    "list_concat_unique": "A function for extending lists with unique items.",
    "contains": "A function for checking whether specific value is in sequence.",
    "equals": "A function for comparing whether two values are equal.",
    "not": "A function that acts as a NOT operator on a condition.", "and": "A function that acts as an AND operator on conditions.",
    "or": "A function that acts as an OR operator on conditions."}
DESCRIPTIONS |= {f"Fn::{name.capitalize()}": DESCRIPTIONS[name] for name in ("equals", "not", "and", "or")}


def version_of(written: object) -> str:
    """The dated version of what a template says. Raises VersionInvalid."""
    version = ALIASES.get(str(written), str(written))
    if version not in VERSIONS:
        raise VersionInvalid(version=str(written)[:80], known=", ".join((*VERSIONS, *ALIASES)))
    return version


def functions(version: str) -> frozenset[str]:
    """The functions of a version."""
    return frozenset(name for name, (since, until) in FUNCTIONS.items() if since <= version <= until)


def condition_functions(version: str) -> frozenset[str]:
    """The functions that its conditions may use."""
    return frozenset(name for name, (since, until) in CONDITION_FUNCTIONS.items() if since <= version <= until)


def has_conditions(version: str) -> bool:
    """May its templates have conditions?"""
    return version >= CONDITIONS_SINCE or version == AWS
