"""The functions of templates: each once, with what the Template Guide says of it, and what it refuses."""
from __future__ import annotations

import resource
import time
from typing import Any

import pytest
from tests.orchestration.template.scopes import Fixed

from pilvi.orchestration.errors import TemplateInvalid
from pilvi.orchestration.template import functions, versions
from pilvi.orchestration.template.values import UNKNOWN

PARAMETERS = {"n": 3, "word": "blue", "list": ["a", "b"], "map": {"k": {"deep": [1, 2]}}, "yes": True, "empty": []}
LOOP = {"template": {"p-%x%": "%x%/%y%"}, "for_each": {"%x%": ["1", "2"], "%y%": ["a", "b"]}}

GOOD: list[tuple[Any, Any]] = [
    ({"get_param": "word"}, "blue"), ({"get_param": ["map", "k", "deep", 1]}, 2), ({"get_resource": "net"}, "id-of-net"),
    ({"get_attr": ["net", "address"]}, "10.0.0.1"), ({"get_attr": ["net", "nets", "a", 1]}, "2"),
    ({"get_attr": ["net"]}, {"address": "10.0.0.1", "nets": {"a": ["1", "2"]}}), ({"get_attr": ["net", "missing"]}, None),
    ({"get_file": "a.sh"}, "text of a.sh"), ({"resource_facade": "metadata"}, {"k": "v"}), ({"resource_facade": "deletion_policy"},
                                                                                            "Retain"),
    ({"list_join": ["-", ["a", {"get_param": "word"}]]}, "a-blue"), ({"list_join": ["", ["a"], ["b", 1, None]]}, "ab1"),
    ({"list_join": [",", [{"a": 1}]]}, '{"a":1}'),
    ({"str_replace": {"template": "$a $ab $c", "params": {"$a": "$c", "$ab": 2, "$c": None}}}, "$c 2 "),
    ({"str_replace": {"template": "aabab", "params": {"ab": "b", "a": "ab", "b": "-"}}}, "abbb"),
    ({"str_replace_strict": {"template": "a", "params": {"a": "x"}}}, "x"),
    ({"str_replace_vstrict": {"template": "a", "params": {"a": "x"}}}, "x"),
    ({"str_split": [",", "a,b"]}, ["a", "b"]), ({"str_split": [",", "a,b", 1]}, "b"),
    ({"digest": ["md5", "hello"]}, "5d41402abc4b2a76b9719d911017c592"),
    ({"make_url": {"scheme": "http", "host": "::1", "port": 80, "path": "a b", "query": {"q": 1}, "username": "u", "password": "p/"}},
     "http://u:p%2F@[::1]:80/a%20b?q=1"),
    ({"map_merge": [{"a": 1, "b": 2}, {"b": 3}, None]}, {"a": 1, "b": 3}),
    ({"map_replace": [{"a": "x", "b": "y"}, {"keys": {"a": "c"}, "values": {"y": "z"}}]}, {"c": "x", "b": "z"}),
    ({"filter": [["a"], ["a", "b", "a"]]}, ["b"]), ({"list_concat": [["a"], ["b", "a"], None]}, ["a", "b", "a"]),
    ({"list_concat_unique": [["a"], ["b", "a"]]}, ["a", "b"]), ({"contains": ["a", {"get_param": "list"}]}, True),
    ({"yaql": {"expression": "$.data.where($ > 1).sum()", "data": [1, 2, 3]}}, 5),
    ({"yaql": {"expression": "$.data.where($ =~ '^(?=a)')", "data": ["ab", "b"]}}, ["ab"]),
    ({"repeat": LOOP}, [{"p-1": "1/a"}, {"p-1": "1/b"}, {"p-2": "2/a"}, {"p-2": "2/b"}]),
    ({"repeat": {**LOOP, "permutations": False}}, [{"p-1": "1/a"}, {"p-2": "2/b"}]),
    ({"repeat": {"template": {"get_attr": ["%r%", "address"]}, "for_each": {"%r%": ["x"]}}}, ["10.0.0.1"]),
    ({"repeat": {"template": "%n%", "for_each": {"%n%": [{"a": 1}]}}}, [{"a": 1}]),
    ({"if": ["big", "yes", "no"]}, "yes"), ({"if": [{"not": "big"}, "yes", "no"]}, "no"),
    ({"a": {"if": ["small", 1]}, "b": [{"if": ["small", 1]}, 2]}, {"b": [2]}),
    ({"get_param": "x", "other": 1}, {"get_param": "x", "other": 1}),
    ({"list_join": ["", [{"get_attr": ["late", "x"]}]]}, UNKNOWN),
    ({"k": [{"get_attr": ["late", "x"]}]}, {"k": [UNKNOWN]}),
]
CONDITIONS = {"big": {"equals": [{"get_param": "n"}, 3]}, "small": {"not": "big"}, "both": {"and": ["big", {"get_param": "yes"}]},
              "loop": {"not": "loop2"}, "loop2": {"or": ["loop", "big"]}, "has": {"contains": ["a", {"get_param": "list"}]},
              "late": {"equals": [{"get_attr": ["late", "x"]}, 1]}, "q": {"yaql": {"expression": "$.data > 2", "data": {"get_param": "n"}}}}

