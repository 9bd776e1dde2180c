"""Credential: a secret that identity keeps for a user: an EC2 pair, a TOTP seed, a certificate. At rest it is encrypted.

Source: Identity API v3, "Credentials".
"""
from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from cryptography.fernet import Fernet
from sqlalchemy import delete as delete_from
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core.context import Call
from pilvi.core.crypto import new_hex_id
from pilvi.core.db.types import Json
from pilvi.core.errors import Forbidden, Invalid
from pilvi.core.http.app import Application
from pilvi.core.http.routes import Route
from pilvi.core.wire import Base
from pilvi.identity import errors
from pilvi.identity.resources.policies import permit
from pilvi.identity.resources.relative import find, links

EC2 = "ec2"
BINDINGS = {"application_credential": "app_cred_id", "trust": "trust_id", "access_token": "access_token_id"}
"""What an EC2 pair remembers of the token it was made with, by the kind of delegation: it gives no more than that."""


class Credential(Base):
    __tablename__ = "identity_credentials"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_hex_id)
    user_id: Mapped[str] = mapped_column(index=True)
    project_id: Mapped[str | None] = mapped_column(index=True)
    type: Mapped[str]
    sealed: Mapped[str]
    """The blob, encrypted with the key of the state folder"""
    extra: Mapped[Any] = mapped_column(Json, nullable=True)


def seal(app: Application, blob: str) -> str:
    """A blob as it is stored."""
    return Fernet(app.state["master_key"]).encrypt(blob.encode()).decode()


def opened(app: Application, row: Credential) -> str:
    """The blob."""
    return Fernet(app.state["master_key"]).decrypt(row.sealed.encode()).decode()


def pair_of(app: Application, row: Credential) -> dict[str, Any]:
    """An EC2 credential's blob as an object."""
    found: dict[str, Any] = msgspec.json.decode(opened(app, row))
    return found


def ec2_id(access: str) -> str:
    """The id of the credential with this access key."""
    return hashlib.sha256(access.encode()).hexdigest()


def forget(db: Session, *, user_ids: tuple[str, ...] = (), project_ids: tuple[str, ...] = ()) -> None:
    """Users or projects are gone, and their secrets with them. In the caller's transaction."""
    db.execute(delete_from(Credential).where(Credential.user_id.in_(user_ids) | Credential.project_id.in_(project_ids)))


def binding(call: Call) -> dict[str, str]:
    """What a new EC2 pair remembers of the caller's token."""
    given = call.identity.delegation
    return {BINDINGS[given.kind]: given.id} if given else {}


def check_reach(call: Call, project_id: str | None) -> None:
    """A token that was handed on is for one project, and so are the secrets that it reaches. Raises Forbidden."""
    if call.identity.delegation and project_id != call.identity.project_id:
        raise Forbidden(action="reach a credential outside the project of a delegated token")


def forbid_restricted(call: Call) -> None:
    """A restricted application credential makes no other secrets. Raises Forbidden."""
    given = call.identity.delegation
    if given and given.kind == "application_credential" and given.restricted:
        raise Forbidden(action="manage additional credentials with an application credential")


def _target(row: Credential) -> dict[str, Any]:
    return {"credential": {"id": row.id, "user_id": row.user_id, "project_id": row.project_id, "type": row.type}}


def _body(call: Call, row: Credential) -> dict[str, Any]:
    assert call.application is not None
    return (row.extra or {}) | {"id": row.id, "type": row.type, "user_id": row.user_id, "project_id": row.project_id,
            "blob": opened(call.application, row), "links": {"self": call.url(f"/v3/credentials/{row.id}")}}


def _find(call: Call, verb: str, id: str) -> Credential:
    assert call.db is not None
    row = call.db.get(Credential, id)
    permit(call, f"{verb}_credential", _target(row) if row else {}, credential_id=id)
    if row is None: raise errors.CredentialNotFound(id=id)
    check_reach(call, row.project_id)
    return row


