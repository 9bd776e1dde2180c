"""Mapping: how what an identity provider says of a person is read here.

Source: Identity API v3, OS-FEDERATION, "Mappings".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Mapped

from pilvi.core.context import Call
from pilvi.core.resource import Resource
from pilvi.core.wire import OPTIONAL, REQUIRED, Base, field, json, text
from pilvi.identity import errors
from pilvi.identity.federation import mapping as engine
from pilvi.identity.resources import policies
from pilvi.identity.resources.federation import FEDERATION, STRICT, put


class AttributeMapping(Base):
    __tablename__ = "identity_mappings"
    id: Mapped[str] = field(text(64), key=True)
    rules: Mapped[list[Any]] = field(json(engine.SCHEMA), create=REQUIRED, update=True, filter=False)
    schema_version: Mapped[str] = field(text(5, r"1\.0|2\.0"), create=OPTIONAL, update=True, default="1.0", filter=False)


def check_mapping(call: Call, row: AttributeMapping, values: dict[str, Any]) -> None:
    """Raises Invalid for rules that could not be applied."""
    if "rules" in values: engine.check(values["rules"])


RESOURCE = Resource(
    AttributeMapping, "mapping", f"{FEDERATION}/mappings", STRICT, owner=None, verbs=("list", "show", "update", "delete"),
    missing=errors.MappingNotFound, policy=policies.verbs("mapping"), on_create=check_mapping, on_update=check_mapping,
    default_sort=[("id", False)])
ROUTES = [put(RESOURCE)]
