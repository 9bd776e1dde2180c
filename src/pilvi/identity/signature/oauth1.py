"""OAuth 1.0 signatures.

Source: RFC 5849, sections 3.4 (signature) and 3.5.1 (the Authorization header). HMAC-SHA1 only, as Keystone has it.
"""
from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, quote, unquote, urlsplit


def parameters(header: str) -> dict[str, str]:
    """The oauth_… values of an Authorization header; empty if it is of another kind."""
    kind, _, rest = header.partition(" ")
    if kind.lower() != "oauth": return {}
    pairs = (part.strip().partition("=") for part in rest.split(","))
    return {unquote(name): unquote(value.strip('"')) for name, _, value in pairs if name != "realm"}


def _escaped(text: str) -> str:
    return quote(text, safe="~")


def signature(method: str, url: str, given: Mapping[str, str], secrets: Iterable[str]) -> str:
    """What the client must have sent as oauth_signature; `secrets` are the consumer's and the token's ("" if there is none yet)."""
    parts = urlsplit(url)
    pairs = [*((k, v) for k, v in given.items() if k != "oauth_signature"), *parse_qsl(parts.query, keep_blank_values=True)]
    normal = "&".join(f"{k}={v}" for k, v in sorted((_escaped(k), _escaped(v)) for k, v in pairs))
    host = parts.netloc.lower().removesuffix(":80" if parts.scheme == "http" else ":443")
    text = "&".join(map(_escaped, (method.upper(), f"{parts.scheme.lower()}://{host}{parts.path}", normal)))
    key = "&".join(map(_escaped, secrets))
    return base64.b64encode(hmac.digest(key.encode(), text.encode(), "sha1")).decode()
