"""Signing in through an identity provider: its word in, an unscoped token out.

Source: Identity API v3, OS-FEDERATION, "Authenticating" and "Web single sign on".
"""
from __future__ import annotations

import html
import secrets
from typing import Any

from msgspec import Struct

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.errors import Forbidden, Invalid
from pilvi.core.http.app import Response
from pilvi.core.http.routes import ANYONE, Route
from pilvi.identity import errors
from pilvi.identity.federation import mapping as engine
from pilvi.identity.federation import openid
from pilvi.identity.federation.person import Visitor, receive
from pilvi.identity.federation.trusted import NotTrusted, OpenId, trusted
from pilvi.identity.resources.identity_provider import IdentityProvider
from pilvi.identity.resources.mapping import AttributeMapping
from pilvi.identity.resources.protocol import Protocol
from pilvi.identity.token.facts import facts_of
from pilvi.identity.token.formats import Payload, new_audit_id
from pilvi.identity.token.issue import answer

STATE_SECONDS = 600


class Errand(Struct, array_like=True):
    """What a browser carries to the provider and back, sealed."""
    idp_id: str
    protocol_id: str
    origin: str
    nonce: str
    until: float


def authenticate(call: Call, idp_id: str, id: str) -> Response:
    """GET and POST /v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{id}/auth, with the provider's token as bearer."""
    assert call.request is not None
    scheme, _, token = call.request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token: raise errors.LoginRefused("The provider's token is wanted as a bearer in Authorization.")
    claims = openid.claims_of(_openid(call, idp_id), token.strip())
    payload = _admit(call, idp_id, id, openid.assertion_of(claims))
    assert call.application is not None
    return answer(call, payload, facts_of(call.application, payload))


def _openid(call: Call, idp_id: str) -> OpenId:
    assert call.application is not None
    found = trusted(call.application.state["federation_directory"], idp_id).openid
    if found is None: raise NotTrusted(id=idp_id, reason=f"federation/{idp_id}.toml has no [openid]")
    return found


def _admit(call: Call, idp_id: str, protocol_id: str, assertion: dict[str, str]) -> Payload:
    """An unscoped token's content for whom the provider vouches. Raises LoginRefused, Forbidden, NotFound."""
    assert call.application is not None
    app = call.application
    with app.database.write() as db:
        provider, protocol = db.get(IdentityProvider, idp_id), db.get(Protocol, (idp_id, protocol_id))
        if provider is None: raise errors.IdentityProviderNotFound(id=idp_id)
        if protocol is None: raise errors.ProtocolNotFound(id=protocol_id)
        if not provider.enabled: raise Forbidden(f"Identity Provider {idp_id} is disabled.")
        remote = assertion.get(protocol.remote_id_attribute or "HTTP_OIDC_ISS")
        if provider.remote_ids and remote not in provider.remote_ids: raise Forbidden(
            f"Incoming identity provider identifier is not among those of {idp_id}.")
        rules = db.get(AttributeMapping, protocol.mapping_id)
        if rules is None: raise errors.MappingNotFound(id=protocol.mapping_id)
        visitor = receive(db, provider, protocol_id, engine.apply(rules.rules, assertion))
    return _payload(app.config.token_seconds, visitor, idp_id, protocol_id)


def _payload(token_seconds: int, visitor: Visitor, idp_id: str, protocol_id: str) -> Payload:
    now = clock.now()
    federated = None if visitor.groups is None else (idp_id, protocol_id, visitor.groups)
    return Payload(visitor.user_id, [protocol_id], "", "", now, now + token_seconds, [new_audit_id()], None, federated)


# -- with a browser

def websso(call: Call, idp_id: str, id: str) -> Response:
    """GET /v3/auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{id}/websso?origin=: on to the provider, and back with a code."""
    assert call.application is not None and call.request is not None
    redirect = call.url(f"/v3/auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{id}/websso")
    if code := call.request.one("code"): return _return(call, (idp_id, id), code, redirect)
    if problem := call.request.one("error"): raise errors.LoginRefused(f"The provider refused: {problem[:80]}.")
    origin = call.request.one("origin") or ""
    if origin not in call.application.config.trusted_dashboards and origin != call.application.state.get("dashboard_origin"):
        raise errors.LoginRefused(f"{origin or 'The origin'} is not a trusted dashboard host.")
    trust = _openid(call, idp_id)
    errand = Errand(idp_id, id, origin, secrets.token_urlsafe(16), clock.now() + STATE_SECONDS)
    address = openid.authorize_url(trust, redirect, call.application.state["keyring"].seal(errand), errand.nonce)
    return Response(302, None, {"location": address, "cache-control": "no-store"})


def _return(call: Call, place: tuple[str, str], code: str, redirect: str) -> Response:
    """The provider sent the browser back: its code becomes a token, which a form takes to the dashboard."""
    assert call.application is not None and call.request is not None
    keyring = call.application.state["keyring"]
    errand = keyring.unseal(call.request.one("state") or "", Errand)
    if errand is None: raise Invalid("The state is not ours.")
    if errand.until < clock.now() or (errand.idp_id, errand.protocol_id) != place: raise errors.LoginRefused("This sign-in took too long.")
    trust = _openid(call, errand.idp_id)
    claims = openid.claims_of(trust, openid.exchange(trust, code, redirect), nonce=errand.nonce)
    payload = _admit(call, *place, openid.assertion_of(claims))
    return Response(200, FORM.format(origin=html.escape(errand.origin), token=html.escape(keyring.seal(payload))).encode(), {
        "cache-control": "no-store", "content-security-policy": f"default-src 'none'; script-src 'sha256-{SCRIPT_HASH}'"},
        media_type="text/html; charset=utf-8")


SCRIPT = "document.forms[0].submit()"
SCRIPT_HASH = "ePniVEkSivX/c7XWBGafqh8tSpiRrKiqYeqbG7N1TOE="
FORM = ('<!doctype html><title>Signing in</title><form action="{origin}" method="post"><input type="hidden" name="token" value="{token}">'
        f"<noscript><button>Continue</button></noscript></form><script>{SCRIPT}</script>")

PLACE = "identity_providers/{idp_id}/protocols/{id}"
ROUTES: list[Any] = [
    Route(f"/v3/OS-FEDERATION/{PLACE}/auth", "GET", authenticate, ANYONE),
    Route(f"/v3/OS-FEDERATION/{PLACE}/auth", "POST", authenticate, ANYONE),
    Route(f"/v3/auth/OS-FEDERATION/{PLACE}/websso", "GET", websso, ANYONE),
]
