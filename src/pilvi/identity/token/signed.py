"""A token for a request that was signed with an EC2 pair: POST /v3/ec2tokens and POST /v3/s3tokens, which services ask.

Source: Identity API v3, "OS-EC2"; Keystone's s3tokens. The pair gives no more than what it was made with: a trust, an application
credential.
"""
from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from typing import Any

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.errors import Failure, Invalid, Unauthenticated
from pilvi.core.http.app import Response
from pilvi.identity import errors
from pilvi.identity.resources import audit_record, trust
from pilvi.identity.resources.credential import BINDINGS, EC2, Credential, ec2_id, pair_of
from pilvi.identity.resources.policies import permit
from pilvi.identity.resources.user import User
from pilvi.identity.signature import aws
from pilvi.identity.token import issue
from pilvi.identity.token.methods import Proof, enabled
from pilvi.identity.token.scope import Scope

METHODS = ["ec2credential"]
SIGNATURE_SECONDS = 900.0
"""Keystone's auth_ttl: an older request is taken for one that was played again."""


def from_ec2(call: Call) -> Response:
    """POST /v3/ec2tokens. Each attempt is told to the audit log; s3tokens' are not: there every S3 request is one."""
    permit(call, "ec2tokens_validate")
    assert call.application is not None
    database = call.application.database
    try: response = _issued(call, lambda secret, given: [aws.of_query(secret, request) for request in _hosts(given)])
    except Failure as failure:
        with database.write() as db: audit_record.note_login(db, _named(call), "failure", METHODS, reason=str(failure.status))
        raise
    with database.write() as db: audit_record.note_login(db, response.body["token"]["user"]["id"], "success", METHODS)
    return Response(200, response.body, response.headers)


def _named(call: Call) -> str:
    """Whom an attempt that failed was about: the access key as the client wrote it (no secret). Its owner need not have sent it."""
    given = _given(call.body)
    return str(given.get("access", ""))[:64] if isinstance(given, dict) else ""


def _given(body: Any) -> Any:
    """The signed request under any of the names that clients use; None if there is none."""
    if not isinstance(body, dict): return None
    return body.get("credentials") or body.get("credential") or body.get("ec2Credentials")


def from_s3(call: Call) -> Response:
    """POST /v3/s3tokens: `token` is the string to sign, in base64. The facts come back, not the token."""
    permit(call, "s3tokens_validate")
    return Response(200, _issued(call, lambda secret, given: [aws.of_string(secret, _decoded(str(given.get("token", ""))))]).body)


def _decoded(text: str) -> bytes:
    try: return base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
    except ValueError: raise Unauthenticated("Credential signature mismatch") from None


def _hosts(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Some clients leave the port out of what they sign."""
    host = str(given.get("host", ""))
    return [given, given | {"host": host.rpartition(":")[0]}] if ":" in host else [given]


def _issued(call: Call, signatures: Callable[[str, dict[str, Any]], list[str]]) -> Response:
    """Raises Unauthenticated, CredentialNotFound, ScopeRefused."""
    assert call.application is not None
    app, body = call.application, call.body
    if not isinstance(body, dict) or not body: raise Invalid("request must include a request body")
    given = _given(body)
    if not isinstance(given, dict) or not isinstance(given.get("access"), str): raise Unauthenticated("EC2 Signature not supplied")
    with app.database.read() as db:
        row = db.get(Credential, ec2_id(given["access"]))
        if row is None or row.type != EC2: raise errors.CredentialNotFound(id=given["access"])
        pair = pair_of(app, row)
        _check(pair, given, signatures)
        delegation = next(((kind, pair[name]) for kind, name in BINDINGS.items() if pair.get(name)), None)
        held = trust.alive(db, delegation[1]) if delegation and delegation[0] == "trust" else None
        user = db.get(User, held.trustee_user_id if held else row.user_id)
        if not enabled(db, user): raise Unauthenticated()
    assert user is not None
    wish = Scope("project", row.project_id or "", delegation, held.expires_at if held else None)
    payload, facts = issue.prepare(app, Proof(user), METHODS, wish)
    return issue.answer(call, payload, facts)


def _check(pair: dict[str, Any], given: dict[str, Any], signatures: Callable[[str, dict[str, Any]], list[str]]) -> None:
    """Raises Unauthenticated for a wrong signature or one of long ago."""
    shown = str(given.get("signature") or "")
    try: fitting = [each for each in signatures(str(pair.get("secret", "")), given) if hmac.compare_digest(each.encode(), shown.encode())]
    except aws.SignatureMalformed: raise Unauthenticated("Invalid EC2 signature.") from None
    if not fitting: raise Unauthenticated("Invalid EC2 signature.")
    params, headers = given.get("params") or {}, given.get("headers") or {}
    moment = params.get("Timestamp") or headers.get("X-Amz-Date") or params.get("X-Amz-Date")
    if not moment: return
    try: signed_at = clock.parse(str(moment))
    except ValueError: raise Unauthenticated("Credential timestamp is invalid") from None
    if clock.now() > signed_at + SIGNATURE_SECONDS: raise Unauthenticated("Credential is expired")
