"""Users and groups of an LDAP server, by the options of upstream's `ldap` group.

Source: Keystone administrator guide, "Integrate Identity with LDAP" (the options' meaning); RFC 4511, 4514 (names), 4515 (filters).
"""
from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import msgspec
from ldap3.core.exceptions import LDAPException
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import escape_rdn, parse_dn
from msgspec import Struct

from pilvi.identity.drivers.interface import Circle, Person, Refused, Unanswered
from pilvi.identity.drivers.ldap_line import ANSWER_SECONDS, Access, Lines

LONGEST = 255
SCOPES: dict[str, Literal["LEVEL", "SUBTREE"]] = {"one": "LEVEL", "sub": "SUBTREE"}
Found = TypeVar("Found", Person, Circle)
Entry = tuple[str, dict[str, list[str]]]
"""(DN, {attribute in lower case: its values})"""


class Options(Struct, frozen=True):
    """Upstream's options with upstream's defaults. `user_enabled_mask`: the bits that are all set in who is disabled (Active Directory)."""
    url: str = "ldap://localhost"
    user: str | None = None
    password: str | None = None
    suffix: str = "cn=example,cn=com"
    query_scope: Literal["one", "sub"] = "one"
    page_size: int = 0
    chase_referrals: bool | None = None
    use_tls: bool = False
    tls_cacertfile: str | None = None
    tls_cacertdir: str | None = None
    tls_req_cert: Literal["demand", "allow", "never"] = "demand"
    user_tree_dn: str | None = None
    user_filter: str | None = None
    user_objectclass: str = "inetOrgPerson"
    user_id_attribute: str = "cn"
    user_name_attribute: str = "sn"
    user_description_attribute: str = "description"
    user_mail_attribute: str = "mail"
    user_enabled_attribute: str = "enabled"
    user_enabled_mask: int = 0
    user_enabled_default: str = "True"
    user_enabled_invert: bool = False
    group_tree_dn: str | None = None
    group_filter: str | None = None
    group_objectclass: str = "groupOfNames"
    group_id_attribute: str = "cn"
    group_name_attribute: str = "ou"
    group_member_attribute: str = "member"
    group_members_are_ids: bool = False
    group_desc_attribute: str = "description"


class Kind(Struct, frozen=True):
    """Where and how entries of a kind are looked for."""
    tree: str
    objectclass: str
    filter: str
    id: str
    name: str
    more: tuple[str, ...]

    def query(self, *conditions: str) -> str:
        """The filter for entries of this kind; conditions are filters already."""
        extra = self.filter if not self.filter or self.filter.startswith("(") else f"({self.filter})"
        return f"(&(objectClass={self.objectclass}){extra}{''.join(conditions)})"


def equal(attribute: str, text: str) -> str:
    """A filter: the attribute has this value, whatever characters that holds."""
    return f"({attribute}={escape_filter_chars(text)})"


