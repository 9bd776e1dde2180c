"""Column types: instants as floats, JSON as compact text through msgspec."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import Dialect, Float, Text, TypeDecorator


class Json(TypeDecorator[Any]):
    """Any JSON value, stored as text (msgspec is 8× faster than the json module at this)."""
    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Instead of process_result_value, which would be called through two more functions for each value."""
        return _decoded


DECODE = msgspec.json.Decoder().decode


def _decoded(value: Any) -> Any:
    return None if value is None else DECODE(value)


class Instant(Float[float]):
    """Seconds since 1970, UTC. Double precision: microseconds survive."""

    def __init__(self) -> None:
        super().__init__(precision=53)
