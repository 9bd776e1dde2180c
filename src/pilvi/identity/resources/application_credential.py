"""Application credential: a secret of its own with which a program acts for a user in one project, with some of the user's roles.

Source: Identity API v3, "Application Credentials". It ends with its user, its project, or any of its roles; while a role is missing it is
refused, and nothing has to be cleaned up.
"""
from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import delete as delete_from
from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.crypto import new_hex_id
from pilvi.core.db.types import Json
from pilvi.core.errors import Forbidden, Invalid
from pilvi.core.http import auth
from pilvi.core.http.routes import Route
from pilvi.core.wire import Base
from pilvi.identity import errors
from pilvi.identity.resources import access_rule
from pilvi.identity.resources.delegation import ROLES as NAMED
from pilvi.identity.resources.delegation import forbid_delegated, named_roles, roles_shown, token_role_ids
from pilvi.identity.resources.policies import permit
from pilvi.identity.resources.relative import links
from pilvi.identity.resources.role import expand
from pilvi.identity.token import passwords


class ApplicationCredential(Base):
    __tablename__ = "identity_application_credentials"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_hex_id)
    user_id: Mapped[str] = mapped_column(index=True)
    project_id: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    description: Mapped[str | None]
    secret: Mapped[str]
    """bcrypt"""
    role_ids: Mapped[list[str]] = mapped_column(Json)
    expires_at: Mapped[float | None]
    unrestricted: Mapped[bool] = mapped_column(default=False)
    bound: Mapped[bool] = mapped_column(default=False)
    """Is it good only for what its access rules name?"""


def forget_user(db: Session, *user_ids: str) -> None:
    """Users are gone, and what they let others do. In the caller's transaction."""
    gone = select(ApplicationCredential.id).where(ApplicationCredential.user_id.in_(user_ids))
    db.execute(delete_from(access_rule.RuleUse).where(access_rule.RuleUse.application_credential_id.in_(gone)))
    db.execute(delete_from(ApplicationCredential).where(ApplicationCredential.user_id.in_(user_ids)))
    db.execute(delete_from(access_rule.AccessRule).where(access_rule.AccessRule.user_id.in_(user_ids)))


def _body(call: Call, row: ApplicationCredential) -> dict[str, Any]:
    assert call.db is not None
    expires = None if row.expires_at is None else clock.iso(row.expires_at, fraction=True, zone="")
    body = {"id": row.id, "name": row.name, "description": row.description, "project_id": row.project_id, "user_id": row.user_id,
            "expires_at": expires, "unrestricted": row.unrestricted, "system": None, "roles": roles_shown(call, row.role_ids),
            "links": {"self": call.url(f"/v3/users/{row.user_id}/application_credentials/{row.id}")}}
    if row.bound: body["access_rules"] = [access_rule.shown(rule) for rule in access_rule.rules_of(call.db, row.id)]
    return body


def create(call: Call, user_id: str) -> dict[str, Any]:
    """POST /v3/users/{user_id}/application_credentials: the secret is told once."""
    assert call.application is not None
    app, asked = call.application, call.body["application_credential"]
    permit(call, "create_application_credential", user_id=user_id)
    forbid_delegated(call, "create an application credential", restricted_only=True)
    if not call.identity.project_id: raise Forbidden(action="create an application credential without a project")
    if asked.get("project_id") not in (None, call.identity.project_id): raise Forbidden(action="choose another project than the token's")
    expires_at = _expiry(asked.get("expires_at"))
    secret = asked.get("secret") or secrets.token_urlsafe(64)
    hashed = passwords.hashed(app, secret, slow=bool(asked.get("secret")))
    with app.database.write() as call.db:
        held = token_role_ids(call)
        roles = expand(call.db, set(named_roles(call, asked["roles"]))) if asked.get("roles") else dict.fromkeys(held, "")
        if set(roles) - held: raise Invalid("Invalid application credential: Cannot create an application credential with unassigned role.")
        if call.db.execute(select(ApplicationCredential.id).filter_by(user_id=user_id, name=asked["name"])).first():
            raise errors.NameTaken(what="application_credential", name=asked["name"])
        row = ApplicationCredential(
            id=new_hex_id(), user_id=user_id, project_id=call.identity.project_id, name=asked["name"],
            description=asked.get("description"), secret=hashed, role_ids=sorted(roles), expires_at=expires_at,
            unrestricted=bool(asked.get("unrestricted", False)), bound=bool(asked.get("access_rules")))
        call.db.add(row)
        access_rule.bind(call.db, user_id, row.id, asked.get("access_rules") or [])
        call.db.flush()
        return {"application_credential": _body(call, row) | {"secret": secret}}