class Ldap:
    """A directory (drivers/interface.py)."""

    def __init__(self, options: dict[str, Any]) -> None:
        given = {name: value for name, value in options.items() if value is not None}
        if isinstance(given.get("user_enabled_default"), int): given["user_enabled_default"] = str(given["user_enabled_default"])
        try: self.options = known = msgspec.convert(given, Options, strict=False)
        except msgspec.ValidationError as problem: raise Refused(f"its options are wrong: {problem}") from None
        self.lines = Lines(Access(known.url.split(","), known.user, known.password, known.use_tls, known.tls_cacertfile,
                                  known.tls_cacertdir, known.tls_req_cert))
        self.users = Kind(known.user_tree_dn or f"ou=Users,{known.suffix}", known.user_objectclass, known.user_filter or "",
                          known.user_id_attribute, known.user_name_attribute,
                          (known.user_mail_attribute, known.user_description_attribute, known.user_enabled_attribute))
        self.groups = Kind(known.group_tree_dn or f"ou=UserGroups,{known.suffix}", known.group_objectclass, known.group_filter or "",
                           known.group_id_attribute, known.group_name_attribute, (known.group_desc_attribute,))

    # -- what it is asked

    def person(self, id: str) -> Person | None:
        return _only([self._person(entry) for entry in self._search(self.users, equal(self.users.id, id))])

    def people(self, name: str | None = None) -> list[Person]:
        conditions = () if name is None else (equal(self.users.name, name),)
        return _whole([self._person(entry) for entry in self._search(self.users, *conditions)])

    def circle(self, id: str) -> Circle | None:
        return _only([self._circle(entry) for entry in self._search(self.groups, equal(self.groups.id, id))])

    def circles(self, name: str | None = None) -> list[Circle]:
        conditions = () if name is None else (equal(self.groups.name, name),)
        return _whole([self._circle(entry) for entry in self._search(self.groups, *conditions)])

    def circles_of(self, person: Person) -> list[Circle]:
        member = person.id if self.options.group_members_are_ids else person.place
        return _whole([self._circle(entry) for entry in self._search(self.groups, equal(self.options.group_member_attribute, member))])

    def members(self, circle: Circle) -> list[Person]:
        attribute = self.options.group_member_attribute
        named = [value for _, values in self._look(circle.place, "BASE", "(objectClass=*)", [attribute])
                 for value in values.get(attribute.lower(), ())]
        if self.options.group_members_are_ids: return [person for id in named if (person := self.person(id))]
        below = [dn for dn in named if _below(dn, self.users.tree, self.options.query_scope)]
        wanted = self._wanted(self.users)
        return _whole([self._person(entry) for dn in below for entry in self._look(dn, "BASE", self.users.query(), wanted)])

    def fits(self, person: Person | None, password: str) -> bool:
        if not password: return False  # a bind with an empty one is anonymous, and the server says yes (RFC 4513, 5.1.2)
        dn = person.place if person else f"{self.users.id}={escape_rdn(secrets.token_hex(8))},{self.users.tree}"
        return self.lines.opens(dn, password) and person is not None

    def close(self) -> None:
        self.lines.refresh()

    # -- how it finds out

    def _wanted(self, kind: Kind) -> list[str]:
        return list(dict.fromkeys([kind.id, kind.name, *kind.more]))

    def _search(self, kind: Kind, *conditions: str) -> list[Entry]:
        return self._look(kind.tree, SCOPES[self.options.query_scope], kind.query(*conditions), self._wanted(kind))

    def _look(self, place: str, scope: Literal["BASE", "LEVEL", "SUBTREE"], query: str, attributes: list[str]) -> list[Entry]:
        """What a search finds. One that fails on a connection that was idle is done again on a new one. Raises Unanswered."""
        was_idle = bool(self.lines.idle)
        try: return self._ask(place, scope, query, attributes)
        except Unanswered:
            if not was_idle: raise
            self.lines.refresh()
            return self._ask(place, scope, query, attributes)

    def _ask(self, place: str, scope: Literal["BASE", "LEVEL", "SUBTREE"], query: str, attributes: list[str]) -> list[Entry]:
        found: list[Entry] = []
        cookie: Any = None
        with self.lines.one() as line:
            while True:
                line.search(place, query, scope, dereference_aliases="NEVER", attributes=attributes, time_limit=ANSWER_SECONDS,
                            paged_size=self.options.page_size or None, paged_cookie=cookie)
                outcome = line.result["description"]
                if outcome == "noSuchObject": return found
                if outcome == "sizeLimitExceeded": raise Refused("the server tells of a part only: set page_size")
                if outcome != "success": raise Refused(f"the server says {outcome}")
                found += [_entry(each) for each in line.response or () if each["type"] == "searchResEntry"]
                controls = line.result.get("controls") or {}
                cookie = controls.get("1.2.840.113556.1.4.319", {}).get("value", {}).get("cookie")
                if not cookie: return found

    def _person(self, entry: Entry) -> Person | None:
        dn, values = entry
        id, name = _first(values, self.users.id), _first(values, self.users.name)
        if not id or not name or len(id) > LONGEST or len(name) > LONGEST: return None
        known = self.options
        return Person(id, name, dn, (_first(values, known.user_mail_attribute) or "")[:LONGEST] or None,
                      _first(values, known.user_description_attribute), self._enabled(_first(values, known.user_enabled_attribute)))

    def _enabled(self, value: str | None) -> bool:
        told = self.options.user_enabled_default if value is None else value
        if mask := self.options.user_enabled_mask:
            try: return int(told) & mask != mask
            except ValueError: return False
        return (told.lower() == "true") != self.options.user_enabled_invert

    def _circle(self, entry: Entry) -> Circle | None:
        dn, values = entry
        id, name = _first(values, self.groups.id), _first(values, self.groups.name)
        if not id or not name or len(id) > LONGEST or len(name) > LONGEST: return None
        return Circle(id, name, dn, _first(values, self.options.group_desc_attribute) or "")


def _entry(found: Any) -> Entry:
    """Texts only: a value that is none is left out."""
    values: dict[str, list[str]] = {}
    for name, raw in found["raw_attributes"].items():
        for each in raw:
            try: values.setdefault(name.lower(), []).append(each.decode())
            except UnicodeDecodeError: continue
    return str(found["dn"]), values


def _first(values: dict[str, list[str]], attribute: str) -> str | None:
    given = values.get(attribute.lower())
    return given[0] if given else None


def _whole(found: Sequence[Found | None]) -> list[Found]:
    """Without entries that have no id or name, and without those whose id is not theirs alone."""
    known = [each for each in found if each is not None]
    count: dict[str, int] = {}
    for each in known: count[each.id] = count.get(each.id, 0) + 1
    return [each for each in known if count[each.id] == 1]


def _only(found: Sequence[Found | None]) -> Found | None:
    whole = _whole(found)
    return whole[0] if len(whole) == 1 and len(found) == 1 else None


def _below(dn: str, tree: str, scope: str) -> bool:
    """Does the name lie in the tree (right below its top, where only that level counts)?"""
    try: names = [parse_dn(text, escape=True, strip=True) for text in (dn, tree)]
    except LDAPException: return False
    inner, outer = ([(kind.lower(), value.lower()) for kind, value, _ in name] for name in names)
    depth = len(inner) - len(outer)
    return inner[-len(outer):] == outer and (depth == 1 if scope == "one" else depth >= 1)
