"""Rules mean what they mean in oslo.policy (it is the judge), files are read again, explanations are true."""
from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oslo_config import cfg
from oslo_policy import policy as oslo

from pilvi.core import policy
from pilvi.core.policy import PolicyInvalid, Rule, Rules

VALUES = st.sampled_from(["a", "b", "A", "None", "True", "1", None, True, 1])
WITH_ID = st.fixed_dictionaries({}, optional={"id": VALUES})
CREDS = st.fixed_dictionaries({}, optional={
    "roles": st.lists(st.sampled_from(["admin", "Member", "reader", "a"]), max_size=3),
    "project_id": VALUES, "user_id": VALUES, "is_admin_project": st.booleans(), "system_scope": st.sampled_from(["all", None]),
    "domain_id": st.sampled_from(["a", None]),
    "token": st.fixed_dictionaries({}, optional={
        "user": WITH_ID, "groups": st.lists(WITH_ID, max_size=2), "names": st.lists(st.sampled_from("ab"), max_size=2)})})
TARGETS = st.fixed_dictionaries({}, optional={
    "project_id": VALUES, "user_id": VALUES, "enabled": st.booleans(), "target.project.id": VALUES,
    "visibility": st.sampled_from(["public", "a"])})
REFERENCES = st.sampled_from([
    "%(project_id)s", "%(user_id)s", "%(enabled)s", "%(target.project.id)s", "%(visibility)s", "%(missing)s",
    "a", "all", "True", "x%(project_id)s", "%(user_id)s%(visibility)s", "100%%"])
KINDS = st.sampled_from([
    "project_id", "user_id", "is_admin_project", "system_scope", "system", "token.user.id", "token.groups.id", "token.names",
    "missing.deep", "None", "True", "1", "'public'", "'a'"])
CHECKS = st.one_of(
    st.sampled_from(["@", "!", "role:admin", "role:member", "role:READER", "role:%(visibility)s", "role:%(missing)s"]),
    st.sampled_from(["rule:one", "rule:two", "rule:absent"]), st.builds("{}:{}".format, KINDS, REFERENCES))
EXPRESSIONS = st.recursive(CHECKS, lambda inner: st.one_of(
    st.builds("not {}".format, inner), st.builds("({})".format, inner), st.builds("{} and {}".format, inner, inner),
    st.builds("{} or {}".format, inner, inner), st.builds("( {} OR {} )  AND\tnot ({})".format, inner, inner, inner)), max_leaves=8)
LISTS = st.lists(st.one_of(CHECKS, st.lists(CHECKS, max_size=3)), max_size=3)


def enforcer(rules: dict[str, Rule]) -> oslo.Enforcer:
    judge = oslo.Enforcer(cfg.ConfigOpts(), use_conf=False)
    judge.conf([], default_config_files=[], default_config_dirs=[])
    judge.set_rules(oslo.Rules.from_dict({name: rule.check for name, rule in rules.items()}), use_conf=False)
    for name, rule in rules.items():
        if rule.scope_types: judge.registered_rules[name] = oslo.RuleDefault(name, "@", scope_types=list(rule.scope_types))
    return judge


@settings(max_examples=600, deadline=None)
@given(check=st.one_of(EXPRESSIONS, LISTS), one=CHECKS.filter(lambda check: "rule:" not in check), creds=CREDS, target=TARGETS,
       scopes=st.lists(st.sampled_from(["system", "domain", "project"]), unique=True, max_size=2))
def test_rules_decide_as_oslo_policy_does(check: Any, one: str, creds: dict[str, Any], target: dict[str, Any], scopes: list[str]) -> None:
    rules = {"it": Rule(check, tuple(scopes)), "one": Rule(one), "two": Rule("not rule:one and role:reader")}
    ours = Rules(rules)
    expected = bool(enforcer(rules).enforce("it", target, dict(creds)))
    assert ours.allows("it", creds, target) == expected
    assert ours.explain("it", creds, target)[0] == f"it: {'yes' if expected else 'no'}"


@given(creds=CREDS, target=TARGETS, default=CHECKS.filter(lambda check: "rule:" not in check))
@settings(max_examples=100, deadline=None)
def test_a_missing_rule_is_the_default_rule_and_else_refuses(creds: dict[str, Any], target: dict[str, Any], default: str) -> None:
    assert not Rules({}).allows("absent", creds, target)
    rules = {"default": Rule(default), "it": Rule("rule:absent")}
    expected = bool(enforcer(rules).enforce("absent", target, dict(creds)))
    assert Rules(rules).allows("absent", creds, target) == Rules(rules).allows("it", creds, target) == expected


