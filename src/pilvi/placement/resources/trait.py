"""Trait: what a provider is or can do, apart from amounts (a CPU flag, a storage type).

Source: Placement API, "Traits" and "Resource provider traits"; microversion 1.6.
"""
from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Float, String, delete, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.http.app import Response
from pilvi.core.http.routes import route
from pilvi.core.policy import Rule
from pilvi.core.wire import Base
from pilvi.placement import errors
from pilvi.placement.resources import gate, provider
from pilvi.placement.standard import TRAITS

PATTERN = "^CUSTOM_[A-Z0-9_]+$"
SHAPE = {"type": "object", "required": ["traits", "resource_provider_generation"], "additionalProperties": False,
         "properties": {"traits": {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 255}},
                        "resource_provider_generation": {"type": "integer"}}}
RULES = {f"placement:traits:{verb}": Rule(gate.ADMIN_OR_SERVICE) for verb in ("list", "show", "update", "delete")} | {
    f"placement:resource_providers:traits:{verb}": Rule(gate.ADMIN_OR_SERVICE) for verb in ("list", "update", "delete")}


class CustomTrait(Base):
    __tablename__ = "placement_traits"
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    updated_at: Mapped[float] = mapped_column(Float(53), default=clock.now)


def unknown(call: Call, names: Iterable[str]) -> list[str]:
    """Those of the names that are no traits."""
    assert call.db is not None
    asked = sorted(set(names) - TRAITS)
    if not asked: return []
    made = set(call.db.execute(select(CustomTrait.name).where(CustomTrait.name.in_(asked))).scalars())
    return [name for name in asked if name not in made]


def made_at(call: Call, name: str) -> float | None:
    """When a trait was made (None for a standard one). Raises TraitNotFound."""
    assert call.db is not None
    if name in TRAITS: return None
    row = call.db.execute(select(CustomTrait.updated_at).where(CustomTrait.name == name)).first()
    if row is None: raise errors.TraitNotFound(name=name)
    return float(row.updated_at)


def list_all(call: Call) -> dict[str, Any]:
    """GET, by ?name=in:A,B or startswith:X and ?associated=true|false."""
    assert call.db is not None and call.request is not None
    asked = call.request.query
    if other := [key for key, _ in asked if key not in ("name", "associated")]:
        raise errors.QueryInvalid(reason=f"Additional properties are not allowed ('{other[0]}' was unexpected)")
    names = set(TRAITS) | set(call.db.execute(select(CustomTrait.name)).scalars())
    if (given := call.request.one("name")) is not None:
        if given.startswith("in:"): names &= set(given[3:].split(","))
        elif given.startswith("startswith:"): names = {name for name in names if name.startswith(given[11:])}
        else: raise errors.QueryInvalid(reason='Badly formatted name parameter. Expected name query string parameter in form: '
                                        f'?name=[in|startswith]:[name1,name2|prefix]. Got: "{given[:200]}"')
    if (flag := call.request.one("associated")) is not None:
        if flag.lower() not in ("true", "false"):
            raise errors.QueryInvalid(reason=f'The query parameter "associated" only accepts "true" or "false". Got: "{flag[:40]}"')
        held = associated(call)
        names = names & held if flag.lower() == "true" else names - held
    gate.dated(call)
    return {"traits": sorted(names)}


def associated(call: Call) -> set[str]:
    """The traits that some provider has."""
    assert call.db is not None
    return {name for traits in call.db.execute(select(provider.TABLE.c.traits).distinct()).scalars() for name in traits}


def show(call: Call, name: str) -> Response:
    """GET of one: 204 if it exists."""
    gate.dated(call, made_at(call, name))
    return Response(204)


def ensure(call: Call, name: str) -> Response:
    """PUT of a custom trait; 201 if it is new."""
    assert call.db is not None
    if not re.fullmatch(PATTERN, name) or len(name) > 255:
        raise errors.BodyWrong(reason=f"The trait is invalid. A valid trait must be no longer than 255 characters, start with the prefix "
                               f"\"CUSTOM_\" and use following characters: \"A\"-\"Z\", \"0\"-\"9\" and \"_\": {name[:300]}")
    gate.enter(call)
    there = not unknown(call, [name])
    if not there: call.db.execute(insert(CustomTrait), [{"name": name}])
    gate.dated(call, made_at(call, name))
    return Response(204 if there else 201, None, {"Location": call.url(f"/traits/{name}")})


def remove(call: Call, name: str) -> None:
    """DELETE of a custom trait that no provider has."""
    assert call.db is not None
    gate.enter(call)
    if name in TRAITS: raise errors.TraitStandard(name=name)
    made_at(call, name)
    if name in associated(call): raise errors.TraitInUse(name=name)
    call.db.execute(delete(CustomTrait).where(CustomTrait.name == name))


def show_provider(call: Call, id: str) -> dict[str, Any]:
    """GET of a provider's traits."""
    row = provider.find(call, id)
    gate.dated(call, row.updated_at)
    return {"resource_provider_generation": row.generation, "traits": row.traits}


def set_provider(call: Call, id: str) -> dict[str, Any]:
    """PUT of a provider's traits."""
    number = gate.enter(call)
    row = provider.find(call, id)
    provider.expect(row, call.body["resource_provider_generation"])
    wanted = sorted(set(call.body["traits"]))
    if missing := unknown(call, wanted): raise errors.TraitUnknown(names=", ".join(missing))
    generation = provider.touch(call, number, row, traits=wanted)
    gate.dated(call)
    return {"resource_provider_generation": generation, "traits": wanted}


def clear_provider(call: Call, id: str) -> None:
    """DELETE of all of a provider's traits."""
    number = gate.enter(call)
    provider.touch(call, number, provider.find(call, id), traits=[])


PATH = "/resource_providers/{id}/traits"
RULE = "placement:resource_providers:traits:"
ROUTES = [
    route("/traits", "GET", list_all, "placement:traits:list", since="1.6", transaction="read"),
    route("/traits/{name}", "GET", show, "placement:traits:show", since="1.6", transaction="read"),
    route("/traits/{name}", "PUT", ensure, "placement:traits:update", since="1.6", transaction="write"),
    route("/traits/{name}", "DELETE", remove, "placement:traits:delete", since="1.6", transaction="write", status=204),
    route(PATH, "GET", show_provider, RULE + "list", since="1.6", transaction="read"),
    route(PATH, "PUT", set_provider, RULE + "update", since="1.6", transaction="write", body=SHAPE),
    route(PATH, "DELETE", clear_provider, RULE + "delete", since="1.6", transaction="write", status=204),
]
