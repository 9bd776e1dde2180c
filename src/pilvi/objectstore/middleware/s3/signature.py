"""Signatures of S3 requests, versions 2 and 4, in a header or in the address. Pure.

What was signed is rebuilt from the request; whoever has the secret compares. Source: Amazon S3 API reference, "Authenticating Requests
(AWS Signature Version 4)"; "Signing and authenticating REST requests" (version 2).
"""
from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, quote, unquote

from msgspec import Struct

from pilvi.objectstore.middleware.s3.faults import S3Refused

SKEW_SECONDS = 15 * 60.0
LONGEST_SECONDS = 7 * 86400
NO_NUMBER = "X-Amz-Expires should be a number"
LAST_SECOND = (1 << 31) - 1
V4 = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
STREAMING = "STREAMING-"
NO_DATE = "AWS authentication requires a valid Date or x-amz-date header"
SUBRESOURCES = frozenset({
    "acl", "delete", "lifecycle", "location", "logging", "notification", "partNumber", "policy", "requestPayment", "torrent", "uploads",
    "uploadId", "versionId", "versioning", "versions", "website", "response-content-type", "response-content-language", "response-expires",
    "response-cache-control", "response-content-disposition", "response-content-encoding", "cors", "tagging", "restore", "object-lock"})


class Signed(Struct, frozen=True):
    """A request's signature and what was signed."""
    access: str
    signature: str
    """Hex (version 4) or base64 (version 2)."""
    text: bytes
    """The string to sign."""
    version: int
    scope: tuple[str, ...] = ()
    """Version 4: (day, region, service, aws4_request)."""
    moment: str = ""
    """Version 4: the date as written."""
    other: bytes = b""
    """Version 2: what some clients sign instead, a bucket's path with a slash behind it."""

    @property
    def texts(self) -> tuple[bytes, ...]:
        """Everything that may have been signed."""
        return (self.text, self.other) if self.other else (self.text,)


def is_s3(headers: dict[str, str], query: dict[str, str]) -> bool:
    """Is this a request of the S3 API?"""
    if headers.get("authorization", "").startswith(("AWS ", V4)): return True
    return "X-Amz-Algorithm" in query or {"AWSAccessKeyId", "Signature"} <= query.keys()


def parse(method: str, raw_path: str, query_string: str, headers: dict[str, str], now: float) -> Signed:
    """The signature, the request's age checked. Raises S3Refused."""
    query = dict(parse_qsl(query_string, keep_blank_values=True))
    authorization = headers.get("authorization", "")
    if authorization.startswith(V4): return _v4_header(method, raw_path, query_string, headers, authorization, now)
    if "X-Amz-Algorithm" in query: return _v4_query(method, raw_path, query_string, headers, query, now)
    if authorization.startswith("AWS "): return _v2_header(method, raw_path, query_string, headers, authorization, now)
    return _v2_query(method, raw_path, query_string, headers, query, now)


def sign(secret: str, signed: Signed, text: bytes) -> str:
    """What the signature of a text must be."""
    if signed.version == 2: return base64.b64encode(hmac.digest(secret.encode(), text, "sha1")).decode()
    return hmac.new(signing_key(secret, signed.scope), text, "sha256").hexdigest()


def signing_key(secret: str, scope: tuple[str, ...]) -> bytes:
    """The key of a day, region and service."""
    key = b"AWS4" + secret.encode()
    for part in scope: key = hmac.digest(key, part.encode(), "sha256")
    return key


def same(secret: str, signed: Signed) -> bool:
    """Does the signature fit? In constant time."""
    given = signed.signature.encode("utf-8", "replace")
    return any(hmac.compare_digest(sign(secret, signed, text).encode(), given) for text in signed.texts)


# -- version 4

