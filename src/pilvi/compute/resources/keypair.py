"""Keypair: an SSH public key that its user may have put into new servers.

Source: Compute API, "Keypairs"; microversions 2.2, 2.10, 2.35, 2.92.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from pilvi.compute import errors, sshkeys
from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.dialect import NOVA
from pilvi.core.resource import Resource
from pilvi.core.wire import OPTIONAL, REQUIRED, Base, field, one_of, text


class Keypair(Base):
    __tablename__ = "compute_keypairs"
    user_id: Mapped[str] = field(text(64), key=True, create=OPTIONAL, since="2.10")
    name: Mapped[str] = field(text(255, r"[\w@.\- ]+", shortest=1), key=True, create=REQUIRED)
    type: Mapped[str] = field(one_of("ssh", "x509"), create=OPTIONAL, default="ssh", since="2.2")
    public_key: Mapped[str] = field(text(16384), create=OPTIONAL, nullable=False)
    fingerprint: Mapped[str] = field(text(128), nullable=False)
    created_at: Mapped[float] = mapped_column(default=clock.now)


def prepare(call: Call, values: dict[str, Any]) -> None:
    """Makes the pair when only a name was sent (a second of work, so outside the transaction), and checks a given key."""
    if not values.get("public_key"):
        if call.version >= (2, 92): raise errors.PublicKeyRequired()
        values["public_key"], values["private_key"] = sshkeys.generate()
    if values.get("type", "ssh") == "x509":
        raise errors.KeypairInvalid(reason="x509 keys are for Windows guests, which this cloud has no agent for")
    try: values["fingerprint"] = sshkeys.fingerprint(values["public_key"])
    except sshkeys.KeyInvalid as failure: raise errors.KeypairInvalid(reason=failure) from None


def make(call: Call, keypair: Keypair, values: dict[str, Any]) -> None:
    """Names are unique per user; the private key is told once and not stored."""
    assert call.db is not None
    if call.db.get(Keypair, (keypair.user_id, keypair.name)): raise errors.KeypairExists(name=keypair.name)
    if "private_key" in values: vars(keypair)["told_once"] = values["private_key"]


def render(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    for row, body in zip(rows, bodies, strict=True):
        body.pop("links", None)
        if told := getattr(row, "told_once", None): body["private_key"] = told
        assert call.request is not None
        if call.request.method == "GET" and not call.request.path.endswith("os-keypairs"):
            from_start = 0 if row.created_at is None else row.created_at
            body |= {"id": int(from_start), "deleted": False, "deleted_at": None, "updated_at": None,
                "created_at": clock.iso(from_start, zone=""),
                     "user_id": row.user_id}


def of_user(call: Call, values: list[str]) -> Any:
    """?user_id= (2.10): an administrator looks at another's."""
    return None if call.version < (2, 10) else Keypair.user_id == values[-1]


RESOURCE = Resource(
    Keypair, "keypair", "/v2.1/os-keypairs", NOVA, key="name", owner="user_id", wrap_items=True, quota="key_pairs",
    verbs=("list", "show", "create", "delete"), missing=errors.KeypairNotFound, filters={"user_id": of_user}, list_brief=False,
    status={"create": {"2.1": 200, "2.2": 201}, "delete": {"2.1": 202, "2.2": 204}},
    policy={"list": "anyone", "show": "anyone", "create": "anyone", "delete": "anyone"},
    before=prepare, on_create=make, on_render=render)