BAD: list[tuple[Any, str]] = [
    ({"get_param": "gone"}, "The Parameter (gone) was not provided"), ({"list_join": ["-"]}, "list_join"),
    ({"list_join": [1, ["a"]]}, "delimiter"), ({"str_replace": {"template": "a"}}, "params"),
    ({"str_replace_strict": {"template": "a", "params": {"b": "x"}}}, "not found in the template: b"),
    ({"str_replace_vstrict": {"template": "a", "params": {"a": ""}}}, "empty value"),
    ({"str_split": [",", "a", 7]}, "between 0 and 0"), ({"digest": ["crc", "a"]}, "Algorithm"), ({"make_url": {"hots": "x"}}, "hots"),
    ({"make_url": {"host": "x", "port": "http"}}, "port"), ({"map_merge": [1]}, "list of maps"),
    ({"map_replace": [{"a": 1, "b": 2}, {"keys": {"a": "b"}}]}, "collides"), ({"filter": ["a"]}, "two lists"),
    ({"repeat": {"template": "x"}}, "for_each"), ({"repeat": {**LOOP, "for_each": {"%x%": ["1"], "%y%": []}, "permutations": False}},
                                                  "length"),
    ({"repeat": {"template": "%x%", "for_each": {f"%{one}%": list(range(100)) for one in "xyz"}}}, "1000000 times"),
    ({"repeat": {"template": {"repeat": {"template": {"repeat": {"template": "x", "for_each": {"%c%": list(range(100))}}},
     "for_each": {"%b%": list(range(100))}}}, "for_each": {"%a%": list(range(100))}}}, "more values"),
    ({"yaql": {"expression": "$.data.nothing(", "data": 1}}, "Bad expression"), ({"if": ["loop", 1, 2]}, "Circular definition"),
    ({"yaql": {"expression": "range(0, 100000000).toList()", "data": 1}}, "Bad expression"),
    ({"if": ["unknown", 1, 2]}, "Invalid condition"), ({"if": ["late", 1, 2]}, "only depend on parameters"), ({"if": ["big"]}, "if"),
    ({"Fn::Join": ["", ["a"]]}, "not a function of heat_template_version"), ({"resource_facade": "nose"}, "resource_facade"),
]


@pytest.mark.parametrize(("written", "meant"), GOOD, ids=lambda value: str(value)[:60])
def test_what_functions_make(written: Any, meant: Any) -> None:
    assert functions.resolve(written, Fixed(conditions=CONDITIONS, parameters=PARAMETERS)) == meant


@pytest.mark.parametrize(("written", "said"), BAD, ids=lambda value: str(value)[:60])
def test_what_functions_refuse(written: Any, said: str) -> None:
    with pytest.raises(Exception) as failure: functions.resolve(written, Fixed(conditions=CONDITIONS, parameters=PARAMETERS))
    assert failure.value.status == 400 and said in failure.value.message  # type: ignore[attr-defined]


LONG, MANY = "a" * 500_000, [str(number) for number in range(30_000)]
BOMBS: dict[str, Any] = {
    "a long delimiter": {"list_join": [{"get_param": "long"}, [""] * 1000]},
    "a letter becomes a text": {"str_replace": {"template": {"get_param": "long"}, "params": {"a": {"get_param": "long"}}}},
    "more params than work": {"str_replace": {"template": {"get_param": "long"}, "params": {f"a{n}b": "x" for n in range(5000)}}},
    "placeholders become texts": {"repeat": {"template": "%x%" * 100, "for_each": {"%x%": [LONG] * 10}}},
    "more placeholders than work": {"repeat": {"template": LONG, "for_each": {f"%{n}%": ["x"] for n in range(5000)}}},
    "a list many times": {"list_concat": [{"get_param": "many"}] * 1000}, "a list in lists": [{"get_param": "many"}] * 1000,
    "a file many times": [{"get_param": "long"}] * 1000, "lists of digests": [{"digest": ["md5", {"get_param": "long"}]}] * 1000,
    "split many times": [{"str_split": ["a", {"get_param": "long"}]}] * 1000,
    "conditions that double": {"if": ["c60", 1, 2]}, "a chain of conditions": {"if": ["d2000", 1, 2]},
    "long sums": {"yaql": {"expression": "range(9000).select(range(9000).sum()).sum()", "data": 1}},
    "a number of many digits": {"yaql": {"expression": "pow(9, 9999999)", "data": 1}},
    "a text doubled": {"yaql": {"expression": "range(40).aggregate($1 + $1, aaaaaaaa)", "data": 1}},
    "an endless pattern": {"yaql": {"expression": "regex('(a+)+$').matches($.data)", "data": "a" * 60 + "b"}},
    "bits": {"yaql": {"expression": "shiftBitsLeft(1, 100000000000)", "data": 1}}}