def _v4_header(method: str, raw_path: str, query_string: str, headers: dict[str, str], authorization: str, now: float) -> Signed:
    fields = dict(re.findall(r"(Credential|SignedHeaders|Signature)=([^,\s]*)", authorization))
    if len(fields) != 3: raise S3Refused("AuthorizationHeaderMalformed")
    moment = headers.get("x-amz-date") or _as_amz(headers.get("date", ""))
    payload = headers.get("x-amz-content-sha256")
    if payload is None: raise S3Refused("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
    given = fields["Credential"], fields["SignedHeaders"], fields["Signature"]
    return _v4(method, raw_path, query_string, headers, *given, moment, payload, now, None)


def _v4_query(method: str, raw_path: str, query_string: str, headers: dict[str, str], query: dict[str, str], now: float) -> Signed:
    try: expires = int(query["X-Amz-Expires"])
    except (KeyError, ValueError): raise S3Refused("AuthorizationQueryParametersError", NO_NUMBER) from None
    if expires < 0: raise S3Refused("AuthorizationQueryParametersError", "X-Amz-Expires must be non-negative")
    if expires >= 1 << 63: raise S3Refused("AuthorizationQueryParametersError", NO_NUMBER)
    if expires > LONGEST_SECONDS:
        raise S3Refused("AuthorizationQueryParametersError", f"X-Amz-Expires must be less than {LONGEST_SECONDS} seconds")
    wanted = ("X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Date")
    if query["X-Amz-Algorithm"] != V4 or not all(name in query for name in wanted): raise S3Refused("AuthorizationQueryParametersError")
    credential, signed_headers, signature, moment = (query[name] for name in wanted)
    payload = headers.get("x-amz-content-sha256", UNSIGNED)
    return _v4(method, raw_path, query_string, headers, credential, signed_headers, signature, moment, payload, now, expires)


def _v4(method: str, raw_path: str, query_string: str, headers: dict[str, str], credential: str, signed_headers: str, signature: str,
        moment: str, payload: str, now: float, expires: int | None) -> Signed:
    access, *scope = credential.rsplit("/", 4)
    if len(scope) != 4 or scope[3] != "aws4_request" or scope[2] != "s3": raise S3Refused("AuthorizationHeaderMalformed")
    _check_age(_amz_seconds(moment), now, expires)
    if not moment.startswith(scope[0]): raise S3Refused("AuthorizationHeaderMalformed", "Invalid credential date")
    names = signed_headers.split(";")
    if "host" not in names: raise S3Refused("AuthorizationHeaderMalformed")
    lines = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in names)
    canonical = "\n".join((method, quote(unquote(raw_path, errors="surrogateescape"), safe="/-_.~", errors="surrogateescape"),
                           _v4_pairs(query_string), lines, signed_headers, payload))
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return Signed(access, signature, "\n".join((V4, moment, "/".join(scope), digest)).encode(), 4, tuple(scope), moment)


def _v4_pairs(query_string: str) -> str:
    pairs = parse_qsl(query_string, keep_blank_values=True, errors="surrogateescape")
    pairs = [pair for pair in pairs if pair[0] != "X-Amz-Signature"]
    encoded = [tuple(quote(part, safe="-_.~", errors="surrogateescape") for part in pair) for pair in pairs]
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def _as_amz(date: str) -> str:
    try: return f"{parsedate_to_datetime(date).astimezone(UTC):%Y%m%dT%H%M%SZ}"
    except (ValueError, TypeError): raise S3Refused("AccessDenied", NO_DATE) from None


def _amz_seconds(moment: str) -> float:
    try: return datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError: raise S3Refused("AccessDenied", NO_DATE) from None


def _check_age(moment: float, now: float, expires: int | None) -> None:
    if expires is not None and now > moment + expires: raise S3Refused("AccessDenied", "Request has expired")
    if moment > now + SKEW_SECONDS or (expires is None and moment < now - SKEW_SECONDS): raise S3Refused("RequestTimeTooSkewed")


# -- version 2

def _v2_header(method: str, raw_path: str, query_string: str, headers: dict[str, str], authorization: str, now: float) -> Signed:
    access, colon, signature = authorization.removeprefix("AWS ").strip().rpartition(":")
    if not colon: raise S3Refused("AccessDenied")
    date = headers.get("x-amz-date") or headers.get("date", "")
    try: moment = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError): moment = _amz_seconds(date)
    _check_age(moment, now, None)
    shown = "" if "x-amz-date" in headers else date
    return _v2(access, signature, method, raw_path, query_string, headers, shown)


def _v2_query(method: str, raw_path: str, query_string: str, headers: dict[str, str], query: dict[str, str], now: float) -> Signed:
    try: expires = int(query["Expires"])
    except (KeyError, ValueError): raise S3Refused("AccessDenied", "Query-string authentication requires the Expires parameter") from None
    if expires > LAST_SECOND: raise S3Refused("AccessDenied", "Invalid date (should be seconds since epoch)")
    if now > expires: raise S3Refused("AccessDenied", "Request has expired")
    return _v2(query["AWSAccessKeyId"], query["Signature"], method, raw_path, query_string, headers, str(expires))


def _v2(access: str, signature: str, method: str, raw_path: str, query_string: str, headers: dict[str, str], date: str) -> Signed:
    text = _v2_text(method, raw_path, query_string, headers, date)
    only_bucket = raw_path.count("/") == 1 and len(raw_path) > 1
    other = _v2_text(method, raw_path + "/", query_string, headers, date) if only_bucket else b""
    return Signed(access, signature, text, 2, other=other)


def _v2_text(method: str, raw_path: str, query_string: str, headers: dict[str, str], date: str) -> bytes:
    amz = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers) if name.startswith("x-amz-"))
    pairs = [pair for pair in parse_qsl(query_string, keep_blank_values=True, errors="surrogateescape") if pair[0] in SUBRESOURCES]
    resource = raw_path + ("?" + "&".join(f"{name}={value}" if value else name for name, value in sorted(pairs)) if pairs else "")
    text = "\n".join((method, headers.get("content-md5", ""), headers.get("content-type", ""), date, amz + resource))
    return text.encode("utf-8", "surrogateescape")
