"""Sessions of the dashboard: who is signed in, kept on the server, so that no script in a browser ever holds a token.

Source: Identity API v3, "Authentication and token management". The browser holds a random word in a cookie (HttpOnly, SameSite=Strict); the
table holds its hash and the token, encrypted with a key made from that word: neither the database nor the cookie alone opens anything.
Requests that change something also need the header `x-csrf-token`, which only the dashboard's own page can know.
"""
from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import delete
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.db.types import Instant, Json
from pilvi.core.errors import Failure, Forbidden, Unauthenticated
from pilvi.core.http.app import Application, Request, Response
from pilvi.core.http.client import Reply, send
from pilvi.core.http.routes import ANYONE, Route
from pilvi.core.wire import Base
from pilvi.dashboard import errors

COOKIE = "pilvi_session"
CSRF_HEADER = "x-csrf-token"
SAFE = {"GET", "HEAD", "OPTIONS"}
FACTORS = {"password", "totp"}
"""The methods that the page can ask for."""


class SessionRow(Base):
    """`about` is what the page may know: user, project, roles, and the services of the catalogue."""
    __tablename__ = "dashboard_sessions"
    digest: Mapped[str] = mapped_column(primary_key=True)
    token: Mapped[str]
    about: Mapped[Any] = mapped_column(Json)
    expires_at: Mapped[float] = mapped_column(Instant)


@dataclass(frozen=True, slots=True)
class Session:
    """A session that was found by its cookie."""
    word: str
    token: str
    about: dict[str, Any]
    expires_at: float

    @property
    def project_id(self) -> str:
        return str(self.about["project"]["id"])

    @property
    def is_admin(self) -> bool:
        return "admin" in self.about["roles"]


def _digest(word: str) -> str:
    return hashlib.sha256(b"session:" + word.encode()).hexdigest()


def _csrf(word: str) -> str:
    return hmac.new(word.encode(), b"csrf", "sha256").hexdigest()


def _cipher(word: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"token:" + word.encode()).digest()))


def read_cookie(request: Request, name: str = COOKIE) -> str:
    """A cookie's value, or nothing."""
    try: found = SimpleCookie(request.headers.get("cookie", "")).get(name)
    except CookieError: return ""
    return found.value if found else ""


def find(application: Application, request: Request) -> Session:
    """The session behind a request of the page. Raises SignedOut, ForeignPage."""
    same_origin(request)
    word = read_cookie(request)
    if not word: raise errors.SignedOut()
    with application.database.read() as db: row = db.get(SessionRow, _digest(word))
    if row is None or row.expires_at < clock.now(): raise errors.SignedOut()
    given = request.headers.get(CSRF_HEADER, "")
    if request.method not in SAFE and not hmac.compare_digest(given.encode(errors="replace"), _csrf(word).encode()):
        raise errors.ForeignPage()
    try: token = _cipher(word).decrypt(row.token.encode()).decode()
    except InvalidToken: raise errors.SignedOut() from None
    return Session(word, token, row.about, row.expires_at)


def same_origin(request: Request) -> None:
    """Browsers tell where a request comes from; another site's page gets nothing. Raises ForeignPage."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"): raise errors.ForeignPage()
    origin, own = request.headers.get("origin"), request.headers.get("x-forwarded-host", request.headers.get("host", ""))
    if origin and origin.partition("://")[2] != own: raise errors.ForeignPage()


# -- what the page asks

def sign_in(call: Call) -> Response:
    """POST /session: with a password; scoped to the asked project, else to the user's own, else to the first one."""
    assert call.request is not None and call.application is not None
    same_origin(call.request)
    asked = call.body
    user = {"name": asked["user"], "domain": {"name": asked.get("domain") or "Default"}, "password": asked["password"]}
    identity: dict[str, Any] = {"methods": ["password"], "password": {"user": user}}
    if asked.get("passcode"):
        identity["methods"].append("totp")
        identity["totp"] = {"user": {**{k: user[k] for k in ("name", "domain")}, "passcode": asked["passcode"]}}
    try: unscoped = _ask_token(call, {"identity": identity, "scope": "unscoped"})
    except (Unauthenticated, Forbidden) as refusal:
        answer = refusal.facts.get("answer")
        rules = answer.get("required_auth_methods") if isinstance(answer, dict) else None
        if not rules: raise errors.SignInRefused() from None
        if any(set(rule) <= FACTORS for rule in rules): raise errors.PasscodeNeeded() from None
        raise errors.OtherFactorsNeeded() from None
    return enter(call, unscoped.headers["x-subject-token"], unscoped.json()["token"]["user"]["id"], asked.get("project"))


def enter(call: Call, token: str, user_id: str, project_id: str | None = None) -> Response:
    """A session for who has an unscoped token. Raises NoProject."""
    projects = _projects(call, token)
    if not projects: raise errors.NoProject()
    own = _default_project(call, token, user_id)
    wanted = next((p for p in projects if p["id"] in (project_id, own)), projects[0])
    return _begin(call, _scope(call, token, wanted["id"]), projects)


