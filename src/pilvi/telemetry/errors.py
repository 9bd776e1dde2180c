"""What can go wrong in telemetry. `description` in a failure's facts replaces the message: {cause, reason, detail}."""
from __future__ import annotations

from typing import Any

from pilvi.core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated


class Malformed(Invalid):
    """{reason}"""


class ArchivePolicyUnknown(NotFound):
    """Archive policy {name} does not exist"""


class ArchivePolicyNotThere(Invalid):
    """Archive policy {name} does not exist"""


class ArchivePolicyExists(Conflict):
    """Archive policy {name} already exists"""


class ArchivePolicyInUse(Invalid):
    """Archive policy {name} is still in use"""


class ArchivePolicyFixed(Invalid):
    """Archive policy {name} does not support change: {reason}"""


class RuleUnknown(NotFound):
    """Archive policy rule {name} does not exist"""


class RuleExists(Conflict):
    """Archive policy rule {name} already exists"""


class RuleFixed(Invalid):
    """Archive policy rule {name} does not support change: archive policy rule {new} already exists."""


class ResourceTypeUnknown(NotFound):
    """Resource type {name} does not exist"""


class ResourceTypeNotThere(Invalid):
    """Resource type {name} does not exist"""


class ResourceTypeExists(Conflict):
    """Resource type {name} already exists"""


class ResourceTypeInUse(Invalid):
    """Resource type {name} is still in use"""


class ResourceUnknown(NotFound):
    """Resource {id} does not exist"""


class ResourceExists(Conflict):
    """Resource {id} already exists"""


class MetricUnknown(NotFound):
    """Metric {id} does not exist"""


class MetricNotThere(Invalid):
    """Metric {id} does not exist"""


class MetricExists(Conflict):
    """Named metric {name} already exists"""


class AggregationUnknown(NotFound):
    """Aggregation method '{method}' at granularity '{granularity}' for metric {id} does not exist"""


class Refused(Forbidden):
    """Access was denied to this resource."""


def invalid(reason: str, *path: Any) -> Malformed:
    """A body that does not fit, told as the metric API tells it."""
    at = "".join(f"[{step!r}]" for step in path)
    text = f"{reason} @ data{at}" if path else reason
    return Malformed(reason=text, description={"cause": "Invalid input", "reason": text, "detail": [str(step) for step in path]})


def json_of(body: Any) -> Any:
    """A request's body, which must be there. Raises Malformed."""
    if body is None:
        reason = "Expected object or value"
        raise Malformed(reason=reason, description={"cause": "Unable to decode body", "reason": reason, "detail": []})
    return body


def argument(name: str, reason: str) -> Malformed:
    """A query parameter that cannot be understood."""
    return Malformed(reason=reason, description={"cause": "Argument value error", "detail": name, "reason": reason})


def not_aggregable(references: Any, reason: str) -> Malformed:
    """Series that cannot be put together."""
    return Malformed(reason=reason, description={"cause": "Metrics cannot be aggregated", "reason": reason, "detail": references})


class AlarmUnknown(NotFound):
    """Alarm {id} not found"""


class AlarmQuotaExceeded(Forbidden):
    """Alarm quota exceeded for user {user} on project {project}"""


class ProjectForbidden(Unauthenticated):
    """Not Authorized to access project {id}"""


class ActionForbidden(Unauthenticated):
    """You are not authorized to create action: {action}"""


class TrustUnavailable(Invalid):
    """No trust could be made for the alarm's actions: {reason}"""
