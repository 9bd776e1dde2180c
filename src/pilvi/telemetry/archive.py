"""Archive policies: which statistics of a metric are kept, how fine, how long.

Source: Gnocchi, "Archive policies". A definition is [{granularity, points, timespan}] in seconds; points and timespan None: for ever.
"""
from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from msgspec import Struct

from pilvi.telemetry.timespan import spelled

PLAIN = frozenset({"mean", "sum", "last", "max", "min", "std", "median", "first", "count", *(f"{n}pct" for n in range(1, 100))})
METHODS = PLAIN | {f"rate:{method}" for method in PLAIN}
WRITABLE = METHODS | {"*"} | {f"{sign}{method}" for sign in "+-" for method in METHODS}
DEFAULT = frozenset({"mean", "min", "max", "sum", "std", "count"})
MERGEABLE = frozenset({"mean", "sum", "last", "max", "min", "std", "first", "count"})
"""Methods whose value for a bucket follows from the statistics of its parts; the others need every sample."""


LONGEST = 1e11
"""The longest span in seconds: three thousand years."""


class Level(Struct, frozen=True):
    """One granularity of a policy, in seconds; `span` None: kept for ever."""
    granularity: float
    span: float | None


class Policy(Struct, frozen=True):
    """How a metric is stored. Levels from the finest on."""
    levels: tuple[Level, ...]
    methods: frozenset[str]
    back_window: int = 0

    @property
    def block(self) -> float:
        """The length of the coarsest bucket: samples are kept until theirs is closed."""
        return self.levels[-1].granularity

    @property
    def kinds(self) -> tuple[bool, ...]:
        """Which series it keeps: of the values (False), of their changes (True)."""
        plain, changes = _split(self.methods)
        return _KINDS[bool(plain), bool(changes)]

    def of(self, rate: bool) -> frozenset[str]:
        """The plain methods that are kept of the values, or of their changes."""
        return _split(self.methods)[rate]

    def merges(self) -> bool:
        """Can samples be merged into buckets without the earlier samples?"""
        return self.of(False) | self.of(True) <= MERGEABLE

    def level(self, granularity: float) -> Level | None:
        """The level of a granularity, if it has one."""
        return next((level for level in self.levels if level.granularity == granularity), None)


_KINDS = {(plain, changes): (False,) * plain + (True,) * changes for plain in (False, True) for changes in (False, True)}


@lru_cache(256)
def _split(methods: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    return (frozenset(m for m in methods if not m.startswith("rate:")),
            frozenset(m.removeprefix("rate:") for m in methods if m.startswith("rate:")))


def methods_of(words: Iterable[str]) -> frozenset[str]:
    """The methods that a policy's words mean: "*" all, "-mean" and "+rate:mean" changes of the default. Raises ValueError."""
    given = set(words)
    if unknown := given - WRITABLE: raise ValueError(f"Invalid value for aggregation_methods: {sorted(unknown)}")
    chosen = set(METHODS) if "*" in given else set(DEFAULT) if all(w[0] in "+-" for w in given) else {w for w in given if w in METHODS}
    return frozenset((chosen | {w[1:] for w in given if w[0] == "+"}) - {w[1:] for w in given if w[0] == "-"})


def item(granularity: float | None = None, points: int | None = None, timespan: float | None = None) -> dict[str, Any]:
    """One line of a definition, completed. Raises ValueError."""
    if granularity is not None and points is not None and timespan is not None and timespan != granularity * points:
        raise ValueError("timespan ≠ granularity × points")
    if granularity is None:
        if points is None or timespan is None: raise ValueError("At least two of granularity/points/timespan must be provided")
        granularity = timespan / points
    if points is None and timespan is not None:
        points = int(timespan / granularity)
        if points <= 0: raise ValueError("Calculated number of points is < 0")
    if points is not None and granularity * points > LONGEST: raise ValueError("Timespan is too long")
    return {"granularity": granularity, "points": points, "timespan": None if points is None else granularity * points}


def definition(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A whole definition, checked. Raises ValueError."""
    made = [item(**line) for line in lines]
    seen: set[float] = set()
    for line in made:
        if line["granularity"] in seen: raise ValueError(f"More than one archive policy uses granularity `{line['granularity']}'")
        seen.add(line["granularity"])
    return made


def shown(line: dict[str, Any]) -> dict[str, Any]:
    """A line of a definition as the API writes it."""
    return {"granularity": spelled(line["granularity"]), "points": line["points"],
            "timespan": None if line["timespan"] is None else spelled(line["timespan"])}


def policy(lines: Iterable[dict[str, Any]], methods: Iterable[str], back_window: int) -> Policy:
    """What the store needs to know of an archive policy."""
    levels = sorted((Level(line["granularity"], line["timespan"]) for line in lines), key=lambda level: level.granularity)
    return Policy(tuple(levels), frozenset(methods), back_window)


MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
GAUGE, COUNTER = "pilvi", "pilvi-rate"
"""The policies of what is collected here: of levels (memory in use), and of counts that only grow (CPU time, bytes)."""
_COLLECTED = [(MINUTE, DAY), (5 * MINUTE, 7 * DAY), (HOUR, 365 * DAY)]
_FINE = [(1.0, HOUR), (MINUTE, DAY), (HOUR, 365 * DAY)]
BUILT_IN: dict[str, tuple[int, list[tuple[float, float]], tuple[str, ...]]] = {
    "bool": (3600, [(1.0, 365 * DAY)], ("last",)),
    "low": (0, [(5 * MINUTE, 30 * DAY)], tuple(sorted(DEFAULT))),
    "medium": (0, [(MINUTE, 7 * DAY), (HOUR, 365 * DAY)], tuple(sorted(DEFAULT))),
    "high": (0, [(1.0, HOUR), (MINUTE, 7 * DAY), (HOUR, 365 * DAY)], tuple(sorted(DEFAULT))),
    "ceilometer-low": (0, [(5 * MINUTE, 30 * DAY)], ("mean",)),
    "ceilometer-low-rate": (0, [(5 * MINUTE, 30 * DAY)], ("mean", "rate:mean")),
    "ceilometer-high": (0, _FINE, ("mean",)),
    "ceilometer-high-rate": (0, _FINE, ("mean", "rate:mean")),
    GAUGE: (0, _COLLECTED, ("count", "max", "mean", "min")),
    COUNTER: (0, _COLLECTED, ("last", "mean", "rate:mean", "rate:sum")),
}
"""{name: (back window, [(granularity, timespan)], methods)} that every cloud has."""
