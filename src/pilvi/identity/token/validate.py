"""Validating a token: GET and HEAD /v3/auth/tokens (boot steps 5, 21, 24, 27), and ending one: DELETE.

A token is good while its seal holds, it has not expired, it was not revoked, its user and scope are enabled and the user has not been
signed out since.
"""
from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any

from msgspec import Struct
from sqlalchemy import bindparam, delete, exists, select
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core import clock, trace
from pilvi.core.context import Call, Identity
from pilvi.core.errors import Forbidden, Invalid, Unauthenticated
from pilvi.core.http import auth
from pilvi.core.http.app import Application, Response
from pilvi.core.wire import Base
from pilvi.identity import errors
from pilvi.identity.resources.catalogue import catalogue
from pilvi.identity.resources.endpoint_group import endpoint_ids
from pilvi.identity.resources.policies import permit
from pilvi.identity.resources.relative import links
from pilvi.identity.resources.service_provider import enabled_providers
from pilvi.identity.resources.user import User
from pilvi.identity.token.facts import Facts, facts_of
from pilvi.identity.token.formats import Payload

FACTS_SECONDS, FACTS_REMEMBERED, REACHES_REMEMBERED = 0.5, 10_000, 1_000
"""With what services remember (core/http/auth.py) no more than a second."""


class Revocation(Base):
    """A token that was ended before its time, and with it those that were made from it; kept until they would have expired."""
    __tablename__ = "identity_revocations"
    audit_id: Mapped[str] = mapped_column(primary_key=True)
    expires_at: Mapped[float]
    revoked_at: Mapped[float] = mapped_column(default=clock.now)


_USERS, _REVOKED = User.__table__.c, Revocation.__table__.c
STANDING = select(_USERS.signed_out_at, exists().where(_REVOKED.audit_id.in_((bindparam("first"), bindparam("chain")))).label("revoked")
                  ).where(_USERS.id == bindparam("id"), _USERS.enabled)
"""Of a token's user: when it was signed out, and whether the token or the first of its chain was ended."""


def read(app: Application, token: str) -> Payload | None:
    """The payload of a token that is sealed by us, alive and not revoked."""
    payload = app.state["keyring"].unseal(token, Payload)
    if payload is None or payload.expires_at <= clock.now(): return None
    with app.database.read() as db:
        found = db.execute(STANDING, {"first": payload.audit_ids[0], "chain": payload.audit_ids[-1], "id": payload.user_id}).first()
    return payload if found and not found.revoked and found.signed_out_at <= payload.issued_at else None


class Known(Struct):
    """A token that is good, and until when that need not be looked at again."""
    payload: Payload
    facts: Facts
    until: float
    epoch: int


def known(app: Application, token: str) -> Known | None:
    """What is known of a token, remembered for FACTS_SECONDS unless something is revoked meanwhile; None if it is not good (any more).
    Raises the failures of errors.GONE."""
    memory: OrderedDict[bytes, Known] = app.state["facts"]
    key = hashlib.blake2b(token.encode(errors="replace"), digest_size=16).digest()
    now, epoch = clock.now(), auth.EPOCH[0]
    found = memory.get(key)
    if found and found.until > now and found.epoch == epoch: return found
    payload = read(app, token)
    if payload is None: return None
    found = Known(payload, facts_of(app, payload), min(now + FACTS_SECONDS, payload.expires_at), epoch)
    memory[key] = found
    while len(memory) > FACTS_REMEMBERED: memory.pop(next(iter(memory)), None)
    return found


def body_of(payload: Payload, facts: Facts, reach: dict[str, Any] | None = None) -> dict[str, Any]:
    """A token's facts as the API shows them, with what it may reach (`reach_of`)."""
    token: dict[str, Any] = {
        "methods": payload.methods, "user": facts.user, "audit_ids": payload.audit_ids,
        "expires_at": clock.iso(payload.expires_at, fraction=True), "issued_at": clock.iso(payload.issued_at, fraction=True), **facts.scope,
        **facts.more}
    if payload.scope:
        token["roles"] = [{"id": id, "name": name} for id, name in sorted(facts.roles.items(), key=lambda role: role[1])]
        token |= reach or {}
    return {"token": token}


def reach_of(app: Application, payload: Payload) -> dict[str, Any]:
    """{catalog, and service_providers if there are any}: what a token may reach."""
    with app.database.read() as db:
        project_id = payload.scope_id if payload.scope == "project" else None
        services = catalogue(db, project_id, payload.user_id, endpoint_ids(db, project_id) if project_id else None)
        providers = enabled_providers(db)
    return {"catalog": services, **({"service_providers": providers} if providers else {})}


