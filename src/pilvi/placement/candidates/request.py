"""What is asked: the query of GET /allocation_candidates (and the filters of GET /resource_providers) as values.

Source: Placement API, "Allocation candidates"; microversions 1.16 to 1.39, each where it is looked at.
"""
from __future__ import annotations

import re
from collections.abc import Iterable
from uuid import UUID

from msgspec import Struct

from pilvi.placement import errors

Pairs = list[tuple[str, str]]
KINDS = ("resources", "required", "member_of", "in_tree")
FORM = "VCPU:2,MEMORY_MB:1024"


class Group(Struct):
    """Resources with conditions on who gives them. With a suffix: one provider gives all; without: any of the tree may."""
    suffix: str = ""
    resources: dict[str, int] = {}
    required: list[frozenset[str]] = []
    """One of each set."""
    forbidden: frozenset[str] = frozenset()
    member_of: list[frozenset[str]] = []
    not_member_of: frozenset[str] = frozenset()
    in_tree: str | None = None


class Request(Struct):
    """A whole request."""
    groups: list[Group]
    limit: int | None = None
    isolate: bool = False
    """Each group with a suffix from another provider."""
    root_required: frozenset[str] = frozenset()
    root_forbidden: frozenset[str] = frozenset()
    same_subtree: list[frozenset[str]] = []
    nested: bool = True
    """False: from each tree at most one provider (what clients before 1.29 understand)."""

    def classes(self) -> set[str]:
        """The resource classes it names."""
        return {name for group in self.groups for name in group.resources}

    def traits(self) -> set[str]:
        """The traits it names."""
        named = {*self.root_required, *self.root_forbidden}
        for group in self.groups: named |= group.forbidden.union(*group.required)
        return named


def parse(pairs: Pairs, version: tuple[int, int]) -> Request:
    """The request that a query means at a microversion. Raises QueryInvalid and its like."""
    _check_names(pairs, version)
    suffixes = list(dict.fromkeys(key[len(kind):] for key, _ in pairs for kind in KINDS
                                  if re.fullmatch(kind + _suffix(version), key)))
    request = Request([group(pairs, suffix, version) for suffix in suffixes], nested=version >= (1, 29))
    for key, value in pairs:
        if key == "limit" and request.limit is None: request.limit = _limit(value)
        elif key == "group_policy":
            if value not in ("none", "isolate"): raise errors.QueryInvalid(reason=f"'{value[:40]}' is not one of ['none', 'isolate']")
            request.isolate = value == "isolate"
        elif key == "same_subtree": request.same_subtree.append(_subtree(value))
    _read_root(request, pairs)
    _check_groups(request, version)
    if sum(bool(one.suffix) for one in request.groups) > 1 and not any(key == "group_policy" for key, _ in pairs):
        raise errors.QueryMissing(
            reason="The \"group_policy\" parameter is required when specifying more than one \"resources{N}\" parameter.")
    return request


def _suffix(version: tuple[int, int]) -> str:
    if version < (1, 25): return ""
    return "([a-zA-Z0-9_-]{1,64})?" if version >= (1, 33) else "([1-9][0-9]*)?"


def _check_names(pairs: Pairs, version: tuple[int, int]) -> None:
    since = {"limit": (1, 16), "required": (1, 17), "member_of": (1, 21), "group_policy": (1, 25), "in_tree": (1, 31),
             "root_required": (1, 35), "same_subtree": (1, 36)}
    for key, _ in pairs:
        kind = next((kind for kind in KINDS if re.fullmatch(kind + _suffix(version), key)), key)
        if kind not in (*KINDS, "limit", "group_policy", "root_required", "same_subtree") or version < since.get(kind, (1, 10)):
            problem = "does not match any of the regexes" if version >= (1, 25) else "was unexpected"
            raise errors.QueryInvalid(reason=f"Additional properties are not allowed ('{key[:80]}' {problem})")
    if version < (1, 25) and not any(key == "resources" for key, _ in pairs):
        raise errors.QueryInvalid(reason="'resources' is a required property")


def group(pairs: Pairs, suffix: str, version: tuple[int, int]) -> Group:
    """The group of one suffix."""
    made = Group(suffix)
    values = {kind: [value for key, value in pairs if key == kind + suffix] for kind in KINDS}
    if values["resources"]: made.resources = resources(values["resources"][-1])
    for value in values["required"] if version >= (1, 39) else values["required"][-1:]:
        required, forbidden = traits(value, version)
        made.required, made.forbidden = made.required + required, made.forbidden | forbidden
    if len(values["member_of"]) > 1 and version < (1, 24):
        raise errors.QueryBadValue(reason=f"Multiple member_of{suffix} parameters are not supported")
    for value in values["member_of"]:
        wanted, unwanted = aggregates(value)
        if unwanted and version < (1, 32):
            raise errors.QueryBadValue(reason=f"Forbidden member_of{suffix} parameters are not supported in the specified microversion")
        if wanted: made.member_of = [*made.member_of, wanted]
        made.not_member_of |= unwanted
    if values["in_tree"]: made.in_tree = tree(values["in_tree"][-1])
    return made


