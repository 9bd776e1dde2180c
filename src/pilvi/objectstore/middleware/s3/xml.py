"""XML of the S3 API: out of plain values, and back from a client's body. Documents with a DTD are refused: no entities, no bombs; so are
those in UTF-16, where one would not be seen."""
from __future__ import annotations

from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from pilvi.objectstore.middleware.s3.faults import S3Refused

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
BODY_BYTES = 2 << 20
UNFIT = {code: None for code in range(32) if code not in (9, 10, 13)}
"""Characters that XML 1.0 cannot hold."""

Value = Any
"""Text, a number, True or False, a list of (name, value), or None for nothing."""


def document(name: str, fields: list[tuple[str, Value]] | str, namespace: bool = True) -> bytes:
    """A document of nested (name, value) pairs, or of a text; a name may come several times."""
    attribute = f' xmlns="{NAMESPACE}"' if namespace else ""
    inner = escape(fields) if isinstance(fields, str) else "".join(_element(*field) for field in fields)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name}{attribute}>{inner}</{name}>'.encode()


def _element(name: str, value: Value) -> str:
    if value is None: return ""
    if isinstance(value, list):
        first, _, attributes = name.partition(" ")
        return f"<{first}{' ' + attributes if attributes else ''}>{''.join(_element(*field) for field in value)}</{first}>"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"<{name}>{escape(text.translate(UNFIT))}</{name}>"


def parse(body: bytes, root: str) -> ElementTree.Element:
    """The document, namespaces taken off. Raises S3Refused."""
    if not body: raise S3Refused("MissingRequestBodyError")
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body or b"\0" in body or len(body) > BODY_BYTES: raise S3Refused("MalformedXML")
    try: found = ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError, LookupError): raise S3Refused("MalformedXML") from None
    for element in found.iter(): element.tag = element.tag.rpartition("}")[2]
    if found.tag != root: raise S3Refused("MalformedXML")
    return found
