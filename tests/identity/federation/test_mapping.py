"""The mapping engine: examples of the administrator guide, and rules that could not be applied."""
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilvi.core.errors import Invalid
from pilvi.identity.federation.mapping import NothingFits, Person, apply, check

NAME = {"type": "UserName"}
USER = {"user": {"name": "{0}"}}


def rule(local: list[Any], *remote: Any) -> dict[str, Any]:
    return {"local": local, "remote": list(remote)}


def test_a_name_and_a_group() -> None:
    rules = [rule([USER, {"group": {"id": "g1"}}], NAME, {"type": "Type", "not_any_of": ["contractor", "guest"]})]
    assert apply(rules, {"UserName": "jo", "Type": "employee"}) == Person(name="jo", group_ids=["g1"])
    with pytest.raises(NothingFits): apply(rules, {"UserName": "jo", "Type": "employee;guest"})
    with pytest.raises(NothingFits): apply(rules, {"Type": "employee"})


def test_values_are_numbered_over_remotes_that_are_no_conditions() -> None:
    rules = [rule([{"user": {"name": "{0} {1}", "email": "{2}"}}], {"type": "First"}, {"type": "Kind", "any_one_of": ["a"]},
                  {"type": "Last"}, {"type": "Mail"})]
    assert apply(rules, {"First": "Jo", "Last": "Doe", "Mail": "jo@x", "Kind": "a;b"}) == Person(name="Jo Doe", email="jo@x")


@pytest.mark.parametrize(("remote", "groups"), [
    ({"type": "Groups"}, ["admins", "devs", "ops"]), ({"type": "Groups", "whitelist": ["devs"]}, ["devs"]),
    ({"type": "Groups", "blacklist": ["devs"]}, ["admins", "ops"]), ({"type": "Groups", "regex": True, "whitelist": ["^o", "s$"]},
                                                                   ["admins", "devs", "ops"]),
    ({"type": "Groups", "regex": True, "blacklist": ["^d"]}, ["admins", "ops"]), ({"type": "Groups", "whitelist": ["none"]}, [])])
def test_lists_of_groups(remote: dict[str, Any], groups: list[str]) -> None:
    rules = [rule([USER, {"groups": "{1}", "domain": {"name": "d"}}], NAME, remote)]
    assert apply(rules, {"UserName": "jo", "Groups": "admins;devs;ops"}).groups == [(name, {"name": "d"}) for name in groups]
    ids = [rule([USER, {"group_ids": "{1}"}], NAME, remote)]
    assert apply(ids, {"UserName": "jo", "Groups": "admins;devs;ops"}).group_ids == groups


def test_rules_add_up_and_the_first_user_wins() -> None:
    rules = [rule([USER], NAME), rule([{"user": {"name": "other"}}, {"group": {"name": "g", "domain": {"id": "d"}}}], NAME),
             rule([{"projects": [{"name": "of-{0}", "roles": [{"name": "member"}]}]}], NAME)]
    made = apply(rules, {"UserName": "jo"})
    assert (made.name, made.groups) == ("jo", [("g", {"id": "d"})])
    assert made.projects == [{"name": "of-jo", "roles": [{"name": "member"}]}]


def test_local_users_and_ids() -> None:
    rules = [rule([{"user": {"id": "{0}", "type": "local", "domain": {"id": "d"}}}], NAME)]
    assert apply(rules, {"UserName": "u1"}) == Person(kind="local", id="u1", domain={"id": "d"})


def test_without_a_user_the_remote_user_is_taken() -> None:
    rules = [rule([{"group": {"id": "g"}}], NAME)]
    assert apply(rules, {"UserName": "x", "REMOTE_USER": "jo"}).name == "jo"
    with pytest.raises(NothingFits, match="neither a name"): apply(rules, {"UserName": "x"})


@pytest.mark.parametrize(("bad", "word"), [
    (rule([{"user": {"name": "{1}"}}], NAME), "stands for nothing"),
    (rule([{"user": {"name": "{0}"}}], {"type": "A", "any_one_of": ["x"]}), "stands for nothing"),
    (rule([USER], NAME, {"type": "A", "any_one_of": ["x"], "not_any_of": ["y"]}), "more than one condition"),
    (rule([USER], NAME, {"type": "A", "regex": True, "any_one_of": ["("]}), "not a regular expression"),
    (rule([USER], NAME, {"type": "A", "regex": True, "whitelist": ["x" * 2000]}), "1024 characters")])
def test_rules_that_could_not_be_applied(bad: dict[str, Any], word: str) -> None:
    with pytest.raises(Invalid, match=word): check([bad])


@given(st.dictionaries(st.sampled_from(["UserName", "Type", "Groups", "REMOTE_USER"]), st.text(max_size=20)))
def test_whatever_is_asserted_makes_somebody_with_a_name_or_nobody(assertion: dict[str, str]) -> None:
    rules = [rule([USER, {"groups": "{1}", "domain": {"id": "d"}}], NAME, {"type": "Groups", "blacklist": ["admins"]}),
             rule([{"group": {"id": "g"}}], {"type": "Type", "any_one_of": ["employee"]})]
    try: person = apply(rules, assertion)
    except NothingFits: return
    assert (person.name or person.id) and "admins" not in [name for name, _ in person.groups]
    assert all(name for name, _ in person.groups)