def _remembered_reach(app: Application, payload: Payload) -> dict[str, Any]:
    """The same for all tokens of a user in a project, for FACTS_SECONDS; read again once this process has written anything."""
    memory: OrderedDict[tuple[str, str, str], tuple[int, float, dict[str, Any]]] = app.state["reaches"]
    key, commits, now = (payload.scope, payload.scope_id, payload.user_id), app.database.commits, clock.now()
    found = memory.get(key)
    if found and found[0] == commits and found[1] > now: return found[2]
    reach = reach_of(app, payload)
    memory[key] = commits, now + FACTS_SECONDS, reach
    while len(memory) > REACHES_REMEMBERED: memory.pop(next(iter(memory)), None)
    return reach


def identify(app: Application, token: str) -> Identity:
    """Who a token speaks for, without a request: identity's own way. Raises Unauthenticated."""
    try: found = known(app, token)
    except errors.GONE: raise Unauthenticated() from None
    if found is None: raise Unauthenticated()
    payload, facts = found.payload, found.facts
    project, domain = facts.scope.get("project") or {}, facts.scope.get("domain") or {}
    return Identity(
        user_id=facts.user["id"], user_name=facts.user["name"], user_domain_id=facts.user["domain"]["id"], project_id=project.get("id"),
        project_name=project.get("name"), project_domain_id=(project.get("domain") or {}).get("id"), domain_id=domain.get("id"),
        system="system" in facts.scope, roles=tuple(facts.roles.values()), audit_id=payload.audit_ids[0], expires_at=payload.expires_at,
        delegation=facts.delegation)


def _subject(call: Call, rule: str) -> Known:
    assert call.application is not None and call.request is not None
    token = call.request.headers.get("x-subject-token", "")
    try: found = known(call.application, token)
    except errors.GONE: raise errors.TokenNotFound() from None
    if found is None: raise errors.TokenNotFound()
    if token != call.token: permit(call, rule, {"token": {"user_id": found.facts.user["id"]}})
    return found


def show(call: Call) -> Response:
    """GET /v3/auth/tokens: is X-Subject-Token good, and whose is it?"""
    assert call.application is not None and call.request is not None
    story = call.trace
    step, peer = (story.steps.get("validated"), story.steps.get("caller", "caller")) if story else (None, "")
    with trace.step(step, "identity", peer, call.request.transport) as carried:
        found = _subject(call, "validate_token")
        payload, facts = found.payload, found.facts
        carried |= {"user": facts.user["name"], "roles": sorted(facts.roles.values())}
    if story and "validated" in story.steps: _link_login(call.application, payload, story)
    reach = None if "nocatalog" in dict(call.request.query) or not payload.scope else _remembered_reach(call.application, payload)
    return Response(200, body_of(payload, facts, reach),
                    {"X-Subject-Token": call.request.headers["x-subject-token"], "Vary": "X-Auth-Token"})


def _link_login(app: Application, payload: Payload, story: trace.Trace) -> None:
    """Gives steps 1 and 2, an earlier request, to the story that this token begins. After a restart of this process what is left of
    them is the token itself: it tells when it was issued and by which methods, not how long that took."""
    remembered = app.state["stories"].get(payload.audit_ids[0])
    issued, methods = payload.issued_at, payload.methods
    story.spans[:0] = remembered or [
        trace.Span(name="boot.01", actor="client", peer="identity", transport="http", started=issued, carried={"methods": methods}),
        trace.Span(name="boot.02", actor="identity", peer="client", transport="http", started=issued, carried={"from": "token"})]


def check(call: Call) -> Response:
    """HEAD /v3/auth/tokens"""
    _subject(call, "check_token")
    return Response(200)


def revoke(call: Call) -> None:
    """DELETE /v3/auth/tokens: this token ends now, everywhere."""
    assert call.application is not None
    payload = _subject(call, "revoke_token").payload
    with call.application.database.write() as db:
        db.execute(delete(Revocation).where(Revocation.expires_at < clock.now()))
        db.merge(Revocation(audit_id=payload.audit_ids[0], expires_at=payload.expires_at))
    auth.forget()


def list_revocations(call: Call) -> dict[str, Any]:
    """GET /v3/OS-REVOKE/events: the tokens that were ended before their time, since the instant that is asked for."""
    assert call.db is not None and call.request is not None
    try: since = clock.parse(call.request.one("since") or "1970-01-01T00:00:00")
    except ValueError: raise Invalid("Invalid timestamp in since.") from None
    rows = call.db.query(Revocation).where(Revocation.revoked_at >= since, Revocation.expires_at > clock.now())
    events = [{"audit_id": row.audit_id, "issued_before": clock.iso(row.revoked_at, fraction=True),
               "revoked_at": clock.iso(row.revoked_at, fraction=True)} for row in rows.order_by(Revocation.revoked_at)]
    return {"events": events, "links": links(call)}


def show_catalogue(call: Call) -> dict[str, Any]:
    """GET /v3/auth/catalog"""
    assert call.application is not None
    payload = read(call.application, call.token)
    if payload is None or not payload.scope: raise Forbidden(action="identity:get_auth_catalog (the token has no scope)")
    return {"catalog": reach_of(call.application, payload)["catalog"], "links": links(call)}
