"""Signatures against those of Amazon's own library, and its published example."""
from __future__ import annotations

import hashlib

import pytest
from botocore.auth import S3SigV4Auth, SigV2Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from pilvi.identity.signature import aws

SECRET = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


class Recording(S3SigV4Auth):
    """Keeps what it signs."""

    text = ""

    def string_to_sign(self, request: AWSRequest, canonical_request: str) -> str:
        self.text = super().string_to_sign(request, canonical_request)
        return self.text


def test_the_string_of_an_s3_request() -> None:
    request = AWSRequest("GET", "https://s3.example/bucket/key%20a?prefix=x", headers={})
    signer = Recording(SECRET, "s3", "RegionOne")
    signer.add_auth(request)
    assert request.headers["Authorization"].endswith("Signature=" + aws.of_string(SECRET.secret_key, signer.text.encode()))


def test_an_ec2_request_of_version_4() -> None:
    request = AWSRequest("GET", "https://ec2.example/?Action=DescribeInstances&Version=2010-08-31", headers={})
    SigV4Auth(SECRET, "ec2", "RegionOne").add_auth(request)
    given = {"verb": "GET", "host": "ec2.example", "path": "/", "params": {"Action": "DescribeInstances", "Version": "2010-08-31"},
             "headers": dict(request.headers.items()), "body_hash": hashlib.sha256(b"").hexdigest()}
    assert request.headers["Authorization"].endswith("Signature=" + aws.of_query(SECRET.secret_key, given))


def test_an_ec2_request_of_version_2() -> None:
    params = {"Action": "DescribeInstances", "Name": "ä b~*"}
    request = AWSRequest("GET", "https://ec2.example/", params=params)
    SigV2Auth(SECRET).add_auth(request)
    given = {"verb": "GET", "host": "ec2.example", "path": "/", "params": dict(request.params)}
    assert request.params["Signature"] == aws.of_query(SECRET.secret_key, given)


@pytest.mark.parametrize("text", [b"AWS4", b"AWS4-HMAC-SHA256\na\nb/c/ec2/aws4_request\nd", b"AWS4-HMAC-SHA1\na\nb/c/s3/aws4_request\nd"])
def test_what_is_no_string_to_sign(text: bytes) -> None:
    with pytest.raises(aws.SignatureMalformed): aws.of_string("s", text)
    with pytest.raises(aws.SignatureMalformed): aws.of_query("s", {"params": {}})
