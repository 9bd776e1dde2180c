"""Issuing a token: POST /v3/auth/tokens (boot steps 1 and 2).

Source: Identity API v3, "Authentication and token management". Methods: password, token. Every refusal reads the same, and a wrong user
costs as much time as a wrong password, so that nobody learns which names exist.
"""
from __future__ import annotations

import base64
import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from sqlalchemy import select

from pilvi.core import clock, trace
from pilvi.core.context import Call
from pilvi.core.errors import Invalid
from pilvi.core.http.app import Application, Response
from pilvi.identity import errors
from pilvi.identity.resources.assignment import SYSTEM
from pilvi.identity.resources.domain import Domain
from pilvi.identity.resources.project import Project
from pilvi.identity.resources.user import User
from pilvi.identity.token import passwords
from pilvi.identity.token.formats import Payload, seal
from pilvi.identity.token.validate import body_of, facts_of, read

STORIES = 10_000
NAMES: dict[str, Any] = {"id": {"type": "string", "maxLength": 255}, "name": {"type": "string", "maxLength": 255}}
NAMED = {"type": "object", "properties": NAMES}
OF_DOMAIN = {"type": "object", "properties": {**NAMES, "domain": NAMED}}
BODY = {"type": "object", "required": ["auth"], "properties": {"auth": {
    "type": "object", "required": ["identity"], "properties": {
        "identity": {"type": "object", "required": ["methods"], "properties": {
            "methods": {"type": "array", "minItems": 1, "maxItems": 8, "items": {"type": "string"}},
            "password": {"type": "object", "required": ["user"], "properties": {"user": {
                "type": "object", "required": ["password"],
                "properties": {**NAMES, "domain": NAMED, "password": {"type": "string", "maxLength": 4096}}}}},
            "token": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string", "maxLength": 4096}}}}},
        "scope": {"anyOf": [{"enum": ["unscoped"]}, {"type": "object", "minProperties": 1, "maxProperties": 1, "properties": {
            "project": OF_DOMAIN, "domain": NAMED, "system": {"type": "object"}, "unscoped": {"type": "object"}}}]}}}}}


def issue(call: Call) -> Response:
    """The token goes into X-Subject-Token, its facts and the catalogue into the body."""
    assert call.application is not None and call.request is not None
    app, asked = call.application, call.body["auth"]
    story = trace.Trace(steps={"ask": "boot.01", "answer": "boot.02"})
    with trace.active(story):
        trace.mark("boot.01", "client", "identity", call.request.transport, methods=asked["identity"]["methods"][:8])
        with trace.step("boot.02", "identity", "client", call.request.transport) as carried:
            user, methods, earlier = _authenticate(app, asked["identity"])
            scope, scope_id = _scope(app, asked.get("scope"), user, earlier)
            now = clock.now()
            own = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")
            expires = earlier.expires_at if earlier else now + app.config.token_seconds
            payload = Payload(user.id, methods, scope, scope_id, now, expires, [own, *(earlier.audit_ids[-1:] if earlier else [])])
            facts = facts_of(app, payload)
            token = seal(app.state["keyring"].current(), payload)
            carried |= {"user": user.name, "scope": scope or "unscoped"}
    _remember(app, own, story)
    catalogue = "nocatalog" not in dict(call.request.query)
    return Response(201, body_of(app, payload, facts, catalogue=catalogue), {"X-Subject-Token": token, "Vary": "X-Auth-Token"})


def _remember(app: Application, audit_id: str, story: trace.Trace) -> None:
    """Keeps steps 1 and 2 until the compute API links them to a boot at step 3."""
    known: OrderedDict[str, list[trace.Span]] = app.state["stories"]
    known[audit_id] = story.spans
    while len(known) > STORIES: known.popitem(last=False)


def _authenticate(app: Application, identity: dict[str, Any]) -> tuple[Any, list[str], Payload | None]:
    """(user, methods, the earlier token's payload). Raises LoginRefused."""
    methods = identity["methods"]
    if unknown := set(methods) - METHODS.keys():
        raise errors.LoginRefused(f"Attempted to authenticate with an unsupported method ({', '.join(sorted(unknown))[:80]}).")
    user, earlier = None, None
    for method in methods:
        if method not in identity: raise Invalid(f"Expecting to find {method} in identity. The server could not comply with the request.")
        found, payload = METHODS[method](app, identity[method])
        if user is not None and found.id != user.id: raise errors.LoginRefused()
        user, earlier = found, payload or earlier
    assert user is not None
    used = list(dict.fromkeys([*(earlier.methods if earlier else []), *methods]))
    return user, used, earlier


def _by_password(app: Application, given: dict[str, Any]) -> tuple[Any, None]:
    asked = given["user"]
    with app.database.read() as db:
        if "id" in asked: user = db.get(User, asked["id"])
        else:
            if not asked.get("name"): raise Invalid("Expecting to find id or name in user. The server could not comply with the request.")
            domain = asked.get("domain") or {}
            domain_id = domain.get("id") or db.scalar(select(Domain.id).where(Domain.name == domain.get("name", "")))
            user = db.query(User).where(User.name == asked["name"], User.domain_id == domain_id).first()
        domain_enabled = bool(user and db.scalar(select(Domain.enabled).where(Domain.id == user.domain_id)))
    fits = passwords.fits(app, asked["password"], user.password if user else None)
    if user is None or not fits or not user.enabled or not domain_enabled: raise errors.LoginRefused()
    return user, None


def _by_token(app: Application, given: dict[str, Any]) -> tuple[Any, Payload]:
    payload = read(app, given["id"])
    if payload is None: raise errors.LoginRefused()
    with app.database.read() as db: user = db.get(User, payload.user_id)
    if user is None: raise errors.LoginRefused()
    return user, payload


METHODS: dict[str, Callable[[Application, dict[str, Any]], tuple[Any, Payload | None]]] = {"password": _by_password, "token": _by_token}


def _scope(app: Application, asked: Any, user: Any, earlier: Payload | None) -> tuple[str, str]:
    """(kind, id) of what the token is for; without a wish the user's default project, if it has a role there."""
    if asked == "unscoped" or (isinstance(asked, dict) and "unscoped" in asked): return "", ""
    if asked is None: return ("", "") if earlier else _default(app, user)
    if "system" in asked:
        if not asked["system"].get("all"): raise Invalid("Only the scope system: all is known.")
        return "system", SYSTEM
    with app.database.read() as db:
        if "domain" in asked: return "domain", _domain_id(db, asked["domain"], "domain")
        if "project" not in asked: raise Invalid("The scope must be a project, a domain or the system.")
        wish = asked["project"]
        if "id" in wish: return "project", wish["id"]
        domain_id = _domain_id(db, wish.get("domain") or {}, "project")
        project_id = db.scalar(select(Project.id).where(Project.name == wish.get("name"), Project.domain_id == domain_id))
    if project_id is None: raise errors.ScopeRefused(kind="project")
    return "project", project_id


def _default(app: Application, user: Any) -> tuple[str, str]:
    if not user.default_project_id: return "", ""
    try: facts_of(app, Payload(user.id, [], "project", user.default_project_id, 0, 0, []))
    except errors.ScopeRefused: return "", ""
    return "project", user.default_project_id


def _domain_id(db: Any, asked: dict[str, Any], kind: str) -> str:
    if "id" in asked: return str(asked["id"])
    found = db.scalar(select(Domain.id).where(Domain.name == asked.get("name", "")))
    if found is None: raise errors.ScopeRefused(kind=kind)
    return str(found)
