"""Kinds of values: what each takes from a body or a query, and what it makes of it."""
from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.orm import Mapped

from pilvi.core import clock, wire
from pilvi.core.http.faults import BodyInvalid, Schema
from pilvi.core.wire import Kind


def taken(kind: Kind, value: Any) -> Any:
    """The stored value. Raises BodyInvalid, ValueError."""
    Schema(kind.schema).check(value)
    return kind.parse(value) if kind.parse else value


GOOD: list[tuple[Kind, Any, Any]] = [
    (wire.text(3), "abc", "abc"), (wire.text(3), "ääö", "ääö"), (wire.text(9, "[a-z]+"), "abc", "abc"), (wire.integer(), "-7", -7),
    (wire.integer(0, 5), 5, 5), (wire.integer(), 2**63 - 1, 2**63 - 1), (wire.number(0), 1, 1.0), (wire.boolean(), "True", True),
    (wire.boolean(), "off", False), (wire.boolean(), True, True), (wire.one_of("a", "b"), "a", "a"),
    (wire.ip_address(), "2001:DB8:0::1", "2001:db8::1"),
    (wire.cidr(), "10.0.0.7/24", "10.0.0.0/24"), (wire.mac(), "FA:16:3E:00:00:01", "fa:16:3e:00:00:01"),
    (wire.uuid(), "0" * 32, "0" * 32), (wire.uuid(), "00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000"),
    (wire.instant(), "1970-01-01T00:01:00Z", 60.0), (wire.list_of(wire.cidr()), ["10.1.1.1/8"], ["10.0.0.0/8"]),
    (wire.mapping(3, 3), {"a": "b"}, {"a": "b"}), (wire.json({"type": "array"}), [1, {"a": None}], [1, {"a": None}])]
BAD: list[tuple[Kind, Any]] = [
    (wire.text(3), "abcd"), (wire.text(3), 1), (wire.text(9, shortest=1), ""), (wire.text(9, "[a-z]+"), "a1"),
    (wire.text(9, "a|b"), "ax"), (wire.integer(), "1.5"), (wire.integer(), 1.5), (wire.integer(), True), (wire.integer(), 2**63),
    (wire.integer(), -2**63 - 1),
    (wire.integer(0, 5), "6"), (wire.integer(0, 5), -1), (wire.integer(), ""), (wire.number(0), -0.1), (wire.number(), "1"),
    (wire.boolean(), "maybe"),
    (wire.boolean(), 2), (wire.one_of("a"), "b"), (wire.ip_address(), "10.0.0.256"), (wire.cidr(), "10.0.0.0/33"), (wire.cidr(), "ten"),
    (wire.mac(), "01:00:00:00:00:00"), (wire.mac(), "fa:16:3e:00:00"), (wire.uuid(), "x" * 32), (wire.instant(), "yesterday"),
    (wire.instant(), "1000-01-01T00:00:00+14:00"), (wire.instant(), "9999-12-31T23:59:59-14:00"), (wire.list_of(wire.cidr()), ["x"]),
    (wire.list_of(wire.text(3), 1), ["a", "b"]), (wire.mapping(3, 3), {"a": "long"}), (wire.mapping(3, 3), {"long": "a"}),
    (wire.mapping(3, 3), {"": "a"}),
    (wire.mapping(), {"a": 1})]


@pytest.mark.parametrize(("kind", "given", "kept"), GOOD, ids=lambda value: repr(value)[:30])
def test_is_taken(kind: Kind, given: Any, kept: Any) -> None:
    found = taken(kind, given)
    assert found == kept and type(found) is type(kept)


@pytest.mark.parametrize(("kind", "given"), BAD, ids=lambda value: repr(value)[:30])
def test_is_refused(kind: Kind, given: Any) -> None:
    with pytest.raises((BodyInvalid, ValueError)): taken(kind, given)


def test_every_instant_that_is_taken_can_be_told() -> None:
    for text in ("1002-01-01T00:00:00+14:00", "9997-12-31T23:59:59-14:00", "2026-02-28T23:59:59.999999"):
        assert clock.parse(clock.iso(clock.parse(text), fraction=True)) == pytest.approx(clock.parse(text), abs=1e-4)


def test_a_field_lives_between_its_microversions() -> None:
    class Toy(wire.Base):
        __tablename__ = "wire_toys"
        id: Mapped[str] = wire.field(wire.text(9), key=True)
        colour: Mapped[str | None] = wire.field(wire.text(9), since="2.9", until="2.10")

    colour = wire.fields_of(Toy)["colour"]
    assert [colour.lives((2, minor)) for minor in (8, 9, 10, 11)] == [False, True, True, False]
    assert colour.nullable and not wire.fields_of(Toy)["id"].nullable
