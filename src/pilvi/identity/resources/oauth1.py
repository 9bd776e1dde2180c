"""OAuth 1.0: a user lets a consumer (a program that somebody registered) act in a project with some of the user's roles.

Source: Identity API v3, "OS-OAUTH1"; RFC 5849. The consumer gets a request token, the user authorizes it for some roles and tells the
verifier, with which the consumer gets an access token, and with that a token of the cloud.
"""
from __future__ import annotations

import hmac
import secrets
from typing import Any

from sqlalchemy import delete as delete_from
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.crypto import new_hex_id
from pilvi.core.db.types import Json
from pilvi.core.dialect import KEYSTONE
from pilvi.core.errors import Invalid, Unauthenticated
from pilvi.core.http import auth
from pilvi.core.http.app import Response
from pilvi.core.http.routes import ANYONE, Route
from pilvi.core.resource import Resource
from pilvi.core.wire import OPTIONAL, Base, HexIdentified, field, text
from pilvi.identity import errors
from pilvi.identity.resources import policies
from pilvi.identity.resources.delegation import ROLES, forbid_delegated, named_roles, roles_shown
from pilvi.identity.resources.effective_role import effective_roles
from pilvi.identity.resources.relative import find, links
from pilvi.identity.signature import oauth1

REQUEST_SECONDS, ACCESS_SECONDS = 28_800, 86_400
FORM = "application/x-www-form-urlencoded"


class Consumer(HexIdentified, Base):
    __tablename__ = "identity_consumers"
    description: Mapped[str | None] = field(text(65535), create=OPTIONAL, update=True, filter=False)
    secret: Mapped[str] = mapped_column(default=lambda: secrets.token_hex(16))
    extra: Mapped[Any] = mapped_column(Json, nullable=True)


class RequestToken(Base):
    __tablename__ = "identity_request_tokens"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_hex_id)
    secret: Mapped[str] = mapped_column(default=lambda: secrets.token_hex(16))
    consumer_id: Mapped[str] = mapped_column(index=True)
    project_id: Mapped[str]
    user_id: Mapped[str | None]
    """Who has authorized it, for which roles, and the word that tells the consumer so"""
    role_ids: Mapped[list[str]] = mapped_column(Json, default=list)
    verifier: Mapped[str | None]
    expires_at: Mapped[float]


class AccessToken(Base):
    __tablename__ = "identity_access_tokens"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_hex_id)
    secret: Mapped[str] = mapped_column(default=lambda: secrets.token_hex(16))
    consumer_id: Mapped[str] = mapped_column(index=True)
    project_id: Mapped[str]
    user_id: Mapped[str] = mapped_column(index=True)
    role_ids: Mapped[list[str]] = mapped_column(Json)
    expires_at: Mapped[float]


def forget_users(db: Session, *user_ids: str) -> None:
    """Users are gone, and what they authorized. In the caller's transaction."""
    db.execute(delete_from(AccessToken).where(AccessToken.user_id.in_(user_ids)))


def remove(call: Call, consumer: Consumer) -> None:
    """What it was given ends with it."""
    assert call.db is not None
    for table in (RequestToken, AccessToken): call.db.execute(delete_from(table).where(table.consumer_id == consumer.id))
    auth.forget()


