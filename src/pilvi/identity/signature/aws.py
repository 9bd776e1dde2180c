"""The signature that a client with the secret must have sent.

Source: Amazon's "Signature Version 2" and "Signature Version 4"; S3's REST authentication (version 2, over a string to sign that the
server of S3 puts together).
"""
from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import quote

S3_SERVICES = {b"s3", b"iam", b"sts"}


class SignatureMalformed(ValueError):
    """What was signed does not have the form that its version asks for."""


def _mac(key: bytes, message: bytes, digest: str = "sha256") -> bytes:
    return hmac.digest(key, message, digest)


def of_string(secret: str, string_to_sign: bytes) -> str:
    """An S3 request's signature, version 4 or 2 by the string's own form. Raises SignatureMalformed."""
    if not string_to_sign.startswith(b"AWS4"): return base64.b64encode(_mac(secret.encode(), string_to_sign, "sha1")).decode()
    lines = string_to_sign.split(b"\n")
    scope = lines[2].split(b"/") if len(lines) == 4 else []
    if lines[0] != b"AWS4-HMAC-SHA256" or len(scope) != 4 or scope[3] != b"aws4_request" or scope[2] not in S3_SERVICES:
        raise SignatureMalformed("not a string to sign of version 4")
    return _mac(signing_key(secret, scope), string_to_sign).hex()


def signing_key(secret: str, scope: list[bytes]) -> bytes:
    """The key of a day, region and service; `scope` is [day, region, service, b"aws4_request"]."""
    key = b"AWS4" + secret.encode()
    for part in scope: key = _mac(key, part)
    return key


def of_query(secret: str, request: dict[str, Any]) -> str:
    """An EC2 request's signature: {verb, host, path, params, headers, body_hash}. Raises SignatureMalformed."""
    params, headers = request.get("params") or {}, {k.lower(): str(v) for k, v in (request.get("headers") or {}).items()}
    if str(params.get("SignatureVersion")) == "2": return _version_2(secret, request, params)
    if "AWS4-HMAC-SHA256" in headers.get("authorization", "") or params.get("X-Amz-Algorithm") == "AWS4-HMAC-SHA256":
        return _version_4(secret, request, params, headers)
    raise SignatureMalformed("neither version 2 nor version 4")


def _encoded(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{quote(str(k), safe='-_~')}={quote(str(v), safe='-_~')}" for k, v in sorted(pairs))


def _version_2(secret: str, request: dict[str, Any], params: dict[str, Any]) -> str:
    pairs = [(k, v) for k, v in params.items() if k != "Signature"]
    text = "\n".join((str(request.get("verb", "")), str(request.get("host", "")), str(request.get("path", "")), _encoded(pairs)))
    digest = "sha1" if params.get("SignatureMethod") == "HmacSHA1" else "sha256"
    return base64.b64encode(_mac(secret.encode(), text.encode(), digest)).decode()


def _version_4(secret: str, request: dict[str, Any], params: dict[str, Any], headers: dict[str, str]) -> str:
    given = dict(part.strip().split("=", 1) for part in headers.get("authorization", "").replace("AWS4-HMAC-SHA256", "").split(",")
                 if "=" in part)
    scope = str(given.get("Credential") or params.get("X-Amz-Credential") or "").split("/")[1:]
    signed = str(given.get("SignedHeaders") or params.get("X-Amz-SignedHeaders") or "").split(";")
    moment = headers.get("x-amz-date") or str(params.get("X-Amz-Date") or "")
    if len(scope) != 4 or not moment.startswith(scope[0]): raise SignatureMalformed("no scope, or its day is not the request's")
    by_header = {**{"host": str(request.get("host", ""))}, **headers}
    pairs = [(k, v) for k, v in params.items() if k != "X-Amz-Signature"] if request.get("verb") != "POST" or not given else []
    canonical = "\n".join([
        str(request.get("verb", "")), quote(str(request.get("path") or "/"), safe="/-_~."), _encoded(pairs),
        *(f"{name}:{' '.join(by_header.get(name, '').split())}" for name in signed), "", ";".join(signed),
        str(request.get("body_hash") or hashlib.sha256(b"").hexdigest())])
    text = "\n".join(("AWS4-HMAC-SHA256", moment, "/".join(scope), hashlib.sha256(canonical.encode()).hexdigest()))
    return _mac(signing_key(secret, [part.encode() for part in scope]), text.encode()).hex()