DOUBLING = {"c0": True} | {f"c{n}": {"and": [f"c{n - 1}"] * 2} for n in range(1, 61)}
CHAIN = {"d0": True} | {f"d{n}": {"not": f"d{n - 1}"} for n in range(1, 2001)}


@pytest.mark.parametrize("name", BOMBS)
def test_what_would_never_end_or_fill_the_memory_is_refused(name: str) -> None:
    began, before = time.thread_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TemplateInvalid):
        functions.resolve(BOMBS[name], Fixed(conditions=DOUBLING | CHAIN, parameters={"long": LONG, "many": MANY}))
    assert time.thread_time() - began < 10 and resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_what_is_compared_with_each_other_takes_no_longer_than_its_length() -> None:
    began = time.thread_time()
    scope = Fixed(parameters={"many": MANY})
    assert functions.resolve({"list_concat_unique": [{"get_param": "many"}, {"get_param": "many"}]}, scope) == MANY
    assert functions.resolve({"filter": [{"get_param": "many"}, {"get_param": "many"}]}, scope) == []
    assert time.thread_time() - began < 5
    assert functions.resolve({"list_concat_unique": [[{"a": [1]}, [1]], [{"a": [1]}, 1, "1", [1]]]}, scope) == [{"a": [1]}, [1], 1, "1"]


def test_an_expression_that_was_too_much_does_no_harm_to_the_next() -> None:
    with pytest.raises(TemplateInvalid): functions.resolve(BOMBS["bits"], Fixed())
    assert functions.resolve({"yaql": {"expression": "$.data + 1", "data": 1}}, Fixed()) == 2


@pytest.mark.parametrize(("name", "holds"), [("big", True), ("small", False), ("both", True), ("has", True), ("q", True)])
def test_conditions(name: str, holds: bool) -> None:
    assert functions.holds(name, Fixed(conditions=CONDITIONS, parameters=PARAMETERS)) is holds


@pytest.mark.parametrize(("written", "meant"), [
    ({"Fn::Join": ["-", ["a", "b"]]}, "a-b"), ({"Fn::Split": [",", "a,b"]}, ["a", "b"]), ({"Fn::Select": ["1", ["a", "b"]]}, "b"),
    ({"Fn::Select": ["k", {"k": 1}]}, 1), ({"Fn::Base64": "x"}, "x"), ({"Fn::GetAZs": ""}, ["nova"]), ({"Ref": "word"}, "blue"),
    ({"Ref": "net"}, "id-of-net"), ({"Fn::Replace": [{"a": "b"}, "aa"]}, "bb"), ({"get_attr": ["net", "address"]}, "10.0.0.1"),
    ({"Fn::MemberListToMap": ["Name", "Value", [".member.0.Name=k", ".member.0.Value=v"]]}, {"k": "v"})])
def test_the_first_version_has_functions_that_later_ones_dropped(written: Any, meant: Any) -> None:
    assert functions.resolve(written, Fixed(version="2013-05-23", parameters=PARAMETERS)) == meant


def test_a_version_has_the_functions_of_its_time() -> None:
    assert "repeat" not in versions.functions("2014-10-16") and "repeat" in versions.functions("2015-04-30")
    assert functions.resolve({"filter": [["a"], ["a"]]}, Fixed(version="2014-10-16")) == {"filter": [["a"], ["a"]]}
    with pytest.raises(TemplateInvalid): functions.resolve({"if": ["c", 1]}, Fixed(version="2018-08-31", conditions={"c": True}))
    for version in versions.VERSIONS:
        for name in versions.functions(version) | versions.condition_functions(version): assert versions.DESCRIPTIONS[name]
