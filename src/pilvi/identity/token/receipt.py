"""Several methods for one login: a user's rules name them, and a receipt carries those already passed from one request to the next.

Source: Identity API v3, "Multi-factor authentication" (user options, receipts).
"""
from __future__ import annotations

from typing import Any

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.http.app import Application, Response
from pilvi.identity import errors
from pilvi.identity.resources.user import User
from pilvi.identity.token.formats import Receipt

HEADER, SECONDS = "Openstack-Auth-Receipt", 300.0
ALONE = {"application_credential", "oauth1"}
"""What stands for a user without being the user: rules say nothing of it."""


def rules_of(user: User, known: set[str]) -> list[list[str]]:
    """The lists of methods of which one must be passed; those with methods that this cloud does not have are left out."""
    if user.options.get("multi_factor_auth_enabled") is False: return []
    rules: list[list[str]] = user.options.get("multi_factor_auth_rules") or []
    return [rule for rule in rules if set(rule) <= known]


def shown(call: Call, user: User) -> list[str]:
    """The methods that the request's receipt proves. Raises LoginRefused for a receipt of somebody else or of long ago."""
    assert call.request is not None and call.application is not None
    text = call.request.headers.get(HEADER.lower(), "")
    if not text: return []
    receipt: Receipt | None = call.application.state["keyring"].unseal(text, Receipt)
    if receipt is None or receipt.user_id != user.id or receipt.expires_at <= clock.now() or receipt.issued_at < user.signed_out_at:
        raise errors.LoginRefused()
    return receipt.methods


def missing(user: User, methods: list[str], known: set[str]) -> list[list[str]] | None:
    """The rules, if none of them is fulfilled."""
    rules = rules_of(user, known)
    if not rules or ALONE & set(methods): return None
    return None if any(set(rule) <= set(methods) for rule in rules) else rules


def refusal(app: Application, user: User, domain: dict[str, Any], methods: list[str], rules: list[list[str]]) -> Response:
    """401 with a receipt for what was passed and what could follow."""
    now = clock.now()
    receipt = Receipt(user.id, methods, now, now + SECONDS)
    body = {"receipt": {"methods": methods, "user": {"id": user.id, "name": user.name, "domain": domain},
                        "issued_at": clock.iso(now, fraction=True), "expires_at": clock.iso(receipt.expires_at, fraction=True)},
            "required_auth_methods": rules}
    return Response(401, body, {HEADER: app.state["keyring"].seal(receipt)})
