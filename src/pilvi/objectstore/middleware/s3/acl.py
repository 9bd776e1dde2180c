"""Access lists of S3: private and public-read, of buckets (their container's list) and of objects; what else S3 knows has no like here.

Source: Amazon S3 API reference, "Access control list (ACL) overview".
"""
from __future__ import annotations

from typing import Any

from pilvi.objectstore.middleware.s3 import xml
from pilvi.objectstore.middleware.s3.call import S3Call, document
from pilvi.objectstore.middleware.s3.faults import S3Refused
from pilvi.objectstore.proxy.message import Response
from pilvi.objectstore.proxy.object_ import OPEN_TO_ALL

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
CANNED = {"private": frozenset[str](), "public-read": frozenset({"READ"}), "bucket-owner-full-control": frozenset[str](),
          "bucket-owner-read": frozenset[str]()}
PUBLIC = ".r:*,.rlistings"


def granted(call: S3Call, body: bytes) -> frozenset[str]:
    """What everybody may do, of a header or a document. Raises S3Refused."""
    canned = call.headers.get("x-amz-acl")
    if canned is not None:
        if body.strip(): raise S3Refused("InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed")
        if canned in ("public-read-write", "authenticated-read"): raise S3Refused("NotImplemented")
        if canned not in CANNED: raise S3Refused("InvalidArgument")
        return CANNED[canned]
    if any(name.startswith("x-amz-grant-") for name in call.headers): raise S3Refused("NotImplemented")
    if not body.strip(): raise S3Refused("MissingRequestBodyError")
    found = set()
    for grant in xml.parse(body, "AccessControlPolicy").iter("Grant"):
        permission, uri, owner = grant.findtext("Permission"), grant.findtext("Grantee/URI"), grant.findtext("Grantee/ID")
        if permission not in ("READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"): raise S3Refused("MalformedACLError")
        if uri == ALL_USERS and permission == "READ": found.add("READ")
        elif owner != call.request.identity.user_id: raise S3Refused("NotImplemented")
    return frozenset(found)


def headers_of(rights: frozenset[str]) -> dict[str, str]:
    """A container's headers for what everybody may do."""
    return {"x-container-read": PUBLIC if "READ" in rights else ""}


def headers_of_object(call: S3Call) -> dict[str, str]:
    """An object's headers for what the request says everybody may do. Raises S3Refused."""
    asked = any(name == "x-amz-acl" or name.startswith("x-amz-grant-") for name in call.headers)
    return {OPEN_TO_ALL: "true"} if asked and granted(call, b"") else {}


def is_public(headers: dict[str, str]) -> bool:
    """May everybody read what is in the container with these headers?"""
    return ".r:*" in headers.get("x-container-read", "").split(",")


def policy(call: S3Call, headers: dict[str, str], opened: bool = False) -> Response:
    """The list as a document, of a container's headers. `opened`: everybody may read the object."""
    owner = (f'Grantee xmlns:xsi="{INSTANCE}" xsi:type="CanonicalUser"', call.owner)
    grants: list[tuple[str, Any]] = [("Grant", [owner, ("Permission", "FULL_CONTROL")])]
    if opened or is_public(headers):
        everybody = (f'Grantee xmlns:xsi="{INSTANCE}" xsi:type="Group"', [("URI", ALL_USERS)])
        grants.append(("Grant", [everybody, ("Permission", "READ")]))
    return document("AccessControlPolicy", [("Owner", call.owner), ("AccessControlList", grants)])
