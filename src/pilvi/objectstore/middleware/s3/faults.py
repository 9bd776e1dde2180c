"""What S3 refuses: its codes, their statuses and texts. Source: Amazon S3 API reference, "Error responses"."""
from __future__ import annotations

CODES: dict[str, tuple[int, str]] = {
    "AccessDenied": (403, "Access Denied."),
    "AuthorizationHeaderMalformed": (400, "The authorization header is malformed."),
    "AuthorizationQueryParametersError": (400, "The query parameters of the signature are not valid."),
    "BadDigest": (400, "The Content-MD5 or checksum you specified did not match what was received."),
    "BucketAlreadyExists": (409, "The requested bucket name is not available."),
    "BucketAlreadyOwnedByYou": (409, "Your previous request to create the named bucket succeeded and you already own it."),
    "BucketNotEmpty": (409, "The bucket you tried to delete is not empty."),
    "EntityTooLarge": (400, "Your proposed upload exceeds the maximum allowed object size."),
    "EntityTooSmall": (400, "Your proposed upload is smaller than the minimum allowed object size."),
    "IllegalVersioningConfigurationException": (400, "The versioning configuration is not valid."),
    "IncompleteBody": (400, "You did not provide the number of bytes specified by the Content-Length HTTP header."),
    "InternalError": (500, "We encountered an internal error. Please try again."),
    "InvalidAccessKeyId": (403, "The access key you provided does not exist in our records."),
    "InvalidArgument": (400, "Invalid Argument."),
    "InvalidBucketName": (400, "The specified bucket is not valid."),
    "InvalidDigest": (400, "The Content-MD5 you specified was invalid."),
    "InvalidLocationConstraint": (400, "The specified location constraint is not valid."),
    "InvalidPart": (400, "One or more of the specified parts could not be found or its entity tag did not match."),
    "InvalidPartOrder": (400, "The list of parts was not in ascending order."),
    "InvalidRange": (416, "The requested range cannot be satisfied."),
    "InvalidRequest": (400, "Invalid Request."),
    "InvalidURI": (400, "Couldn't parse the specified URI."),
    "KeyTooLongError": (400, "Your key is too long."),
    "MalformedACLError": (400, "The XML you provided was not well-formed or did not validate against our published schema."),
    "MalformedXML": (400, "The XML you provided was not well-formed or did not validate against our published schema."),
    "MethodNotAllowed": (405, "The specified method is not allowed against this resource."),
    "MissingContentLength": (411, "You must provide the Content-Length HTTP header."),
    "MissingRequestBodyError": (400, "Request body is empty."),
    "NoSuchBucket": (404, "The specified bucket does not exist."),
    "NoSuchKey": (404, "The specified key does not exist."),
    "NoSuchUpload": (404, "The specified multipart upload does not exist."),
    "NoSuchVersion": (404, "The specified version does not exist."),
    "NotImplemented": (501, "The requested resource is not implemented"),
    "ObjectLockConfigurationNotFoundError": (404, "Object Lock configuration does not exist for this bucket"),
    "PreconditionFailed": (412, "At least one of the preconditions you specified did not hold."),
    "RequestTimeTooSkewed": (403, "The difference between the request time and the current time is too large."),
    "ServiceUnavailable": (503, "Please reduce your request rate."),
    "SignatureDoesNotMatch": (403, "The request signature we calculated does not match the signature you provided."),
    "TooManyBuckets": (400, "You have attempted to create more buckets than allowed."),
    "UserKeyMustBeSpecified": (400, "The bucket POST must contain the specified field name."),
    "XAmzContentSHA256Mismatch": (400, "The provided 'x-amz-content-sha256' header does not match what was computed."),
}

BY_STATUS = {
    400: "InvalidArgument", 401: "AccessDenied", 403: "AccessDenied", 404: "NoSuchBucket", 405: "MethodNotAllowed", 409: "InvalidRequest",
    411: "MissingContentLength", 412: "PreconditionFailed", 413: "EntityTooLarge", 416: "InvalidRange", 422: "BadDigest",
    498: "ServiceUnavailable", 499: "IncompleteBody", 501: "NotImplemented", 503: "ServiceUnavailable", 507: "ServiceUnavailable"}


class S3Refused(Exception):
    """An error of the S3 API. `facts` become elements beside code and message."""

    def __init__(self, code: str, message: str | None = None, **facts: str) -> None:
        super().__init__(f"{code}: {message or CODES[code][1]}")
        self.code, self.message, self.facts = code, message or CODES[code][1], facts
        self.status = CODES[code][0]


def of_status(status: int, bucket: str | None, key: str | None, method: str) -> S3Refused:
    """The S3 error of a refusal by the Swift API below."""
    if status == 404 and key: return S3Refused("NoSuchKey", Key=key)
    if status == 404 and bucket: return S3Refused("NoSuchBucket", BucketName=bucket)
    if status == 409 and method == "DELETE": return S3Refused("BucketNotEmpty")
    code = BY_STATUS.get(status, "InternalError")
    return S3Refused(code)
