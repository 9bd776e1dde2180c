"""Signal URLs: addresses that need no token, since they carry a signature. They end with the resource.

The signature is an HMAC over project, stack, resource and what the URL may do; a plain POST (or PUT, for a wait condition) is all it takes.
"""
from __future__ import annotations

import hashlib
import hmac
from urllib.parse import quote

KINDS = ("signal", "waitcondition")


def signature(key: bytes, project_id: str, stack_id: str, resource: str, kind: str) -> str:
    """The word that opens a resource's signal URL."""
    text = "\0".join((project_id, stack_id, resource, kind))
    own = hmac.digest(key, b"signal URLs of stacks", "sha256")  # the key signs grants too
    return hmac.new(own, text.encode(), hashlib.sha256).hexdigest()


def url(base: str, key: bytes, project_id: str, stack_name: str, stack_id: str, resource: str, kind: str) -> str:
    """The whole address. `base`: of the service, as guests reach it."""
    word = signature(key, project_id, stack_id, resource, kind)
    return f"{base}/v1/signed/{kind}/{word}/{project_id}/{quote(stack_name)}/{stack_id}/{quote(resource, safe='')}"


def fits(key: bytes, project_id: str, stack_id: str, resource: str, kind: str, given: str) -> bool:
    """Is the signature right? In constant time."""
    return hmac.compare_digest(signature(key, project_id, stack_id, resource, kind).encode(), given.encode(errors="replace"))