def list_credentials(call: Call) -> dict[str, Any]:
    """GET /v3/credentials: those that the caller may see one by one."""
    assert call.db is not None and call.request is not None
    permit(call, "list_credentials", {} if call.identity.system else {"credential": {"user_id": call.user_id}})
    asked = {k: v for k, v in call.request.query if k in ("user_id", "type")}
    rows = call.db.query(Credential).filter_by(**asked).order_by(Credential.id)
    seen = [row for row in rows if _may_see(call, row)]
    return {"credentials": [_body(call, row) for row in seen], "links": links(call)}


def _may_see(call: Call, row: Credential) -> bool:
    try:
        permit(call, "get_credential", _target(row))
        check_reach(call, row.project_id)
    except Forbidden: return False
    return True


def create(call: Call) -> dict[str, Any]:
    """POST /v3/credentials"""
    assert call.db is not None and call.application is not None
    asked = call.body["credential"]
    permit(call, "create_credential", {"credential": asked})
    check_reach(call, asked.get("project_id"))
    kind, blob, id = asked["type"], asked["blob"], new_hex_id()
    if kind.lower() == EC2:
        forbid_restricted(call)
        if not asked.get("project_id"): raise Invalid("Expecting to find project_id in credential.")
        pair = _pair(blob)
        id, blob = ec2_id(pair["access"]), msgspec.json.encode(pair | binding(call)).decode()
    elif isinstance(blob, dict): blob = msgspec.json.encode(blob).decode()
    if call.db.get(Credential, id): raise errors.NameTaken(what="credential", name=id)
    row = Credential(id=id, user_id=asked["user_id"], project_id=asked.get("project_id"), type=kind, sealed=seal(call.application, blob),
                     extra={k: v for k, v in asked.items() if k not in ("id", "user_id", "project_id", "type", "blob")} or None)
    call.db.add(row)
    call.db.flush()
    return {"credential": _body(call, row)}


def _pair(blob: Any) -> dict[str, Any]:
    """The blob of an EC2 credential. Raises Invalid."""
    try: pair = msgspec.json.decode(blob) if isinstance(blob, str) else blob
    except msgspec.DecodeError: raise Invalid("Invalid blob in credential") from None
    if not isinstance(pair, dict) or not isinstance(pair.get("access"), str): raise Invalid("Expecting to find access in credential.")
    return pair


def show(call: Call, credential_id: str) -> dict[str, Any]:
    """GET /v3/credentials/{credential_id}"""
    return {"credential": _body(call, _find(call, "get", credential_id))}


def update(call: Call, credential_id: str) -> dict[str, Any]:
    """PATCH /v3/credentials/{credential_id}: what an EC2 pair is bound to stays."""
    assert call.application is not None
    row, asked = _find(call, "update", credential_id), call.body["credential"]
    if asked.get("id", row.id) != row.id: raise Invalid("Cannot change credential ID")
    permit(call, "update_credential", {"credential": _target(row)["credential"] | asked}, credential_id=credential_id)
    check_reach(call, asked.get("project_id", row.project_id))
    if "blob" in asked:
        blob = asked["blob"] if isinstance(asked["blob"], str) else msgspec.json.encode(asked["blob"]).decode()
        if row.type == EC2:
            old, new = pair_of(call.application, row), _pair(blob)
            for name in BINDINGS.values():
                if old.get(name) != new.get(name): raise Invalid(f"{name} can not be updated for credential")
        row.sealed = seal(call.application, blob)
    if row.type == EC2 and asked.get("type", EC2) != EC2: raise Invalid("The type of an ec2 credential can not be updated")
    for name in ("user_id", "project_id", "type"): setattr(row, name, asked.get(name, getattr(row, name)))
    return {"credential": _body(call, row)}


def delete(call: Call, credential_id: str) -> None:
    """DELETE /v3/credentials/{credential_id}"""
    assert call.db is not None
    call.db.delete(_find(call, "delete", credential_id))


def _ec2_body(call: Call, row: Credential) -> dict[str, Any]:
    assert call.application is not None
    pair = pair_of(call.application, row)
    return {"user_id": row.user_id, "tenant_id": row.project_id, "access": pair["access"], "secret": pair.get("secret"),
            "trust_id": pair.get("trust_id"),
            "links": {"self": call.url(f"/v3/users/{row.user_id}/credentials/OS-EC2/{pair['access']}")}}


