"""The door of the S3 API: who signed, which operation is meant, and errors as XML."""
from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable

from pilvi.core import clock
from pilvi.core.context import Identity
from pilvi.core.errors import Failure, NotFound, Unauthenticated
from pilvi.core.http import auth
from pilvi.identity import client as identity
from pilvi.objectstore.middleware.keystone import PREFIX, Keystone
from pilvi.objectstore.middleware.s3 import bucket, listing, multipart, object_, payload, signature, xml
from pilvi.objectstore.middleware.s3.call import BUCKET_NAME, KEY_BYTES, SEGMENTS, S3Call, s3_etag
from pilvi.objectstore.middleware.s3.faults import S3Refused
from pilvi.objectstore.middleware.s3.signature import STREAMING, Signed
from pilvi.objectstore.middleware.tempauth import TempAuth
from pilvi.objectstore.proxy.message import HTML, Handler, Request, Response, size_of
from pilvi.objectstore.proxy.world import World

Operation = Callable[[S3Call], Awaitable[Response]]
SERVICE: dict[tuple[str, str], Operation] = {("GET", ""): listing.buckets}
BUCKET: dict[tuple[str, str], Operation] = {
    ("GET", ""): listing.objects, ("GET", "versions"): listing.versions, ("GET", "uploads"): multipart.list_uploads,
    ("GET", "location"): bucket.location,
    ("GET", "logging"): bucket.logging, ("GET", "object-lock"): bucket.object_lock, ("GET", "versioning"): bucket.versioning,
    ("GET", "acl"): bucket.show_acl, ("HEAD", ""): bucket.head, ("PUT", ""): bucket.create, ("PUT", "acl"): bucket.set_acl,
    ("PUT", "versioning"): bucket.set_versioning, ("DELETE", ""): bucket.delete, ("POST", "delete"): bucket.delete_many}
OBJECT: dict[tuple[str, str], Operation] = {
    ("GET", ""): object_.get, ("HEAD", ""): object_.get, ("PUT", ""): object_.put, ("DELETE", ""): object_.delete,
    ("GET", "acl"): object_.show_acl, ("PUT", "acl"): object_.set_acl, ("GET", "tagging"): object_.tagging,
    ("POST", "uploads"): multipart.create, ("PUT", "uploadId"): multipart.put_part, ("PUT", "partNumber"): multipart.put_part,
    ("GET", "uploadId"): multipart.list_parts, ("POST", "uploadId"): multipart.complete, ("DELETE", "uploadId"): multipart.abort,
    ("GET", "partNumber"): object_.get, ("HEAD", "partNumber"): object_.get}
WORDS = ("uploads", "uploadId", "partNumber", "acl", "versions", "versioning", "location", "logging", "delete", "tagging", "policy",
         "lifecycle", "website", "notification", "cors", "replication", "encryption", "requestPayment", "object-lock", "retention",
         "legal-hold", "restore", "torrent", "publicAccessBlock", "ownershipControls", "accelerate", "analytics", "inventory", "metrics",
         "select", "attributes", "policyStatus", "intelligent-tiering")
"""Sub-resources; those without an operation above are answered 501."""
SERVED = {"", *(word for _, word in (*BUCKET, *OBJECT))} - {"object-lock", "tagging"}
UNKNOWN = ("x-amz-server-side-encryption-customer-algorithm", "x-amz-tagging", "x-amz-website-redirect-location", "x-amz-object-lock-mode")
REMEMBERED = 2_000


