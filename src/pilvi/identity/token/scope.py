"""What a token is to be for: a project, a domain, the system, a trust, or nothing yet.

Source: Identity API v3, "Authentication and token management" (scopes).
"""
from __future__ import annotations

from typing import Any

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.errors import Forbidden, Invalid
from pilvi.core.http.app import Application
from pilvi.identity import errors
from pilvi.identity.resources import trust
from pilvi.identity.resources.assignment import SYSTEM
from pilvi.identity.resources.domain import Domain
from pilvi.identity.resources.project import Project
from pilvi.identity.token.facts import facts_of
from pilvi.identity.token.formats import Payload
from pilvi.identity.token.methods import Proof

NAMES: dict[str, Any] = {"id": {"type": "string", "maxLength": 255}, "name": {"type": "string", "maxLength": 255}}
NAMED = {"type": "object", "properties": NAMES}
OF_DOMAIN = {"type": "object", "properties": {**NAMES, "domain": NAMED}}
SCHEMA = {"anyOf": [{"enum": ["unscoped"]}, {"type": "object", "minProperties": 1, "maxProperties": 1, "properties": {
    "project": OF_DOMAIN, "domain": NAMED, "system": {"type": "object"}, "unscoped": {"type": "object"},
    "OS-TRUST:trust": {"type": "object", "required": ["id"], "properties": {"id": NAMES["id"]}}}}]}


class Scope(Struct):
    """`kind` and `id` as in a token; `until`: when what it stands on ends."""
    kind: str = ""
    id: str = ""
    delegation: tuple[str, str] | None = None
    until: float | None = None


def scope_of(app: Application, asked: Any, proof: Proof) -> Scope:
    """What is wished; without a wish the user's default project, if it has a role there. Raises ScopeRefused, Invalid, Forbidden."""
    if row := proof.credential:
        if asked is not None and not _names(asked, row.project_id):
            raise errors.LoginRefused("Application credentials cannot request a scope.")
        return Scope("project", row.project_id, ("application_credential", row.id), row.expires_at)
    if given := proof.access_token: return Scope("project", given.project_id, ("access_token", given.id), given.expires_at)
    if asked == "unscoped" or (isinstance(asked, dict) and "unscoped" in asked): return Scope()
    if asked is None: return Scope() if proof.earlier else _default(app, proof)
    if "OS-TRUST:trust" in asked: return _trust(app, asked["OS-TRUST:trust"]["id"], proof)
    if "system" in asked:
        if not asked["system"].get("all"): raise Invalid("Only the scope system: all is known.")
        return Scope("system", SYSTEM)
    with app.database.read() as db:
        if "domain" in asked: return Scope("domain", _domain_id(db, asked["domain"], "domain"))
        if "project" not in asked: raise Invalid("The scope must be a project, a domain or the system.")
        wish = asked["project"]
        if "id" in wish: return Scope("project", wish["id"])
        domain_id = _domain_id(db, wish.get("domain") or {}, "project")
        project_id = db.scalar(select(Project.id).where(Project.name == wish.get("name"), Project.domain_id == domain_id))
    if project_id is None: raise errors.ScopeRefused(kind="project")
    return Scope("project", project_id)


def _names(asked: Any, project_id: str) -> bool:
    return isinstance(asked, dict) and isinstance(asked.get("project"), dict) and asked["project"].get("id") == project_id


def _trust(app: Application, id: str, proof: Proof) -> Scope:
    with app.database.read() as db:
        given = trust.alive(db, id)
        if given is None or trust.chain(db, given) is None: raise errors.ScopeRefused(kind="trust")
        if given.trustee_user_id != proof.user.id: raise Forbidden(action="use the trust of another trustee")
        return Scope("project" if given.project_id else "", given.project_id or "", ("trust", given.id), given.expires_at)


def _default(app: Application, proof: Proof) -> Scope:
    project_id = proof.user.default_project_id
    if not project_id: return Scope()
    try: facts_of(app, Payload(proof.user.id, [], "project", project_id, clock.now(), 0, []))
    except errors.ScopeRefused: return Scope()
    return Scope("project", project_id)


def _domain_id(db: Session, asked: dict[str, Any], kind: str) -> str:
    if "id" in asked: return str(asked["id"])
    found = db.scalar(select(Domain.id).where(Domain.name == asked.get("name", "")))
    if found is None: raise errors.ScopeRefused(kind=kind)
    return str(found)
