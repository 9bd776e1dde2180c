"""Access rule: one kind of request that an application credential is good for. A rule belongs to its user and may serve several.

Source: Identity API v3, "Application Credentials" (access rules).
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core.context import Call
from pilvi.core.crypto import new_hex_id
from pilvi.core.errors import Forbidden
from pilvi.core.http.routes import Route
from pilvi.core.wire import Base
from pilvi.identity import errors
from pilvi.identity.resources.policies import permit
from pilvi.identity.resources.relative import links

METHODS = ("POST", "GET", "HEAD", "PATCH", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE")
SCHEMA: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": {
    "id": {"type": "string", "maxLength": 64}, "service": {"type": "string", "minLength": 1, "maxLength": 64},
    "path": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^/"}, "method": {"enum": list(METHODS)}}}


class AccessRule(Base):
    __tablename__ = "identity_access_rules"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_hex_id)
    user_id: Mapped[str] = mapped_column(index=True)
    service: Mapped[str]
    path: Mapped[str]
    method: Mapped[str]


class RuleUse(Base):
    """An application credential that stands on a rule."""
    __tablename__ = "identity_access_rule_uses"
    application_credential_id: Mapped[str] = mapped_column(primary_key=True)
    access_rule_id: Mapped[str] = mapped_column(primary_key=True, index=True)


def shown(rule: AccessRule) -> dict[str, str]:
    """A rule inside an application credential."""
    return {"id": rule.id, "service": rule.service, "path": rule.path, "method": rule.method}


def rules_of(db: Session, application_credential_id: str) -> list[AccessRule]:
    """The rules that an application credential is bound to."""
    uses = select(RuleUse.access_rule_id).where(RuleUse.application_credential_id == application_credential_id)
    return list(db.query(AccessRule).where(AccessRule.id.in_(uses)).order_by(AccessRule.id))


def bind(db: Session, user_id: str, application_credential_id: str, wanted: list[dict[str, str]]) -> None:
    """Binds a new application credential to rules, the user's old ones where they are the same. Raises AccessRuleNotFound."""
    for wish in wanted:
        query = db.query(AccessRule).where(AccessRule.user_id == user_id)
        if "id" in wish:
            rule = query.where(AccessRule.id == wish["id"]).first()
            if rule is None: raise errors.AccessRuleNotFound(id=wish["id"])
        else:
            if not {"service", "path", "method"} <= wish.keys(): raise errors.AccessRuleIncomplete()
            rule = query.filter_by(**wish).first()
            if rule is None:
                rule = AccessRule(user_id=user_id, **wish)
                db.add(rule)
                db.flush()
        db.merge(RuleUse(application_credential_id=application_credential_id, access_rule_id=rule.id))


def _body(call: Call, rule: AccessRule) -> dict[str, Any]:
    return shown(rule) | {"links": {"self": call.url(f"/v3/users/{rule.user_id}/access_rules/{rule.id}")}}


def _find(call: Call, verb: str, user_id: str, rule_id: str) -> AccessRule:
    assert call.db is not None
    permit(call, f"{verb}_access_rule", {"user": {"id": user_id}}, user_id=user_id)
    rule = call.db.query(AccessRule).where(AccessRule.id == rule_id, AccessRule.user_id == user_id).first()
    if rule is None: raise errors.AccessRuleNotFound(id=rule_id)
    return rule


def list_rules(call: Call, user_id: str) -> dict[str, Any]:
    """GET /v3/users/{user_id}/access_rules"""
    assert call.db is not None and call.request is not None
    permit(call, "list_access_rules", {"user": {"id": user_id}}, user_id=user_id)
    asked = {k: v for k, v in call.request.query if k in ("service", "path", "method")}
    rows = call.db.query(AccessRule).where(AccessRule.user_id == user_id).filter_by(**asked).order_by(AccessRule.id)
    return {"access_rules": [_body(call, rule) for rule in rows], "links": links(call)}


def show(call: Call, user_id: str, access_rule_id: str) -> dict[str, Any]:
    """GET /v3/users/{user_id}/access_rules/{access_rule_id}"""
    return {"access_rule": _body(call, _find(call, "get", user_id, access_rule_id))}


def delete(call: Call, user_id: str, access_rule_id: str) -> None:
    """DELETE /v3/users/{user_id}/access_rules/{access_rule_id}: not while an application credential stands on it."""
    assert call.db is not None
    rule = _find(call, "delete", user_id, access_rule_id)
    if call.db.execute(select(RuleUse.access_rule_id).where(RuleUse.access_rule_id == rule.id)).first():
        raise Forbidden(action=f"delete access rule {rule.id}, which is in use by an application credential")
    call.db.delete(rule)


ROUTES = [
    Route("/v3/users/{user_id}/access_rules", "GET", list_rules, None, transaction="read"),
    Route("/v3/users/{user_id}/access_rules/{access_rule_id}", "GET", show, None, transaction="read"),
    Route("/v3/users/{user_id}/access_rules/{access_rule_id}", "DELETE", delete, None, transaction="write", status=204),
]