def resources(text: str) -> dict[str, int]:
    """VCPU:2,MEMORY_MB:1024 as amounts."""
    form = f"Badly formed resources parameter. Expected resources query string parameter in form: ?resources={FORM}. Got: "
    if not text.strip(): raise errors.QueryBadValue(reason=form + "empty string.")
    found = {}
    for entry in text.split(","):
        name, colon, amount = entry.partition(":")
        if not colon or ":" in amount: raise errors.QueryBadValue(reason=f"{form}{entry[:80]}.")
        try: found[name] = int(amount)
        except ValueError:
            raise errors.QueryBadValue(
                reason=f"Requested resource {name[:80]} expected positive integer amount. Got: {amount[:40]}.") from None
        if found[name] < 1: raise errors.QueryBadValue(reason=f"Requested resource {name} requires amount >= 1. Got: {found[name]}.")
    return found


def traits(text: str, version: tuple[int, int]) -> tuple[list[frozenset[str]], frozenset[str]]:
    """(required: one of each set, forbidden) of A,!B or in:A,B."""
    anyof = text.startswith("in:")
    names = [name.strip() for name in text.removeprefix("in:").split(",")]
    plain, got = "HW_CPU_X86_VMX,CUSTOM_MAGIC", f"Got: {text[:200]}"
    if anyof and version < (1, 39):
        raise errors.QueryInvalid(reason=f"The format 'in:{plain}' only supported since microversion 1.39. {got}")
    unwanted = frozenset(name.lstrip("!") for name in names if name.startswith("!"))
    if anyof and unwanted:
        raise errors.QueryInvalid(reason=f"The format 'in:{plain}' does not support forbidden traits. {got}")
    forms = "in:" + plain if anyof else plain.replace(",", ",!") if version >= (1, 22) else plain
    expected = f"Expected 'required' parameter value of the form: {forms}. "
    if not all(names) or "" in unwanted: raise errors.QueryInvalid(reason=f"{expected}Got an empty trait in: {text[:200]}")
    if unwanted and version < (1, 22): raise errors.QueryInvalid(reason=expected + got)
    if anyof: return [frozenset(names)], frozenset()
    return [frozenset([name]) for name in names if not name.startswith("!")], unwanted


def aggregates(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """(one of these, none of those) of UUID, in:UUID,UUID, !UUID or !in:UUID,UUID."""
    bare = text.removeprefix("!")
    if "," in bare and not bare.startswith("in:"):
        raise errors.QueryBadValue(reason="Multiple values for 'member_of' must be prefixed with the 'in:' or '!in:' keyword using the "
                                   f"valid microversion. Got: {text[:200]}")
    names = frozenset(_uuid(name, "member_of") for name in bare.removeprefix("in:").split(","))
    return (frozenset(), names) if text.startswith("!") else (names, frozenset())


def tree(text: str) -> str:
    """The id of a provider of the tree that is meant."""
    return _uuid(text.strip(), "in_tree")


def _uuid(text: str, parameter: str) -> str:
    try: return str(UUID(text))
    except ValueError: raise errors.QueryInvalid(
        reason=f"Expected '{parameter}' parameter to {'be a format of uuid' if parameter == 'in_tree' else 'contain valid UUID(s)'}. "
        f"Got: {text[:80]}") from None


def _limit(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,17}", text):
        raise errors.QueryInvalid(reason=f"'{text[:40]}' is no limit; Failed validating 'pattern'")
    return int(text)


def _subtree(text: str) -> frozenset[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise errors.QueryBadValue(reason="Empty string (unsuffixed group) can not be specified in `same_subtree` ")
    return frozenset(names)


def _read_root(request: Request, pairs: Pairs) -> None:
    given = [value for key, value in pairs if key == "root_required"]
    if len(given) > 1: raise errors.QueryTwice(name="root_required")
    if not given: return
    required, request.root_forbidden = traits(given[0], (1, 22))
    request.root_required = frozenset().union(*required)
    if clash := request.root_required & request.root_forbidden:
        raise errors.QueryBadValue(reason=f"Conflicting required and forbidden traits found in root_required: {', '.join(sorted(clash))}")


def _check_groups(request: Request, version: tuple[int, int]) -> None:
    bare = [one for one in request.groups if not one.resources]
    if version >= (1, 36):
        known, named = {one.suffix for one in request.groups}, frozenset().union(*request.same_subtree)
        if len(bare) == len(request.groups):
            raise errors.QueryMissing(reason="There must be at least one resources or resources[$S] parameter.")
        if lost := [one.suffix for one in bare if one.suffix not in named]:
            raise errors.QueryBadValue(reason="Resourceless suffixed group request should be specified in `same_subtree` query param: "
                                       f"bad group(s) - {lost}.")
        if lost := sorted(named - known):
            raise errors.QueryBadValue(reason=f"Real suffixes should be specified in `same_subtree`: {lost} not found in {sorted(known)}.")
    else: _check_orphans(request.groups, bare)
    clashes = (f"required{one.suffix}: ({', '.join(sorted(names))})" for one in request.groups for names in one.required
               if names <= one.forbidden)
    if clash := sorted(clashes):
        raise errors.BodyWrong(reason=f"Conflicting required and forbidden traits found in the following traits keys: {', '.join(clash)}")


def _check_orphans(groups: list[Group], bare: Iterable[Group]) -> None:
    for one in bare:
        if one.required: raise errors.BodyWrong(reason="All traits parameters must be associated with resources.  Found the following "
                                                f"orphaned traits keys: required{one.suffix}")
        if one.member_of or one.not_member_of:
            raise errors.BodyWrong(reason="All member_of parameters must be associated with resources. Found the following orphaned "
                                   f"member_of keys: member_of{one.suffix}")
        raise errors.BodyWrong(reason="All request groups must specify resources.")
    if not groups: raise errors.BodyWrong(reason="At least one request group (`resources` or `resources{$S}`) is required.")
