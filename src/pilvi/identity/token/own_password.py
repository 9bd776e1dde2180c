"""POST /v3/users/{id}/password: a user's own change, which the old password allows, also one that has expired; the old tokens end.

Source: Identity API v3, "Users" (change password).
"""
from __future__ import annotations

from pilvi.core.context import Call
from pilvi.core.http import auth
from pilvi.core.http.routes import ANYONE, Route
from pilvi.identity import errors
from pilvi.identity.directory import meet
from pilvi.identity.resources.user import User, set_password
from pilvi.identity.token import compliance, passwords


def change(call: Call, id: str) -> None:
    """POST /v3/users/{id}/password"""
    assert call.application is not None
    app, asked = call.application, call.body["user"]
    meet.meet_named(app, {"id": id})
    with app.database.read() as db: user = db.get(User, id)
    if (told := meet.fits(app, user, {"password": asked["original_password"]})) is not None:
        raise errors.DirectoryReadOnly() if told else errors.LoginRefused()
    fits = passwords.fits(app, asked["original_password"], user.password if user else None)
    if user is None or not user.enabled or compliance.locked(app, user) or not fits:
        if not fits: compliance.count_failure(app, user)
        raise errors.LoginRefused()
    compliance.check_change(app, user, asked["password"])
    hashed = passwords.hashed(app, asked["password"])
    with app.database.write() as db:
        fresh = db.get(User, id)
        if fresh is None or fresh.password != user.password: raise errors.LoginRefused()
        set_password(app, db, fresh, hashed, by_user=True)
    auth.forget()


SECRET = {"type": "string", "minLength": 1, "maxLength": 4096}
BODY = {"type": "object", "required": ["user"], "properties": {"user": {
    "type": "object", "required": ["original_password", "password"], "properties": {"original_password": SECRET, "password": SECRET}}}}
ROUTES = [Route("/v3/users/{id}/password", "POST", change, ANYONE, status=204, body=BODY)]