def _expiry(text: str | None) -> float | None:
    if text is None: return None
    try: moment = clock.parse(text)
    except ValueError: raise Invalid(f"Invalid application credential: invalid expires_at {text[:40]}.") from None
    if moment <= clock.now(): raise Invalid("Invalid application credential: expires_at must be in the future.")
    return moment


def _find(call: Call, verb: str, user_id: str, id: str) -> ApplicationCredential:
    assert call.db is not None
    row = call.db.get(ApplicationCredential, id)
    permit(call, f"{verb}_application_credential", user_id=row.user_id if row else user_id)  # whose it is, whatever the path says
    if row is None: raise errors.ApplicationCredentialNotFound(id=id)
    return row


def list_credentials(call: Call, user_id: str) -> dict[str, Any]:
    """GET /v3/users/{user_id}/application_credentials"""
    assert call.db is not None and call.request is not None
    permit(call, "list_application_credentials", user_id=user_id)
    rows = call.db.query(ApplicationCredential).where(ApplicationCredential.user_id == user_id).order_by(ApplicationCredential.name)
    if name := call.request.one("name"): rows = rows.where(ApplicationCredential.name == name)
    return {"application_credentials": [_body(call, row) for row in rows], "links": links(call)}


def show(call: Call, user_id: str, application_credential_id: str) -> dict[str, Any]:
    """GET /v3/users/{user_id}/application_credentials/{application_credential_id}"""
    return {"application_credential": _body(call, _find(call, "get", user_id, application_credential_id))}


def delete(call: Call, user_id: str, application_credential_id: str) -> None:
    """DELETE /v3/users/{user_id}/application_credentials/{application_credential_id}: its tokens end, its access rules stay."""
    assert call.db is not None
    row = _find(call, "delete", user_id, application_credential_id)
    forbid_delegated(call, "delete an application credential", restricted_only=True)
    call.db.execute(delete_from(access_rule.RuleUse).where(access_rule.RuleUse.application_credential_id == row.id))
    call.db.delete(row)
    auth.forget()


BODY = {"type": "object", "required": ["application_credential"], "properties": {"application_credential": {
    "type": "object", "required": ["name"], "additionalProperties": False, "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 255}, "description": {"type": ["string", "null"], "maxLength": 65535},
        "secret": {"type": ["string", "null"], "minLength": 1, "maxLength": 4096}, "roles": NAMED,
        "project_id": {"type": ["string", "null"]},
        "expires_at": {"type": ["string", "null"], "maxLength": 64}, "unrestricted": {"type": ["boolean", "null"]},
        "access_rules": {"type": "array", "maxItems": 100, "items": access_rule.SCHEMA}}}}}
EVERY, ONE = "/v3/users/{user_id}/application_credentials", "/v3/users/{user_id}/application_credentials/{application_credential_id}"
ROUTES = [
    Route(EVERY, "GET", list_credentials, None, transaction="read"),
    Route(EVERY, "POST", create, None, status=201, body=BODY),
    Route(ONE, "GET", show, None, transaction="read"),
    Route(ONE, "DELETE", delete, None, transaction="write", status=204),
]
