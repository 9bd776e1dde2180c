"""Options of telemetry."""
from __future__ import annotations

from msgspec import Struct, field


class ListedPrice(Struct, frozen=True, forbid_unknown_fields=True):
    """A row of the configured list. `amount` is text, so that it is exact; `attributes`: only things that have these."""
    kind: str
    unit: str
    amount: str
    attributes: dict[str, str] = {}


IDLE = ("stopped", "error")
"""States in which a server keeps its disk and nothing else."""
PRICES = [
    ListedPrice("server", "vcpu", "0.01"), ListedPrice("server", "ram_gib", "0.005"), ListedPrice("server", "disk_gib", "0.00005"),
    *(ListedPrice("server", unit, "0", {"state": state}) for state in IDLE for unit in ("vcpu", "ram_gib")),
    ListedPrice("volume", "gib", "0.0001"), ListedPrice("snapshot", "gib", "0.00005"), ListedPrice("image", "gib", "0.00003"),
    ListedPrice("floating_ip", "address", "0.004"), ListedPrice("object_storage", "gib", "0.00003")]


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """See each field."""
    event_days: float = 30.0
    """How long events are kept, in days."""
    page_limit: int = 1000
    """The most resources or metrics on one page."""
    alarm_seconds: float = 60.0
    """How often an alarm is evaluated at most; one with a finer granularity is evaluated as often as that, but not oftener than every
    ten seconds."""
    alarm_quota: int = -1
    """How many alarms a project may have (-1: no limit)."""
    notice_seconds: float = 3600.0
    """How long an alarm's action is tried again when the place that it goes to does not answer."""
    currency: str = "EUR"
    """Of bills and prices that name none."""
    prices: list[ListedPrice] = field(default_factory=lambda: list(PRICES))
    """The price list that a new cloud begins with; later it is changed over the API."""
    rating_census_seconds: float = 86400.0
    """How often what is billed is compared with what the services list."""
