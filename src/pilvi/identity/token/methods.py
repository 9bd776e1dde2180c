"""The ways to prove who one is: each takes its part of the body and gives back a `Proof`, or raises LoginRefused.

Source: Identity API v3, "Authentication and token management". Every refusal reads the same, and a wrong user costs as much time as a wrong
password, so that nobody learns which names exist.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.errors import Forbidden, Invalid
from pilvi.core.http.app import Application
from pilvi.identity import errors
from pilvi.identity.directory import meet
from pilvi.identity.resources import oauth1
from pilvi.identity.resources.application_credential import ApplicationCredential
from pilvi.identity.resources.credential import Credential, opened
from pilvi.identity.resources.domain import Domain
from pilvi.identity.resources.oauth1 import AccessToken
from pilvi.identity.resources.user import User
from pilvi.identity.signature import passcode
from pilvi.identity.token import compliance, passwords
from pilvi.identity.token.formats import Payload
from pilvi.identity.token.validate import read


class Proof(Struct):
    """Who passed, and what with. `earlier`: the payload of the token that was shown."""
    user: User
    earlier: Payload | None = None
    credential: ApplicationCredential | None = None
    access_token: AccessToken | None = None


Method = Callable[[Call, dict[str, Any]], Proof]


def user_named(db: Session, asked: dict[str, Any]) -> User | None:
    """The user that a body names by id, or by name and domain. Raises Invalid if it names none."""
    if "id" in asked: return db.get(User, asked["id"])  # what a directory has no more is switched off
    if not asked.get("name"): raise Invalid("Expecting to find id or name in user. The server could not comply with the request.")
    domain = asked.get("domain") or {}
    domain_id = domain.get("id") or db.scalar(select(Domain.id).where(Domain.name == domain.get("name", "")))
    named = db.query(User).where(User.name == asked["name"], User.domain_id == domain_id, User.gone.is_(False))
    return named.order_by(User.local_id.is_not(None)).first()


def enabled(db: Session, user: User | None) -> bool:
    """Is there such a user, switched on, in a domain that is?"""
    return bool(user and user.enabled and db.scalar(select(Domain.enabled).where(Domain.id == user.domain_id)))


def domain_of(app: Application, user: User) -> dict[str, Any]:
    """{id, name} of a user's domain."""
    with app.database.read() as db: return {"id": user.domain_id, "name": db.scalar(select(Domain.name).where(Domain.id == user.domain_id))}


def _by_password(call: Call, given: dict[str, Any]) -> Proof:
    app = _application(call)
    asked = meet.meet_named(app, given["user"])
    with app.database.read() as db:
        user = user_named(db, asked)
        good = enabled(db, user)
    told = meet.fits(app, user, asked)
    if told is not None:  # rules for passwords are the directory's business, too
        if not told or user is None or not good: raise errors.LoginRefused()
        return Proof(user)
    fits = passwords.fits(app, asked["password"], user.password if user else None)
    if compliance.locked(app, user) or not fits or user is None or not good:
        if not fits: compliance.count_failure(app, user)
        raise errors.LoginRefused()
    compliance.check_user(app, user)
    compliance.record_success(app, user, asked["password"])
    return Proof(user)


def _by_passcode(call: Call, given: dict[str, Any]) -> Proof:
    """TOTP: a passcode of this or the last half minute, from any of the user's secrets."""
    app = _application(call)
    asked = meet.meet_named(app, given["user"])
    with app.database.read() as db:
        user = user_named(db, asked)
        good = enabled(db, user)
        rows = list(db.query(Credential).filter_by(user_id=user.id, type="totp")) if user else []
        secrets = [opened(app, row) for row in rows]
    fits = any(passcode.fits(secret, str(asked["passcode"]), clock.now()) for secret in secrets)
    if user is None or not fits or not good or compliance.locked(app, user):
        if user is not None and not fits: compliance.count_failure(app, user)
        raise errors.LoginRefused()
    return Proof(user)


def _by_token(call: Call, given: dict[str, Any]) -> Proof:
    app = _application(call)
    payload = read(app, given["id"])
    if payload is None: raise errors.TokenNotFound()
    if payload.delegation: raise Forbidden(action=f"Using a token of kind {payload.delegation[0]} to create another token")
    with app.database.read() as db: user = db.get(User, payload.user_id)
    if user is None: raise errors.LoginRefused()
    return Proof(user, payload)


def _by_application_credential(call: Call, given: dict[str, Any]) -> Proof:
    app = _application(call)
    owner_named = meet.meet_named(app, given.get("user") or {})
    with app.database.read() as db:
        if "id" in given: row = db.get(ApplicationCredential, given["id"])
        else:
            owner = user_named(db, owner_named)
            row = db.query(ApplicationCredential).filter_by(user_id=owner.id, name=given.get("name", "")).first() if owner else None
        user = db.get(User, row.user_id) if row else None
        good = enabled(db, user)
    fits = passwords.fits(app, given["secret"], row.secret if row else None, slow=False)  # nearly all secrets are made here
    if row is None or user is None or not fits or not good: raise errors.LoginRefused()
    if row.expires_at is not None and row.expires_at <= clock.now(): raise errors.LoginRefused()
    return Proof(user, credential=row)


def _by_access_token(call: Call, given: dict[str, Any]) -> Proof:
    """The request itself is signed, with the consumer's and the access token's secret."""
    app, signed = _application(call), oauth1.signed(call)
    with app.database.read() as call.db:
        row = call.db.get(AccessToken, signed.get("oauth_token", ""))
        consumer = oauth1.check(call, signed, row.secret if row else "")
        user = call.db.get(User, row.user_id) if row else None
        good = enabled(call.db, user)
    call.db = None
    if row is None or user is None or not good or row.consumer_id != consumer.id or row.expires_at <= clock.now():
        raise errors.LoginRefused()
    return Proof(user, access_token=row)


def _application(call: Call) -> Application:
    assert call.application is not None
    return call.application


METHODS: dict[str, Method] = {
    "password": _by_password, "token": _by_token, "application_credential": _by_application_credential,
    "oauth1": _by_access_token, "totp": _by_passcode}
