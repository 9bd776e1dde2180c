"""Who sees and changes resources and metrics; pages of them.

Source: Gnocchi REST API, "Authentication", "Pagination"; its policies, with one more condition: who changes something is a member.
An administrator sees everything, others what their project made and what belongs to their project.
"""
from __future__ import annotations

import hashlib
from collections.abc import Mapping
from email.utils import formatdate, parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid5

from msgspec import Struct
from sqlalchemy import ColumnElement, or_, select

from pilvi.core.context import Call
from pilvi.core.errors import PreconditionFailed
from pilvi.core.policy import Rule
from pilvi.core.wire import truth
from pilvi.telemetry import errors
from pilvi.telemetry.resources.tables import Metric, MetricResource, MetricRevision
from pilvi.telemetry.timespan import iso

NAMESPACE = UUID("0a7a15ff-aa13-4ac2-897c-9bdf30ce175b")
"""Gnocchi's, by which a name becomes the id of a resource."""
LONGEST_NAME = 289
MAKER = "role:member and project_id:%(created_by_project_id)s"
OWNER = "project_id:%(project_id)s"
RULES = {
    "create resource": Rule("role:admin or role:service or role:member"),
    "create metric": Rule("role:admin or role:service or role:member"),
    "post measures batch": Rule("role:admin or role:service or role:member"),
    "list resource": Rule("@"), "search resource": Rule("@"), "list metric": Rule("@"),
    "delete resources": Rule("role:admin or role:member"),
    "get resource": Rule(f"role:admin or role:service or project_id:%(created_by_project_id)s or {OWNER}"),
    "update resource": Rule(f"role:admin or role:service or ({MAKER})"),
    "delete resource": Rule(f"role:admin or ({MAKER})"),
    "get metric": Rule(f"role:admin or role:service or project_id:%(created_by_project_id)s or {OWNER}"),
    "post measures": Rule(f"role:admin or role:service or ({MAKER})"),
    "delete metric": Rule(f"role:admin or ({MAKER})"),
    "search metric": Rule(f"role:admin or role:service or project_id:%(created_by_project_id)s or {OWNER}"),
    "get status": Rule("role:admin"),
}


def creator(call: Call) -> str:
    """Who makes something: the user's id and the project's."""
    return f"{call.user_id}:{call.project_id}"


def makers(made_by: str) -> dict[str, str]:
    """{created_by_user_id, created_by_project_id}"""
    user, _, project = made_by.partition(":")
    return {"created_by_user_id": user, "created_by_project_id": project}


def permit(call: Call, rule: str, made_by: str, project_id: str | None) -> None:
    """Raises Refused unless policy lets the caller do it to something made by that one, of that project."""
    if not call.allowed(rule, {**makers(made_by), "project_id": project_id, "creator": made_by}): raise errors.Refused()


def permit_metric(call: Call, rule: str, metric: Metric) -> None:
    """The same for a metric, which belongs to its resource's project."""
    assert call.db is not None
    owner = call.db.scalar(select(MetricResource.project_id).where(MetricResource.id == metric.resource_id)) if metric.resource_id else None
    permit(call, rule, metric.creator, owner)


def seen(call: Call, table: Any) -> list[ColumnElement[bool]]:
    """Conditions for the resources (or revisions of them) that exist for the caller."""
    return [] if call.is_admin else visible_to(call.project_id, table)


def visible_to(project_id: str, table: Any) -> list[ColumnElement[bool]]:
    """Conditions for what a project sees."""
    return [or_(table.project_id == project_id, table.creator.endswith(":" + project_id, autoescape=True))] if project_id else [
        table.project_id.is_(None) & table.project_id.is_not(None)]


def seen_metrics(call: Call) -> list[ColumnElement[bool]]:
    """Conditions for the metrics that exist for the caller."""
    if call.is_admin: return []
    ours = select(MetricResource.id).where(MetricResource.project_id == call.project_id)
    return [or_(Metric.creator.endswith(":" + call.project_id, autoescape=True), Metric.resource_id.in_(ours))]


def resource_id(value: Any, made_by: str) -> str:
    """The id of a resource: a UUID, or one made of a name and who uses it. Raises ValueError."""
    text = str(value)
    if "/" in text: raise ValueError("'/' is not supported in resource id")
    try: return str(UUID(text))
    except ValueError: pass
    if not text or len(text) > LONGEST_NAME: raise ValueError("transformable resource id >289 max allowed characters")
    return str(uuid5(NAMESPACE, text + "\x00" + made_by))


