"""What the database says of a token's user, scope and roles: the token itself only names them, so that a change takes effect at once."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.context import Delegation
from pilvi.core.http.app import Application
from pilvi.identity import errors
from pilvi.identity.directory.meet import meet_id
from pilvi.identity.directory.mirror import is_public_id
from pilvi.identity.resources import access_rule, trust
from pilvi.identity.resources.application_credential import ApplicationCredential
from pilvi.identity.resources.domain import Domain
from pilvi.identity.resources.effective_role import effective_roles
from pilvi.identity.resources.oauth1 import AccessToken
from pilvi.identity.resources.project import Project
from pilvi.identity.resources.role import expand
from pilvi.identity.resources.user import User
from pilvi.identity.token.formats import Payload

# Made once, on tables: to put a statement together costs four times what it takes to run it, and these run for every token.
_USERS, _PROJECTS, _DOMAINS = User.__table__.c, Project.__table__.c, Domain.__table__.c
USER = select(_USERS.id, _USERS.name, _USERS.domain_id, _USERS.password_expires_at, _DOMAINS.name.label("domain")).where(
    _DOMAINS.id == _USERS.domain_id, _USERS.id == bindparam("id"), _USERS.enabled, _DOMAINS.enabled)
PROJECT = select(_PROJECTS.id, _PROJECTS.name, _PROJECTS.domain_id, _PROJECTS.is_domain, _DOMAINS.name.label("domain")).where(
    _DOMAINS.id == _PROJECTS.domain_id, _PROJECTS.id == bindparam("id"), _PROJECTS.is_domain.is_(False), _PROJECTS.enabled,
    _DOMAINS.enabled)
DOMAIN = select(_DOMAINS.id, _DOMAINS.name).where(_DOMAINS.id == bindparam("id"), _DOMAINS.enabled)


class Facts(Struct, frozen=True):
    """`more`: what a token shows of the delegation it stands on."""
    user: dict[str, Any]
    scope: dict[str, Any]
    roles: dict[str, str]
    delegation: Delegation | None = None
    more: dict[str, Any] = {}


def facts_of(app: Application, payload: Payload) -> Facts:
    """Who and where. Raises LoginRefused, ScopeRefused when either is gone or switched off, or the user has no role there any more;
    DirectoryAway when nobody can say."""
    for id in _people(app, payload):
        if is_public_id(id): meet_id(app, id)
    with app.database.read() as db: return _facts(db, payload)


def _people(app: Application, payload: Payload) -> set[str]:
    """The ids of all on whom a token stands."""
    if payload.delegation is None or payload.delegation[0] != "trust": return {payload.user_id}
    with app.database.read() as db:
        given = trust.alive(db, payload.delegation[1], spent=True)
        above = trust.chain(db, given) if given else None
    return {payload.user_id, *(each.trustor_user_id for each in above or ())}


def _facts(db: Session, payload: Payload) -> Facts:
    scope = SCOPES[payload.scope](db, payload.scope_id)
    if scope is None: raise errors.ScopeRefused(kind=payload.scope)
    if payload.delegation: return DELEGATED[payload.delegation[0]](db, payload, scope)
    user = _user(db, payload.user_id)
    groups = payload.federated[2] if payload.federated else None
    roles = effective_roles(db, payload.user_id, payload.scope, payload.scope_id, group_ids=groups,
                            domain_specific=False) if payload.scope else {}
    if payload.scope and not roles: raise errors.ScopeRefused(kind=payload.scope)
    if payload.federated: user = user | {"OS-FEDERATION": {
        "identity_provider": {"id": payload.federated[0]}, "protocol": {"id": payload.federated[1]},
        "groups": [{"id": id} for id in payload.federated[2]]}}
    return Facts(user, scope, roles)


def _user(db: Session, id: str) -> dict[str, Any]:
    """Raises LoginRefused for a user that is gone or switched off."""
    user = db.execute(USER, {"id": id}).first()
    if user is None: raise errors.LoginRefused()
    expires = None if user.password_expires_at is None else clock.iso(user.password_expires_at, fraction=True, zone="")
    return {"id": user.id, "name": user.name, "domain": {"id": user.domain_id, "name": user.domain}, "password_expires_at": expires}


def _by_application_credential(db: Session, payload: Payload, scope: dict[str, Any]) -> Facts:
    """It stands on every role that it was made with: if one is gone from its user, it is refused."""
    assert payload.delegation is not None
    row = db.get(ApplicationCredential, payload.delegation[1])
    if row is None or row.user_id != payload.user_id or (row.expires_at or clock.now() + 1) <= clock.now(): raise errors.LoginRefused()
    held = effective_roles(db, row.user_id, "project", row.project_id)
    if not row.role_ids or not set(row.role_ids) <= held.keys(): raise errors.ScopeRefused(kind="project")
    rules = tuple(access_rule.shown(rule) for rule in access_rule.rules_of(db, row.id)) if row.bound else None
    shown: dict[str, Any] = {"id": row.id, "name": row.name, "restricted": not row.unrestricted}
    if rules is not None: shown["access_rules"] = list(rules)
    delegation = Delegation("application_credential", row.id, not row.unrestricted, rules)
    return Facts(_user(db, row.user_id), scope, expand(db, set(row.role_ids)), delegation, {"application_credential": shown})


def _by_trust(db: Session, payload: Payload, scope: dict[str, Any]) -> Facts:
    """The trust and all above it are good, everybody in them is there, and the first trustor still has the roles."""
    assert payload.delegation is not None
    given = trust.alive(db, payload.delegation[1], spent=True)  # the last use ends no token that was issued for it
    above = trust.chain(db, given) if given else None
    if given is None or above is None or given.trustee_user_id != payload.user_id: raise errors.LoginRefused()
    people = {id: _user(db, id) for each in above for id in (each.trustor_user_id, each.trustee_user_id)}
    roles: dict[str, str] = {}
    if given.project_id:
        held = effective_roles(db, above[-1].trustor_user_id, "project", given.project_id)
        if not set(given.role_ids) <= held.keys(): raise errors.TrustRolesGone()
        roles = expand(db, set(given.role_ids))
    shown = {"id": given.id, "trustor_user": {"id": given.trustor_user_id}, "trustee_user": {"id": given.trustee_user_id},
             "impersonation": given.impersonation}
    delegation = Delegation("trust", given.id, trustor_id=given.trustor_user_id, trustee_id=given.trustee_user_id)
    acting = people[given.trustor_user_id if given.impersonation else given.trustee_user_id]
    return Facts(acting, scope, roles, delegation, {"OS-TRUST:trust": shown})


def _by_access_token(db: Session, payload: Payload, scope: dict[str, Any]) -> Facts:
    """OAuth: the roles that the user authorized, as long as the user has them."""
    assert payload.delegation is not None
    row = db.get(AccessToken, payload.delegation[1])
    if row is None or row.user_id != payload.user_id or row.expires_at <= clock.now(): raise errors.LoginRefused()
    if not set(row.role_ids) <= effective_roles(db, row.user_id, "project", row.project_id).keys():
        raise errors.ScopeRefused(kind="project")
    shown = {"access_token_id": row.id, "consumer_id": row.consumer_id}
    return Facts(_user(db, row.user_id), scope, expand(db, set(row.role_ids)), Delegation("access_token", row.id), {"OS-OAUTH1": shown})


DELEGATED: dict[str, Callable[[Session, Payload, dict[str, Any]], Facts]] = {
    "application_credential": _by_application_credential, "trust": _by_trust,
    "access_token": _by_access_token}


def _project(db: Session, id: str) -> dict[str, Any] | None:
    found = db.execute(PROJECT, {"id": id}).first()
    if found is None: return None
    domain = {"id": found.domain_id, "name": found.domain}
    return {"project": {"id": found.id, "name": found.name, "domain": domain}, "is_domain": found.is_domain}


def _domain(db: Session, id: str) -> dict[str, Any] | None:
    found = db.execute(DOMAIN, {"id": id}).first()
    return {"domain": {"id": found.id, "name": found.name}} if found else None


SCOPES: dict[str, Callable[[Session, str], dict[str, Any] | None]] = {
    "project": _project, "domain": _domain, "system": lambda db, id: {"system": {"all": True}}, "": lambda db, id: {}}
"""What a token tells of its scope; None if that is gone or switched off."""