def test_targets_may_be_nested() -> None:
    rules = Rules({"it": Rule("project_id:%(target.project.id)s")})
    assert rules.allows("it", {"project_id": "p"}, {"target": {"project": {"id": "p"}}})
    assert not rules.allows("it", {"project_id": "p"}, {"target": {"project": "p"}})


@pytest.mark.parametrize(("check", "why"), [
    ("role:admin or", "a check is missing"), ("(role:admin", "not closed"), ("role:admin)", "not expected"), ("admin", "is no check"),
    ("role:a role:b", "not expected"), ("http://example.org/%(name)s", "not offered"), ("id:%(id)d", "only %"), ("id:%s", "only %"),
    ("rule:it", "circle: it > it"), ("   ", "a check is missing"), (None, "neither a rule nor"), ({"a": 1}, "neither a rule nor")])
def test_what_cannot_be_understood_is_an_error(check: Any, why: str) -> None:
    with pytest.raises(PolicyInvalid, match=f"it.*{why}|{why}"): Rules({"it": Rule(check)})


def test_a_circle_through_other_rules_is_found() -> None:
    with pytest.raises(PolicyInvalid, match="in a circle: a > b > c > a"):
        Rules({"a": Rule("rule:b"), "b": Rule("@ and rule:c"), "c": Rule("not rule:a")})


def test_the_file_is_read_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "RELOAD_SECONDS", 0.0)
    path = tmp_path / "policy.yaml"
    rules = Rules({"boot": Rule("role:member"), "list": Rule("rule:boot", deprecated_name="index")}, path)
    member: dict[str, Any] = {"roles": ["member"]}

    def allowed_after(text: str) -> tuple[bool, bool]:
        path.write_text(text)
        os.utime(path, ns=(time.time_ns(), time.time_ns()))
        return rules.allows("boot", member, {}), rules.allows("list", member, {})
    assert rules.allows("boot", member, {})
    assert allowed_after("boot: role:admin\n") == (False, False)
    assert allowed_after('{"boot": "role:member", "index": "!"}') == (True, False)
    assert allowed_after("boot: [[\n") == (True, False), "the rules from before stay in force"
    assert rules.problem and "neither YAML nor JSON" in rules.problem
    assert allowed_after("boot: role:admin or\n") == (True, False) and rules.problem and "boot" in rules.problem
    assert allowed_after("boot: ~\n") == (True, False), "oslo.policy takes a rule without text for 'everybody'"
    assert allowed_after("# nothing\n") == (True, True) and rules.problem is None
    path.unlink()
    assert rules.allows("list", member, {})


def test_the_file_is_not_looked_at_more_than_once_a_second(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    rules = Rules({"boot": Rule("@")}, path)
    assert rules.allows("boot", {}, {})
    path.write_text("boot: '!'\n")
    assert rules.allows("boot", {}, {})
    time.sleep(1.1)
    assert not rules.allows("boot", {}, {})


def test_a_service_does_not_start_with_a_broken_file(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("boot: role:\n  - a: b\n")
    with pytest.raises(PolicyInvalid): Rules({"boot": Rule("@")}, tmp_path / "policy.yaml")


def test_an_explanation_says_what_was_compared() -> None:
    rules = Rules({"admin": Rule("role:admin"), "delete": Rule("rule:admin or (role:member and project_id:%(project_id)s)", ("project",)),
                   "public": Rule("'public':%(visibility)s")})
    assert rules.explain("delete", {"roles": ["member"], "project_id": "p1"}, {"project_id": "p2"}) == [
        "delete: no",
        "  scope project: yes (the token's is project)",
        "  any of: no",
        "    rule:admin: no",
        "      role:admin: no (roles: member)",
        "    all of: no",
        "      role:member: yes (roles: member)",
        "      project_id:%(project_id)s: no (wanted 'p2', the token says 'p1')"]
    assert rules.explain("public", {}, {}) == ["public: no", "  'public':%(visibility)s: no (the target does not say)"]
    assert rules.explain("absent", {}, {}) == ["absent: no", "  there is no such rule: no"]
