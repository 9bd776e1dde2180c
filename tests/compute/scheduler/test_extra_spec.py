"""Extra specs mean what oslo.utils' matcher says; where that one raises, the requirement is not met."""
from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oslo_utils import specs_matcher

from pilvi.compute.scheduler.extra_spec import meets

WORD = st.sampled_from(["1", "2", "10", "2.5", "aes", "mmx", "x86_64", "AES", "-3"])
VALUE = st.one_of(WORD, st.lists(WORD, max_size=3).map(str))
SIGN = st.sampled_from(["=", "==", "!=", "<", "<=", ">", ">=", "s==", "s!=", "s<", "s<=", "s>", "s>=", "<in>"])
REQUIREMENT = st.one_of(
    WORD, st.builds("{} {}".format, SIGN, WORD), st.lists(WORD, min_size=1, max_size=3).map(lambda words: "<or> " + " <or> ".join(words)),
    st.lists(WORD, min_size=1, max_size=3).map(lambda words: "<all-in> " + " ".join(words)),
    st.builds("<range-in> {} {} {} {}".format, st.sampled_from("[("), WORD, WORD, st.sampled_from("])")))


@settings(max_examples=500, deadline=None)
@given(value=VALUE, requirement=REQUIREMENT)
def test_requirements_are_met_as_upstream_says(value: str, requirement: str) -> None:
    try: expected = bool(specs_matcher.match(value, requirement))
    except (ValueError, TypeError, SyntaxError): expected = False
    assert meets(value, requirement) == expected


@pytest.mark.parametrize(("value", "requirement", "met"), [
    ("4", "= 4", True), ("5", "= 4", True), ("3", "= 4", False), ("many", ">= 4", False), ("4", "<range-in> nonsense", False),
    ("a b", "a b", True)])
def test_examples(value: str, requirement: str, met: bool) -> None:
    assert meets(value, requirement) is met