def render(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    """The secret is told to whoever has just made it."""
    for row, body in zip(rows, bodies, strict=True):
        body.update(row.extra or {})
        if call.request is not None and call.request.method == "POST": body["secret"] = row.secret


RESOURCE = Resource(Consumer, "consumer", "/v3/OS-OAUTH1/consumers", KEYSTONE, owner=None, missing=errors.ConsumerNotFound,
                    policy=policies.verbs("consumer"), on_delete=remove, on_render=render)


def signed(call: Call) -> dict[str, str]:
    """The oauth_… values of the request. Raises Unauthenticated without them."""
    assert call.request is not None
    given = oauth1.parameters(call.request.headers.get("authorization", ""))
    if not given.get("oauth_consumer_key"): raise Invalid("Expecting to find oauth_consumer_key in request.")
    return given


def check(call: Call, given: dict[str, str], token_secret: str) -> Consumer:
    """The consumer that signed this request. Raises Unauthenticated."""
    assert call.db is not None and call.request is not None
    consumer = call.db.get(Consumer, given["oauth_consumer_key"])
    try: age = abs(clock.now() - float(given.get("oauth_timestamp", "")))
    except ValueError: age = float("inf")
    url = call.url(call.request.path) + (f"?{call.request.query_string}" if call.request.query_string else "")
    wanted = oauth1.signature(call.request.method, url, given, (consumer.secret if consumer else "", token_secret))
    good = hmac.compare_digest(wanted.encode(), given.get("oauth_signature", "").encode())
    if consumer is None or not good or age > REQUEST_SECONDS or given.get("oauth_signature_method") != "HMAC-SHA1":
        raise Unauthenticated("Invalid signature")
    return consumer


def _told(row: RequestToken | AccessToken) -> Response:
    text = f"oauth_token={row.id}&oauth_token_secret={row.secret}&oauth_expires_at={clock.iso(row.expires_at, fraction=True)}"
    return Response(201, text.encode(), media_type=FORM)


def create_request_token(call: Call) -> Response:
    """POST /v3/OS-OAUTH1/request_token"""
    assert call.db is not None and call.request is not None
    given = signed(call)
    project_id = call.request.headers.get("requested-project-id")
    if not project_id: raise Invalid("Expecting to find Requested-Project-Id in request.")
    consumer = check(call, given, "")
    find(call, "project", project_id)
    call.db.execute(delete_from(RequestToken).where(RequestToken.expires_at < clock.now()))
    row = RequestToken(consumer_id=consumer.id, project_id=project_id, expires_at=clock.now() + REQUEST_SECONDS)
    call.db.add(row)
    call.db.flush()
    return _told(row)


def _request_token(call: Call, id: str) -> RequestToken:
    assert call.db is not None
    row = call.db.get(RequestToken, id)
    if row is None: raise errors.RequestTokenNotFound(id=id)
    if row.expires_at <= clock.now(): raise Unauthenticated("Request token is expired")
    return row


def authorize(call: Call, request_token_id: str) -> dict[str, Any]:
    """PUT /v3/OS-OAUTH1/authorize/{request_token_id}"""
    assert call.db is not None
    forbid_delegated(call, "authorize a request token")
    row = _request_token(call, request_token_id)
    role_ids = named_roles(call, call.body["roles"])
    if not set(role_ids) <= effective_roles(call.db, call.user_id, "project", row.project_id).keys():
        raise Unauthenticated("authorizing user does not have role required")
    row.user_id, row.role_ids, row.verifier = call.user_id, role_ids, secrets.token_hex(4)
    return {"token": {"oauth_verifier": row.verifier}}


def create_access_token(call: Call) -> Response:
    """POST /v3/OS-OAUTH1/access_token: the request token is used up."""
    assert call.db is not None
    given = signed(call)
    if "oauth_token" not in given or "oauth_verifier" not in given:
        raise Invalid("Expecting to find oauth_token and oauth_verifier in request.")
    row = _request_token(call, given["oauth_token"])
    consumer = check(call, given, row.secret)
    if row.consumer_id != consumer.id or not row.user_id or not hmac.compare_digest(
            (row.verifier or "").encode(), given["oauth_verifier"].encode()): raise Unauthenticated("Invalid verifier")
    made = AccessToken(consumer_id=consumer.id, project_id=row.project_id, user_id=row.user_id, role_ids=row.role_ids,
                       expires_at=clock.now() + ACCESS_SECONDS)
    call.db.add(made)
    call.db.delete(row)
    call.db.flush()
    return _told(made)


def _body(call: Call, row: AccessToken) -> dict[str, Any]:
    here = call.url(f"/v3/users/{row.user_id}/OS-OAUTH1/access_tokens/{row.id}")
    return {"id": row.id, "consumer_id": row.consumer_id, "project_id": row.project_id, "authorizing_user_id": row.user_id,
            "expires_at": clock.iso(row.expires_at, fraction=True),
            "links": {"self": here, "roles": here + "/roles"}}


def _access_token(call: Call, user_id: str, id: str) -> AccessToken:
    assert call.db is not None
    row = call.db.get(AccessToken, id)
    if row is None or row.user_id != user_id: raise errors.AccessTokenNotFound(id=id)
    return row


def list_access_tokens(call: Call, user_id: str) -> dict[str, Any]:
    """GET /v3/users/{user_id}/OS-OAUTH1/access_tokens"""
    assert call.db is not None
    forbid_delegated(call, "list access tokens")
    rows = call.db.query(AccessToken).filter_by(user_id=user_id).order_by(AccessToken.id)
    return {"access_tokens": [_body(call, row) for row in rows], "links": links(call)}


def show_access_token(call: Call, user_id: str, access_token_id: str) -> dict[str, Any]:
    """GET /v3/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}"""
    return {"access_token": _body(call, _access_token(call, user_id, access_token_id))}


def delete_access_token(call: Call, user_id: str, access_token_id: str) -> None:
    """DELETE /v3/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}: what was issued for it ends."""
    assert call.db is not None
    forbid_delegated(call, "end an access token")
    call.db.delete(_access_token(call, user_id, access_token_id))
    auth.forget()


def list_roles(call: Call, user_id: str, access_token_id: str) -> dict[str, Any]:
    """GET …/access_tokens/{access_token_id}/roles"""
    return {"roles": roles_shown(call, _access_token(call, user_id, access_token_id).role_ids), "links": links(call)}


def show_role(call: Call, user_id: str, access_token_id: str, role_id: str) -> dict[str, Any]:
    """GET …/access_tokens/{access_token_id}/roles/{role_id}"""
    if role_id not in _access_token(call, user_id, access_token_id).role_ids: raise errors.RoleNotFound(id=role_id)
    return {"role": roles_shown(call, [role_id])[0]}


EVERY, ONE = "/v3/users/{user_id}/OS-OAUTH1/access_tokens", "/v3/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}"
AUTHORIZE = {"type": "object", "required": ["roles"], "properties": {"roles": ROLES | {"minItems": 1}}}
ROUTES = [
    Route("/v3/OS-OAUTH1/request_token", "POST", create_request_token, ANYONE, transaction="write"),
    Route("/v3/OS-OAUTH1/access_token", "POST", create_access_token, ANYONE, transaction="write"),
    Route("/v3/OS-OAUTH1/authorize/{request_token_id}", "PUT", authorize, "identity:authorize_request_token", transaction="write",
          body=AUTHORIZE),
    Route(EVERY, "GET", list_access_tokens, "identity:list_access_tokens", transaction="read"),
    Route(ONE, "GET", show_access_token, "identity:get_access_token", transaction="read"),
    Route(ONE, "DELETE", delete_access_token, "identity:delete_access_token", transaction="write", status=204),
    Route(ONE + "/roles", "GET", list_roles, "identity:list_access_token_roles", transaction="read"),
    Route(ONE + "/roles/{role_id}", "GET", show_role, "identity:get_access_token_role", transaction="read"),
]