class S3:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application, self.world = application, world
        self.tempauth, self.keystone = TempAuth.of(world, application), Keystone(application, world)
        self.known: OrderedDict[str, tuple[float, int, Identity, str]] = OrderedDict()
        world.info["s3api"] = {
            "max_bucket_listing": listing.MOST_KEYS, "max_parts_listing": 1000, "max_upload_part_num": multipart.MOST_PARTS,
            "max_multi_delete_objects": bucket.MOST_DELETES, "allow_multipart_uploads": True, "min_segment_size": multipart.PART_BYTES,
            "s3_acl": False}

    async def __call__(self, request: Request) -> Response:
        if not signature.is_s3(request.headers, request.query): return self._plain(await self.application(request))
        try: response = await self._answer(request)
        except S3Refused as failure: response = _fault(failure, request)
        if request.method == "HEAD" and isinstance(response.body, bytes):
            response.body = b""
            response.headers["content-length"] = "0"
        response.headers.setdefault("content-type", HTML)
        response.headers |= {"x-amz-request-id": request.trans_id, "x-amz-id-2": request.trans_id}
        response.notes = {name: value for name, value in response.notes.items() if name != "listing"}
        return response

    def _plain(self, response: Response) -> Response:
        """A listing of the Swift API shows the etag of parts as a field."""
        found = response.notes.get("listing")
        for line in found.lines if found else ():
            if "s3_etag" not in line.get("hash", ""): continue
            line["s3_etag"] = s3_etag(line["hash"])
            line["hash"] = "; ".join(part for part in line["hash"].split("; ") if not part.startswith("s3_etag="))
        return response

    async def _answer(self, request: Request) -> Response:
        signed = signature.parse(request.method, request.raw_path, request.query_string, request.headers, clock.now())
        bucket_name, _, key = request.path.lstrip("/").partition("/")
        account, secret = await self._authenticate(request, signed)
        request.notes["path"] = f"/v1/{account}"  # for the record of traffic
        body, length = await self._body(request, signed, secret)
        call = S3Call(request, self.application, self.world, account, bucket_name or None, key or None, body, length)
        if bucket_name and not (BUCKET_NAME.fullmatch(bucket_name) or bucket_name.endswith(SEGMENTS)):
            raise S3Refused("InvalidBucketName", BucketName=bucket_name)
        if size_of(key) > KEY_BYTES: raise S3Refused("KeyTooLongError")
        if "\0" in request.path: raise S3Refused("InvalidURI")
        for name in UNKNOWN:
            if name in request.headers: raise S3Refused("NotImplemented")
        table = OBJECT if key else BUCKET if bucket_name else SERVICE
        word = next((word for word in WORDS if word in request.query), "")
        operation = table.get((request.method, word))
        if operation is None:
            raise S3Refused("MethodNotAllowed" if word in SERVED else "NotImplemented")
        return await operation(call)

    async def _body(self, request: Request, signed: Signed, secret: str) -> tuple[AsyncIterator[bytes], int | None]:
        announced = request.headers.get("x-amz-content-sha256", "")
        if not announced.startswith(STREAMING): return payload.checked(request.body, request.headers), request.length
        length = request.headers.get("x-amz-decoded-content-length", "")
        if not length.isdecimal(): raise S3Refused("MissingContentLength")
        key = signature.signing_key(secret, signed.scope) if announced.startswith(STREAMING + "AWS4-HMAC-SHA256") else None
        return payload.checked(payload.Chunks(request.body, request.headers, signed, key).read(), request.headers), int(length)

    # -- who

    async def _authenticate(self, request: Request, signed: Signed) -> tuple[str, str]:
        """(account, secret). Raises S3Refused."""
        if self.tempauth and signed.access in self.tempauth.users:
            secret = self.tempauth.users[signed.access][0]
            if not signature.same(secret, signed): raise S3Refused("SignatureDoesNotMatch", AWSAccessKeyId=signed.access)
            self.tempauth.admit(request, signed.access)
            return PREFIX + signed.access.partition(":")[0], secret
        who, secret = await self._who(signed)
        request.identity = who
        self.keystone.check_rules(request)
        request.authorize, request.deny = self.keystone.authorize, self.keystone.deny
        return PREFIX + (who.project_id or ""), secret

    async def _who(self, signed: Signed) -> tuple[Identity, str]:
        """Whose key it is; asked of identity, remembered as long as a token's answer."""
        until, epoch, who, secret = self.known.get(signed.access, (0.0, -1, Identity(""), ""))
        if until < clock.now() or epoch != auth.EPOCH[0]:
            epoch = auth.EPOCH[0]
            loop = asyncio.get_running_loop()
            try: who, secret = await loop.run_in_executor(self.world.application.threads, self._ask, signed)
            except (Unauthenticated, NotFound): raise S3Refused("SignatureDoesNotMatch", AWSAccessKeyId=signed.access) from None
            except Failure: raise S3Refused("ServiceUnavailable") from None
            self.known[signed.access] = clock.now() + auth.TOKEN_SECONDS, epoch, who, secret
            while len(self.known) > REMEMBERED: self.known.popitem(last=False)
        if not signature.same(secret, signed): raise S3Refused("SignatureDoesNotMatch", AWSAccessKeyId=signed.access)
        return who, secret

    def _ask(self, signed: Signed) -> tuple[Identity, str]:
        call = self.world.application.state["service_call"]()
        for text in signed.texts:
            try: who = identity.s3_identity(call, signed.access, text, signed.signature)
            except Unauthenticated:
                if text == signed.texts[-1]: raise
            else: break
        return who, identity.s3_secret(call, who.user_id, signed.access)


def _fault(failure: S3Refused, request: Request) -> Response:
    """The error's document."""
    fields = [("Code", failure.code), ("Message", failure.message), *failure.facts.items(), ("RequestId", request.trans_id)]
    return Response(failure.status, {"content-type": "application/xml"}, xml.document("Error", fields, namespace=False))