def show(call: Call) -> Response:
    """GET /session: who is signed in; 204 when nobody is."""
    try: return Response(200, _shown(_found(call)))
    except errors.SignedOut: return Response(204)


def switch(call: Call) -> Response:
    """PUT /session: another project of the same user."""
    found = _found(call)
    reply = _scope(call, found.token, call.body["project_id"])
    return _begin(call, reply, _projects(call, found.token), instead_of=found)


def sign_out(call: Call) -> Response:
    """DELETE /session: the token is revoked."""
    assert call.application is not None
    try: found = _found(call)
    except errors.SignedOut: return Response(204, headers={"Set-Cookie": cookie(call, COOKIE, "", 0)})
    with call.application.database.write() as db: db.execute(delete(SessionRow).where(SessionRow.digest == _digest(found.word)))
    call.token = found.token
    try: send(call, "identity", "DELETE", "/v3/auth/tokens", headers={"x-subject-token": found.token})
    except Failure: pass  # it may have ended meanwhile
    return Response(204, headers={"Set-Cookie": cookie(call, COOKIE, "", 0)})


def _found(call: Call) -> Session:
    assert call.application is not None and call.request is not None
    return find(call.application, call.request)


def _ask_token(call: Call, auth: dict[str, Any]) -> Reply:
    call.token = ""
    return send(call, "identity", "POST", "/v3/auth/tokens", body={"auth": auth})


def _scope(call: Call, token: str, project_id: str) -> Reply:
    return _ask_token(call, {"identity": {"methods": ["token"], "token": {"id": token}}, "scope": {"project": {"id": project_id}}})


def _projects(call: Call, token: str) -> list[dict[str, str]]:
    call.token = token
    found = send(call, "identity", "GET", "/v3/auth/projects").json()["projects"]
    return [{"id": p["id"], "name": p["name"], "domain_id": p["domain_id"]} for p in found if p.get("enabled", True)]


def _default_project(call: Call, token: str, user_id: str) -> str | None:
    call.token = token
    try: found = send(call, "identity", "GET", f"/v3/users/{user_id}").json()["user"].get("default_project_id")
    except Failure: return None
    return str(found) if found else None


def _begin(call: Call, reply: Reply, projects: list[dict[str, str]], instead_of: Session | None = None) -> Response:
    """Keeps a token in a session of its own and gives the browser the word for it."""
    assert call.application is not None
    token, facts, word = reply.headers["x-subject-token"], reply.json()["token"], secrets.token_urlsafe(32)
    expires_at = clock.parse(facts["expires_at"])
    endpoints = {service["type"]: next((e["url"] for e in service["endpoints"] if e["interface"] == "public"), "")
                 for service in facts.get("catalog", ())}
    about = {"user": facts["user"], "project": facts["project"], "roles": [role["name"] for role in facts["roles"]], "projects": projects,
             "endpoints": endpoints, "region": call.application.region, "auth_url": endpoints.get("identity", "")}
    row = SessionRow(digest=_digest(word), token=_cipher(word).encrypt(token.encode()).decode(), about=about, expires_at=expires_at)
    with call.application.database.write() as db:
        db.execute(delete(SessionRow).where(SessionRow.expires_at < clock.now()))
        if instead_of: db.execute(delete(SessionRow).where(SessionRow.digest == _digest(instead_of.word)))
        db.add(row)
    shown = _shown(Session(word, token, about, expires_at))
    return Response(200, shown, {"Set-Cookie": cookie(call, COOKIE, word, int(expires_at - clock.now()))})


def root(call: Call) -> str:
    """The dashboard's path as the browser sees it."""
    assert call.request is not None
    return "/" + call.request.base.partition("://")[2].partition("/")[2]


def cookie(call: Call, name: str, value: str, seconds: int, below: str = "") -> str:
    """A Set-Cookie that no script and no other site can use, for the dashboard or a path of it."""
    assert call.request is not None
    secure = "; Secure" if call.request.base.startswith("https:") else ""
    return f"{name}={value}; Path={root(call)}{below}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"


def _shown(found: Session) -> dict[str, Any]:
    return {**found.about, "csrf": _csrf(found.word), "expires_at": clock.iso(found.expires_at)}


_WORD = {"type": "string", "minLength": 1, "maxLength": 255}
SIGN_IN = {"type": "object", "required": ["user", "password"], "additionalProperties": False, "properties": {
    "user": _WORD, "password": {"type": "string", "maxLength": 4096}, "domain": {"type": "string", "maxLength": 255},
    "project": _WORD, "passcode": {"type": "string", "maxLength": 64}}}
SWITCH = {"type": "object", "required": ["project_id"], "additionalProperties": False, "properties": {"project_id": _WORD}}
ROUTES = [
    Route("/session", "POST", sign_in, ANYONE, body=SIGN_IN), Route("/session", "GET", show, ANYONE),
    Route("/session", "PUT", switch, ANYONE, body=SWITCH), Route("/session", "DELETE", sign_out, ANYONE),
]