def columns_of(row: MetricResource | MetricRevision) -> dict[str, Any]:
    """A resource, or a revision of one, as the API shows it, without the attributes of its type."""
    ended = row.revision_end if isinstance(row, MetricRevision) else None
    return {"id": row.id, "type": row.type, "original_resource_id": row.original_resource_id, "creator": row.creator,
            "user_id": row.user_id, "project_id": row.project_id, "started_at": iso(row.started_at),
            "ended_at": None if row.ended_at is None else iso(row.ended_at), "revision_start": iso(row.revision_start),
            "revision_end": None if ended is None else iso(ended), **makers(row.creator)}


# -- pages


class Sort(Struct):
    """By what a list is ordered; things without it come last, or first."""
    name: str
    descending: bool
    nulls_last: bool


class Page(Struct):
    """Which part of a list is asked for."""
    limit: int
    marker: str | None
    sorts: list[Sort]


def page_of(call: Call, default: list[str]) -> Page:
    """What the query says. Raises Malformed."""
    assert call.request is not None and call.application is not None
    query = call.request.query
    most = call.application.config.page_limit
    given = call.request.one("limit")
    try: limit = most if given is None else min(int(given), most)
    except ValueError: limit = 0
    if limit < 1: raise errors.argument("limit", "expected a whole number of at least 1")
    sorts = []
    for word in [value for key, value in query if key == "sort"] or default:
        name, _, way = word.partition(":")
        if way not in ("", "asc", "desc", "asc-nullslast", "asc-nullsfirst", "desc-nullslast", "desc-nullsfirst"):
            raise errors.Malformed(reason=f"Sort direction supplied is invalid: {way}")
        sorts.append(Sort(name, way.startswith("desc"), way.endswith("nullslast") or way == "desc"))
    return Page(limit, call.request.one("marker"), sorts)


def ordered(key: Any, sort: Sort) -> Any:
    """The ORDER BY of a sort."""
    way = key.desc() if sort.descending else key.asc()
    return way.nulls_last() if sort.nulls_last else way.nulls_first()


def link_next(call: Call, marker: str) -> None:
    """Adds the Link header to the next page."""
    assert call.request is not None
    query = sorted([(key, value) for key, value in call.request.query if key != "marker"] + [("marker", marker)])
    call.headers["Link"] = f'<{call.url(call.request.path)}?{urlencode(query)}>; rel="next"'


def flag(call: Call, name: str) -> bool:
    """A boolean of the query. Raises Malformed."""
    assert call.request is not None
    given = call.request.one(name)
    try: return bool(truth(given)) if given else False
    except ValueError: raise errors.Malformed(reason=f"Unable to parse `{name}': {given!r} is not a boolean") from None


# -- preconditions


def etag(row: MetricResource) -> str:
    """Changes with each revision."""
    return hashlib.sha1(f"{row.id}{row.revision_start!r}".encode(), usedforsecurity=False).hexdigest()


def tell(call: Call, row: MetricResource) -> None:
    """Adds the headers that say which revision the reply shows."""
    call.headers["ETag"] = f'"{etag(row)}"'
    call.headers["Last-Modified"] = formatdate(int(row.revision_start), usegmt=True)


def unchanged(call: Call, row: MetricResource) -> bool:
    """Does the caller know this revision already (304)? Raises PreconditionFailed. Source: RFC 7232, section 6."""
    assert call.request is not None
    headers, mine = call.request.headers, etag(row)
    if "if-match" in headers: failed = not _names(headers["if-match"], mine)
    else: failed = "if-unmodified-since" in headers and _instant(headers, "if-unmodified-since") < int(row.revision_start)
    if failed: raise PreconditionFailed(reason="The resource has been changed meanwhile.")
    if "if-none-match" in headers: known = _names(headers["if-none-match"], mine)
    else: known = "if-modified-since" in headers and _instant(headers, "if-modified-since") >= int(row.revision_start)
    if known and call.request.method not in ("GET", "HEAD"):
        if "if-none-match" in headers: raise PreconditionFailed(reason="The resource is the one that was not to be changed.")
        return False
    return known


def _names(header: str, mine: str) -> bool:
    return any(word.strip().removeprefix("W/").strip('"') in ("*", mine) for word in header.split(","))


def _instant(headers: Mapping[str, str], name: str) -> float:
    try: return parsedate_to_datetime(headers[name]).timestamp()
    except ValueError: return float("inf") if name == "if-unmodified-since" else 0.0
