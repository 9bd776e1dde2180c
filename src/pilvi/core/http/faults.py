"""From a failure to an error reply; from bytes to a checked JSON body."""
from __future__ import annotations

from typing import Any

import jsonschema_rs
import msgspec

from pilvi.core.errors import Invalid, TooLarge, Unsupported
from pilvi.core.http import limits
from pilvi.core.wire import describe


class BodyMalformed(Invalid):
    """Malformed request body: it is not valid JSON ({reason})."""


class BodyInvalid(Invalid):
    """{reason}"""


def parse(body: bytes, content_type: str) -> Any:
    """The JSON value of a body, None if it is empty. Raises BodyMalformed, TooLarge, Unsupported."""
    if not body: return None
    if len(body) > limits.BODY_BYTES: raise TooLarge(reason=f"the body has {len(body)} bytes, at most {limits.BODY_BYTES} are taken")
    kind = content_type.split(";")[0].strip().lower()
    if kind and "json" not in kind: raise Unsupported(content_type=kind[:80])
    try: value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as failure:
        raise BodyMalformed(reason=str(failure), problem=str(failure), keyword=None, schema=[]) from None
    except RecursionError: raise BodyMalformed(reason="it is nested too deeply") from None
    if _deeper(value, limits.JSON_DEPTH): raise BodyMalformed(reason="it is nested too deeply")
    if b"\\u0000" in body and _holds_nul(value): raise BodyMalformed(reason="a text may hold no NUL character")
    return value


def _holds_nul(value: Any) -> bool:
    """PostgreSQL takes no NUL in a text, and no API has a use for one."""
    if isinstance(value, str): return "\0" in value
    if isinstance(value, dict): return any(map(_holds_nul, value)) or any(map(_holds_nul, value.values()))
    return isinstance(value, list) and any(map(_holds_nul, value))


def _deeper(value: Any, depth: int) -> bool:
    if not isinstance(value, dict | list): return False
    if depth == 0: return True
    return any(_deeper(entry, depth - 1) for entry in (value.values() if isinstance(value, dict) else value))


class Schema:
    """A compiled JSON Schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.validator = jsonschema_rs.validator_for({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})

    def check(self, value: Any) -> None:
        """Raises BodyInvalid with the first violation."""
        try:
            for error in self.validator.iter_errors(value):
                at = list(error.instance_path)
                raise BodyInvalid(reason=describe(error.message[:300], at, _at(value, at)), problem=error.message[:300],
                                  keyword=str(error.schema_path[-1]), schema=list(error.schema_path[:-1]))
        except ValueError as failure:  # jsonschema-rs: text that no JSON document can hold (a lone surrogate)
            raise BodyMalformed(reason=str(failure)[:200]) from None


def _at(value: Any, path: list[Any]) -> Any:
    for step in path: value = value[step]
    return value
