"""Signing in through another identity provider: from the page to identity's WebSSO, and its token back into an ordinary session.

Source: Identity API v3, OS-FEDERATION, "Web single sign on".

The token comes as a form that identity's page posts. Any other page could post one too, with the token of its author, and who was
looking at that page would go on working as somebody else. So the browser that sets out gets a secret word in a cookie, and the address
that identity is to post to ends with that word's hash, the ticket: identity takes it to the provider and back within what it seals (or
keeps), so a token that arrives at a ticket belongs to the sign-in that was begun with it, and only the browser that began it is let in.

The cookie is SameSite=Strict. A form from another site would come without it (without a Lax one, too: those come along with links, not
with forms). This one does come with it, because identity's page, whose form it is, has the same origin as the dashboard: both are at the
cloud's own address, however far the browser has travelled before. A cookie with SameSite=None would need TLS.
"""
from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.db.types import Instant
from pilvi.core.errors import Forbidden, Invalid, NotFound, Unauthenticated, Unavailable
from pilvi.core.http.app import Response
from pilvi.core.http.client import send
from pilvi.core.http.routes import ANYONE, Route
from pilvi.core.wire import Base
from pilvi.dashboard import errors, session

PATH = "/auth/websso"
COOKIE = "pilvi_sign_in"
SECONDS = 600
"""As long as identity waits for a provider's answer."""
TOKEN = re.compile(r"[A-Za-z0-9_=.-]{1,8192}")


class UsedToken(Base):
    """A token that has become a session, kept until it would have expired."""
    __tablename__ = "dashboard_used_tokens"
    audit_id: Mapped[str] = mapped_column(primary_key=True)
    expires_at: Mapped[float] = mapped_column(Instant)


def list_choices(call: Call) -> dict[str, Any]:
    """GET /auth/websso: who else may say who somebody is, as {title, address}. The addresses are the cloud's own, wherever the page was
    read: providers know that one only."""
    call.token = ""
    found = send(call, "identity", "GET", "/v3/auth/OS-FEDERATION/websso").json()["choices"]
    return {"choices": [{"title": one["title"], "address": f"{_receiver(call)}/{quote(one['identity_provider'])}/{quote(one['protocol'])}"}
                        for one in found]}


def begin(call: Call, provider: str, protocol: str) -> Response:
    """GET /auth/websso/{provider}/{protocol}: gives the browser its word and sends it on."""
    assert call.application is not None
    word = secrets.token_urlsafe(32)
    place = f"identity_providers/{quote(provider, safe='')}/protocols/{quote(protocol, safe='')}"
    query = urlencode({"origin": f"{_receiver(call)}/{_ticket(word)}"})
    return Response(303, None, {
        "Location": f"{call.application.identity_url}/v3/auth/OS-FEDERATION/{place}/websso?{query}", "Cache-Control": "no-store",
        "Set-Cookie": session.cookie(call, COOKIE, word, SECONDS, below=PATH)})


def receive(call: Call, ticket: str) -> Response:
    """POST /auth/websso/{ticket}: the token becomes a session. Whatever happens the browser goes on to the page, which says what
    did."""
    try: return _to_page(call, "", _enter(call, ticket))
    except (errors.NotBegunHere, errors.NoProject) as failure: return _to_page(call, str(failure.code))
    except Unavailable: return _to_page(call, "unavailable")
    except (Unauthenticated, Forbidden, NotFound, Invalid): return _to_page(call, "refused")


def _enter(call: Call, ticket: str) -> str:
    """The new session's cookie."""
    assert call.request is not None
    try: session.same_origin(call.request)
    except errors.ForeignPage: raise errors.NotBegunHere() from None
    word = session.read_cookie(call.request, COOKIE)
    if not word or not hmac.compare_digest(_ticket(word).encode(), ticket.encode()): raise errors.NotBegunHere()
    token = _token(call.request.body)
    call.token = token
    who = send(call, "identity", "GET", "/v3/auth/tokens", query={"nocatalog": "1"}, headers={"x-subject-token": token}).json()["token"]
    _use_up(call, who["audit_ids"][0], clock.parse(who["expires_at"]))
    return session.enter(call, token, who["user"]["id"]).headers["Set-Cookie"]


def _use_up(call: Call, audit_id: str, expires_at: float) -> None:
    """A token that has been in a page is good for one session. (To revoke it would end the session's own, which is made from it.)
    Raises SignInRefused."""
    assert call.application is not None
    try:
        with call.application.database.write() as db:
            db.execute(delete(UsedToken).where(UsedToken.expires_at < clock.now()))
            db.add(UsedToken(audit_id=audit_id, expires_at=expires_at))
    except IntegrityError: raise errors.SignInRefused() from None


def _token(body: bytes) -> str:
    """Of the form. Raises Invalid for what can be none."""
    try: found = parse_qs(body.decode(), max_num_fields=20).get("token", [""])[0]
    except (UnicodeDecodeError, ValueError): found = ""
    if not TOKEN.fullmatch(found): raise Invalid(reason="there is no token")
    return found


def _to_page(call: Call, outcome: str, cookie: str = "") -> Response:
    """On to the page by its path alone, so to no other host. One cookie fits into an answer: who is let in keeps the word until it
    ends, who is not loses it."""
    headers = {"Location": session.root(call) + "/" + (f"?sign_in={outcome}" if outcome else ""), "Cache-Control": "no-store"}
    return Response(303, None, headers | {"Set-Cookie": cookie or session.cookie(call, COOKIE, "", 0, below=PATH)})


def _ticket(word: str) -> str:
    return hashlib.sha256(b"sign-in:" + word.encode()).hexdigest()


def _receiver(call: Call) -> str:
    assert call.application is not None
    return str(call.application.state["dashboard_receiver"])


ROUTES = [
    Route(PATH, "GET", list_choices, ANYONE), Route(PATH + "/{provider}/{protocol}", "GET", begin, ANYONE),
    Route(PATH + "/{ticket}", "POST", receive, ANYONE, raw=True),
]