def _find_ec2(call: Call, verb: str, user_id: str, access: str) -> Credential:
    assert call.db is not None
    row = call.db.get(Credential, ec2_id(access))
    if row is None or row.type != EC2: raise errors.CredentialNotFound(id=access)
    permit(call, f"ec2_{verb}_credential", _target(row), user_id=user_id)
    find(call, "user", user_id)
    check_reach(call, row.project_id)
    return row


def list_ec2(call: Call, user_id: str) -> dict[str, Any]:
    """GET /v3/users/{user_id}/credentials/OS-EC2"""
    assert call.db is not None
    permit(call, "ec2_list_credentials", user_id=user_id)
    find(call, "user", user_id)
    given, project_id = call.identity.delegation, call.identity.project_id
    rows = call.db.query(Credential).filter_by(user_id=user_id, type=EC2).order_by(Credential.id)
    return {"credentials": [_ec2_body(call, row) for row in rows if not given or row.project_id == project_id], "links": links(call)}


def create_ec2(call: Call, user_id: str) -> dict[str, Any]:
    """POST /v3/users/{user_id}/credentials/OS-EC2: a new pair of keys for a project."""
    assert call.db is not None and call.application is not None
    permit(call, "ec2_create_credential", {"credential": {"user_id": user_id}})
    forbid_restricted(call)
    find(call, "user", user_id)
    project_id = find(call, "project", call.body["tenant_id"]).id
    check_reach(call, project_id)
    pair = {"access": new_hex_id(), "secret": new_hex_id(), "trust_id": None, **binding(call)}
    row = Credential(id=ec2_id(str(pair["access"])), user_id=user_id, project_id=project_id, type=EC2,
                     sealed=seal(call.application, msgspec.json.encode(pair).decode()))
    call.db.add(row)
    call.db.flush()
    return {"credential": _ec2_body(call, row)}


def show_ec2(call: Call, user_id: str, access: str) -> dict[str, Any]:
    """GET /v3/users/{user_id}/credentials/OS-EC2/{access}"""
    return {"credential": _ec2_body(call, _find_ec2(call, "get", user_id, access))}


def delete_ec2(call: Call, user_id: str, access: str) -> None:
    """DELETE /v3/users/{user_id}/credentials/OS-EC2/{access}"""
    assert call.db is not None
    call.db.delete(_find_ec2(call, "delete", user_id, access))


_FIELDS: dict[str, Any] = {
    "user_id": {"type": "string", "maxLength": 64}, "project_id": {"type": ["string", "null"], "maxLength": 64},
    "type": {"type": "string", "minLength": 1, "maxLength": 255}, "blob": {"type": ["string", "object"], "maxLength": 65536}}
BODY = {"type": "object", "required": ["credential"], "properties": {"credential": {
    "type": "object", "required": ["blob", "type", "user_id"], "properties": _FIELDS}}}
CHANGES = {"type": "object", "required": ["credential"], "properties": {"credential": {
    "type": "object", "minProperties": 1, "properties": _FIELDS}}}
PAIR = {"type": "object", "required": ["tenant_id"], "properties": {"tenant_id": {"type": "string", "maxLength": 64}}}
PAIRS, ONE_PAIR = "/v3/users/{user_id}/credentials/OS-EC2", "/v3/users/{user_id}/credentials/OS-EC2/{access}"
ROUTES = [
    Route("/v3/credentials", "GET", list_credentials, None, transaction="read"),
    Route("/v3/credentials", "POST", create, None, transaction="write", status=201, body=BODY),
    Route("/v3/credentials/{credential_id}", "GET", show, None, transaction="read"),
    Route("/v3/credentials/{credential_id}", "PATCH", update, None, transaction="write", body=CHANGES),
    Route("/v3/credentials/{credential_id}", "DELETE", delete, None, transaction="write", status=204),
    Route(PAIRS, "GET", list_ec2, None, transaction="read"),
    Route(PAIRS, "POST", create_ec2, None, transaction="write", status=201, body=PAIR),
    Route(ONE_PAIR, "GET", show_ec2, None, transaction="read"),
    Route(ONE_PAIR, "DELETE", delete_ec2, None, transaction="write", status=204),
]
