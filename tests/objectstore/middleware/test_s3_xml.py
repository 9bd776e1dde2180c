"""Bodies of the S3 API."""
from __future__ import annotations

import pytest

from pilvi.objectstore.middleware.s3.faults import S3Refused
from pilvi.objectstore.middleware.s3.xml import parse

ENTITIES = '<!DOCTYPE a [<!ENTITY b "bbbb">]><Delete>&b;</Delete>'


@pytest.mark.parametrize("body", [b"", b"<Delete>", b"<Other/>", ENTITIES.encode(), ENTITIES.encode("utf-16"),
                                  '<?xml version="1.0" encoding="UTF-16LE"?>'.encode("utf-16-le") + ENTITIES.encode("utf-16-le")])
def test_bodies_that_are_refused(body: bytes) -> None:
    with pytest.raises(S3Refused): parse(body, "Delete")


def test_a_body() -> None:
    assert parse(b'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet></Delete>', "Delete")[0].text == "true"
