"""What an OpenID Connect provider says of a person: from an access token that the client got there, or by a browser's code.

A token that is a JWT is checked with the provider's published keys; any other is shown to the provider's userinfo endpoint. The claims
become the names that Keystone's mappings know from mod_auth_openidc: `OIDC-email`, `HTTP_OIDC_EMAIL`, `HTTP_OIDC_ISS`.
Source: OpenID Connect Core 1.0 and Discovery 1.0; RFC 6750 (bearer tokens), RFC 7519 (JWT).
"""
from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import jwt
import msgspec

from pilvi.core.errors import Unavailable
from pilvi.identity import errors
from pilvi.identity.federation.trusted import OpenId

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
TIMEOUT_SECONDS = 10.0
MOST_BYTES = 1 << 20
KEEP_SECONDS = 300.0
LEEWAY_SECONDS = 30


class Provider:
    """What is known of an issuer: its published addresses and keys, kept for five minutes."""

    def __init__(self, issuer: str) -> None:
        self.issuer, self.read_at = issuer, time.monotonic()
        self.facts = _json(Request(issuer.rstrip("/") + "/.well-known/openid-configuration"))
        named = self.facts.get("issuer")
        if named != issuer: raise errors.LoginRefused(f"The provider at {issuer} calls itself {named}.")
        self.keys = jwt.PyJWKClient(self.facts["jwks_uri"], timeout=int(TIMEOUT_SECONDS), lifespan=KEEP_SECONDS)

    def key_of(self, token: str) -> jwt.PyJWK:
        """The key that a token says it is signed with; a provider with one key need not say. Raises PyJWTError."""
        if jwt.get_unverified_header(token).get("kid") is not None: return self.keys.get_signing_key_from_jwt(token)
        known = self.keys.get_signing_keys()
        if len(known) != 1: raise jwt.InvalidTokenError("it does not name its key")
        return known[0]

    @property
    def stale(self) -> bool:
        return time.monotonic() - self.read_at > KEEP_SECONDS


_KNOWN: dict[str, Provider] = {}
_ONE = threading.Lock()


def provider_of(trust: OpenId) -> Provider:
    """The issuer's facts. Raises Unavailable when it does not answer, LoginRefused when it is another."""
    with _ONE:
        found = _KNOWN.get(trust.issuer)
        if found is None or found.stale: found = _KNOWN[trust.issuer] = Provider(trust.issuer)
        return found


def claims_of(trust: OpenId, token: str, *, nonce: str | None = None) -> dict[str, Any]:
    """The claims of a token that the provider gave to somebody. Raises LoginRefused, Unavailable."""
    provider = provider_of(trust)
    if token.count(".") != 2: return _asked(provider, token)
    audience = trust.client_id or None
    try:
        claims: dict[str, Any] = jwt.decode(
            token, provider.key_of(token).key, ALGORITHMS, audience=audience, issuer=trust.issuer, leeway=LEEWAY_SECONDS,
            options={"verify_aud": audience is not None, "require": ["exp", "iss", "sub"]})
    except jwt.PyJWKClientConnectionError as away: raise Unavailable(reason=f"the identity provider does not answer: {away}") from away
    except jwt.PyJWTError as problem: raise errors.LoginRefused(f"The provider's token is not good: {problem}.") from problem
    if nonce is not None and claims.get("nonce") != nonce: raise errors.LoginRefused("The provider's token answers another question.")
    return claims


def _asked(provider: Provider, token: str) -> dict[str, Any]:
    """What the provider itself says to a token that only it can read."""
    if "userinfo_endpoint" not in provider.facts: raise errors.LoginRefused("The provider's token is no JWT.")
    claims = _json(Request(provider.facts["userinfo_endpoint"], headers={"authorization": f"Bearer {token}"}))
    return {"iss": provider.issuer, **claims}


def exchange(trust: OpenId, code: str, redirect_uri: str) -> str:
    """The id token for a browser's code. Raises LoginRefused, Unavailable."""
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "client_id": trust.client_id,
              "client_secret": trust.client_secret}
    reply = _json(Request(provider_of(trust).facts["token_endpoint"], urlencode(fields).encode(),
                          {"content-type": "application/x-www-form-urlencoded"}))
    if not isinstance(reply.get("id_token"), str): raise errors.LoginRefused("The provider gave no id token.")
    return str(reply["id_token"])


def authorize_url(trust: OpenId, redirect_uri: str, state: str, nonce: str) -> str:
    """Where a browser goes to sign in."""
    query = {"response_type": "code", "client_id": trust.client_id, "redirect_uri": redirect_uri, "scope": "openid profile email",
             "state": state, "nonce": nonce}
    address = str(provider_of(trust).facts["authorization_endpoint"])
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"


def assertion_of(claims: Mapping[str, Any]) -> dict[str, str]:
    """The claims under the names that mappings use; several values are joined by `;`."""
    found: dict[str, str] = {}
    for name, value in claims.items():
        text = ";".join(map(str, value)) if isinstance(value, list) else str(value)
        found[f"OIDC-{name}"] = found[f"HTTP_OIDC_{name.upper().replace('-', '_')}"] = text
    if "sub" in claims: found["REMOTE_USER"] = str(claims["sub"])
    return found


def _json(request: Request) -> dict[str, Any]:
    try:
        with urlopen(request, timeout=TIMEOUT_SECONDS) as reply: body = reply.read(MOST_BYTES)
        found = msgspec.json.decode(body)
    except HTTPError as refusal:
        if refusal.code >= 500: raise Unavailable(reason=f"the identity provider answered {refusal.code}") from refusal
        raise errors.LoginRefused(f"The identity provider answered {refusal.code}.") from refusal
    except (URLError, OSError, msgspec.DecodeError) as away:
        raise Unavailable(reason=f"the identity provider does not answer: {away}") from away
    if not isinstance(found, dict): raise Unavailable(reason="the identity provider answered something else")
    return found
