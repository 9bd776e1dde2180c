"""Signing in through an identity provider: its word in, an unscoped token out.

Source: Identity API v3, OS-FEDERATION, "Authenticating" and "Web single sign on".
"""
from __future__ import annotations

import secrets
from typing import Any

from msgspec import Struct
from sqlalchemy import select

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.errors import Invalid, NotServed
from pilvi.core.http.app import Response
from pilvi.core.http.routes import ANYONE, Route
from pilvi.identity import errors
from pilvi.identity.federation import choices, openid, saml_login
from pilvi.identity.federation.admission import admit, check_origin, for_people, hand_over
from pilvi.identity.federation.trusted import NotTrusted, OpenId, Trusted, trusted
from pilvi.identity.resources.identity_provider import IdentityProvider
from pilvi.identity.resources.protocol import Protocol
from pilvi.identity.token.facts import facts_of
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
    assert call.application is not None and call.request is not None
    scheme, _, token = call.request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        if _trusted(call, idp_id).saml: raise NotServed(what="SAML's profile for clients without a browser (ECP)")
        raise errors.LoginRefused("The provider's token is wanted as a bearer in Authorization.")
    trust = _openid(call, idp_id)
    payload = admit(call, idp_id, id, "HTTP_OIDC_ISS", lambda: openid.assertion_of(openid.claims_of(trust, token.strip())))
    return answer(call, payload, facts_of(call.application, payload))


def _trusted(call: Call, idp_id: str) -> Trusted:
    assert call.application is not None
    return trusted(call.application.state["federation_directory"], idp_id)


def _openid(call: Call, idp_id: str) -> OpenId:
    found = _trusted(call, idp_id).openid
    if found is None: raise NotTrusted(id=idp_id, reason=f"federation/{idp_id}.toml has no [openid]")
    return found


# -- with a browser

def websso(call: Call, idp_id: str, id: str) -> Response:
    """GET /v3/auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{id}/websso?origin=: on to the provider, and back with a code."""
    assert call.application is not None and call.request is not None
    if trust := _trusted(call, idp_id).saml: return saml_login.begin(call, trust, idp_id, id)
    redirect = call.url(f"/v3/auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{id}/websso")
    if code := call.request.one("code"): return _return(call, (idp_id, id), code, redirect)
    if problem := call.request.one("error"): raise errors.LoginRefused(f"The provider refused: {problem[:80]}.")
    errand = Errand(idp_id, id, check_origin(call), secrets.token_urlsafe(16), clock.now() + STATE_SECONDS)
    address = openid.authorize_url(_openid(call, idp_id), redirect, call.application.state["keyring"].seal(errand), errand.nonce)
    return Response(302, None, {"location": address, "cache-control": "no-store"})


def websso_of_any(call: Call, id: str) -> Response:
    """GET /v3/auth/OS-FEDERATION/websso/{id}?origin=: the same, where only one provider is reached by this protocol."""
    assert call.application is not None
    with call.application.database.read() as db:
        found = list(db.scalars(select(IdentityProvider.id).join(Protocol, Protocol.idp_id == IdentityProvider.id).where(
            Protocol.id == id, IdentityProvider.enabled)))
    if not found: raise errors.ProtocolNotFound(id=id)
    if len(found) > 1: raise Invalid(f"Several identity providers have the protocol {id}: sign in at the address of one of them.")
    return websso(call, found[0], id)


def _return(call: Call, place: tuple[str, str], code: str, redirect: str) -> Response:
    """The provider sent the browser back: its code becomes a token, which a form takes to the dashboard."""
    assert call.application is not None and call.request is not None
    errand = call.application.state["keyring"].unseal(call.request.one("state") or "", Errand)
    if errand is None: raise Invalid("The state is not ours.")
    if errand.until < clock.now() or (errand.idp_id, errand.protocol_id) != place: raise errors.LoginRefused("This sign-in took too long.")
    trust = _openid(call, errand.idp_id)

    def ask() -> dict[str, str]:
        return openid.assertion_of(openid.claims_of(trust, openid.exchange(trust, code, redirect), nonce=errand.nonce))

    return hand_over(call, admit(call, *place, "HTTP_OIDC_ISS", ask), errand.origin)


PLACE = saml_login.PLACE
ROUTES: list[Any] = [
    Route(f"/v3/OS-FEDERATION/{PLACE}/auth", "GET", authenticate, ANYONE),
    Route(f"/v3/OS-FEDERATION/{PLACE}/auth", "POST", authenticate, ANYONE),
    Route(f"/v3/auth/OS-FEDERATION/{PLACE}/websso", "GET", for_people(websso), ANYONE),
    Route("/v3/auth/OS-FEDERATION/websso/{id}", "GET", for_people(websso_of_any), ANYONE),
    *saml_login.ROUTES, *choices.ROUTES,
]
