"""Where people may sign in with a browser: what a dashboard offers to those whom it does not know yet, so anybody may read it.

Shown are providers that an administrator has enabled and that the operator has set up for browsers; their names are the operator's choice
(`button` in trusted.py), who may also leave one out. Upstream each dashboard has a list of its own.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import select

from pilvi.core.context import Call
from pilvi.core.http.routes import ANYONE, Route
from pilvi.identity.federation.trusted import NotTrusted, Trusted, trusted
from pilvi.identity.resources.identity_provider import IdentityProvider
from pilvi.identity.resources.protocol import Protocol


def list_choices(call: Call) -> dict[str, Any]:
    """GET /v3/auth/OS-FEDERATION/websso"""
    assert call.application is not None and call.db is not None
    protocols: dict[str, list[str]] = {}
    rows = select(Protocol.idp_id, Protocol.id).join(IdentityProvider, IdentityProvider.id == Protocol.idp_id)
    for idp_id, id in call.db.execute(rows.where(IdentityProvider.enabled).order_by(Protocol.idp_id, Protocol.id)):
        protocols.setdefault(idp_id, []).append(id)
    return {"choices": [one for idp_id, ids in protocols.items() for one in _of(_known(call, idp_id), idp_id, ids)]}


def _of(known: Trusted, idp_id: str, protocols: list[str]) -> list[dict[str, str]]:
    """The choices of one provider."""
    if not known.by_browser or known.button == "": return []
    title = known.button or idp_id
    return [{"identity_provider": idp_id, "protocol": id, "title": title if len(protocols) == 1 else f"{title} ({id})"} for id in protocols]


def _known(call: Call, idp_id: str) -> Trusted:
    """What the operator has set up; nothing where that is missing or can't be read, which who signs in there is told."""
    assert call.application is not None
    try: return trusted(call.application.state["federation_directory"], idp_id)
    except NotTrusted: return Trusted()


ROUTES = [Route("/v3/auth/OS-FEDERATION/websso", "GET", list_choices, ANYONE, transaction="read")]
