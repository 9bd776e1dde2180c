"""Which endpoints a project's catalogue shows: those associated with it one by one or by a group with a filter; without any, all.

Source: Identity API v3, "OS-EP-FILTER".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy import delete as delete_from
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core.context import Call
from pilvi.core.dialect import KEYSTONE
from pilvi.core.errors import NotFound
from pilvi.core.http.routes import Route
from pilvi.core.resource import Resource
from pilvi.core.wire import OPTIONAL, REQUIRED, Base, HexIdentified, field, json, text
from pilvi.identity import errors
from pilvi.identity.resources import catalogue, policies
from pilvi.identity.resources.catalogue import Endpoint
from pilvi.identity.resources.relative import find, links, listed

FILTERS = {"type": "object", "minProperties": 1, "additionalProperties": False, "properties": {
    "interface": {"enum": ["public", "internal", "admin"]}, "service_id": {"type": "string"}, "region_id": {"type": "string"},
    "enabled": {"type": "boolean"}}}


class EndpointGroup(HexIdentified, Base):
    __tablename__ = "identity_endpoint_groups"
    name: Mapped[str] = field(text(255, shortest=1), create=REQUIRED, update=True)
    description: Mapped[str | None] = field(text(65535), create=OPTIONAL, update=True, default="", nullable=True, filter=False)
    filters: Mapped[dict[str, Any]] = field(json(FILTERS), create=REQUIRED, update=True, filter=False)


class ProjectEndpoint(Base):
    __tablename__ = "identity_project_endpoints"
    project_id: Mapped[str] = mapped_column(primary_key=True)
    endpoint_id: Mapped[str] = mapped_column(primary_key=True)


class ProjectEndpointGroup(Base):
    __tablename__ = "identity_project_endpoint_groups"
    project_id: Mapped[str] = mapped_column(primary_key=True)
    endpoint_group_id: Mapped[str] = mapped_column(primary_key=True)


CHOSEN = select(ProjectEndpoint.endpoint_id).where(ProjectEndpoint.project_id == bindparam("project_id"))
GROUPS = select(EndpointGroup).where(EndpointGroup.id.in_(
    select(ProjectEndpointGroup.endpoint_group_id).where(ProjectEndpointGroup.project_id == bindparam("project_id"))))


def endpoint_ids(db: Session, project_id: str) -> set[str] | None:
    """The endpoints that a project's catalogue shows; None: all."""
    found = set(db.scalars(CHOSEN, {"project_id": project_id}))
    groups = list(db.scalars(GROUPS, {"project_id": project_id}))
    if not found and not groups: return None
    return found.union(*(db.scalars(_members(group).with_only_columns(Endpoint.id)) for group in groups))


def _members(group: EndpointGroup) -> Select[Any]:
    return select(Endpoint).filter_by(**group.filters)


def remove(call: Call, group: EndpointGroup) -> None:
    """Its projects' catalogues go without it."""
    assert call.db is not None
    call.db.execute(delete_from(ProjectEndpointGroup).where(ProjectEndpointGroup.endpoint_group_id == group.id))


RESOURCE = Resource(EndpointGroup, "endpoint_group", "/v3/OS-EP-FILTER/endpoint_groups", KEYSTONE, owner=None,
                    missing=errors.EndpointGroupNotFound, policy=policies.verbs("endpoint_group"), on_delete=remove)


def _endpoints(call: Call, chosen: Select[Any]) -> dict[str, Any]:
    assert call.db is not None
    return {"endpoints": catalogue.ENDPOINT.render(call, list(call.db.scalars(chosen))), "links": links(call)}


def _ends(call: Call, kind: str, project_id: str, id: str) -> None:
    """Raises NotFound for a project, endpoint or endpoint group that does not exist."""
    find(call, "project", project_id)
    find(call, kind, id)


def _association(call: Call, kind: str, project_id: str, id: str) -> Base:
    """The project's with an endpoint or a group. Raises NotFound."""
    assert call.db is not None
    _ends(call, kind, project_id, id)
    row = call.db.get(ProjectEndpoint if kind == "endpoint" else ProjectEndpointGroup, (project_id, id))
    if row is None: raise NotFound(f"{kind.replace('_', ' ').capitalize()} {id} is not associated with project {project_id}.")
    return row


def add_endpoint(call: Call, project_id: str, endpoint_id: str) -> None:
    """PUT /v3/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}"""
    assert call.db is not None
    _ends(call, "endpoint", project_id, endpoint_id)
    call.db.merge(ProjectEndpoint(project_id=project_id, endpoint_id=endpoint_id))


def check_endpoint(call: Call, project_id: str, endpoint_id: str) -> None:
    """GET /v3/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}"""
    _association(call, "endpoint", project_id, endpoint_id)


def remove_endpoint(call: Call, project_id: str, endpoint_id: str) -> None:
    """DELETE /v3/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}"""
    assert call.db is not None
    call.db.delete(_association(call, "endpoint", project_id, endpoint_id))


def list_endpoints(call: Call, project_id: str) -> dict[str, Any]:
    """GET /v3/OS-EP-FILTER/projects/{project_id}/endpoints"""
    assert call.db is not None
    find(call, "project", project_id)
    return _endpoints(call, select(Endpoint).where(Endpoint.id.in_(endpoint_ids(call.db, project_id) or ())))


def list_projects(call: Call, endpoint_id: str) -> dict[str, Any]:
    """GET /v3/OS-EP-FILTER/endpoints/{endpoint_id}/projects"""
    find(call, "endpoint", endpoint_id)
    return listed(call, "project", select(ProjectEndpoint.project_id).where(ProjectEndpoint.endpoint_id == endpoint_id))


def add_group(call: Call, endpoint_group_id: str, project_id: str) -> None:
    """PUT /v3/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}"""
    assert call.db is not None
    _ends(call, "endpoint_group", project_id, endpoint_group_id)
    call.db.merge(ProjectEndpointGroup(project_id=project_id, endpoint_group_id=endpoint_group_id))


def show_group_of(call: Call, endpoint_group_id: str, project_id: str) -> dict[str, Any]:
    """GET /v3/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}"""
    _association(call, "endpoint_group", project_id, endpoint_group_id)
    return {"endpoint_group": RESOURCE.render(call, [find(call, "endpoint_group", endpoint_group_id)])[0]}


def remove_group(call: Call, endpoint_group_id: str, project_id: str) -> None:
    """DELETE /v3/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects/{project_id}"""
    assert call.db is not None
    call.db.delete(_association(call, "endpoint_group", project_id, endpoint_group_id))


def list_groups_of(call: Call, project_id: str) -> dict[str, Any]:
    """GET /v3/OS-EP-FILTER/projects/{project_id}/endpoint_groups"""
    find(call, "project", project_id)
    mine = select(ProjectEndpointGroup.endpoint_group_id).where(ProjectEndpointGroup.project_id == project_id)
    return listed(call, "endpoint_group", mine)


def list_projects_of_group(call: Call, endpoint_group_id: str) -> dict[str, Any]:
    """GET /v3/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects"""
    find(call, "endpoint_group", endpoint_group_id)
    mine = select(ProjectEndpointGroup.project_id).where(ProjectEndpointGroup.endpoint_group_id == endpoint_group_id)
    return listed(call, "project", mine)


def list_endpoints_of_group(call: Call, endpoint_group_id: str) -> dict[str, Any]:
    """GET /v3/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/endpoints"""
    return _endpoints(call, _members(find(call, "endpoint_group", endpoint_group_id)))


PROJECTS, GROUP = "/v3/OS-EP-FILTER/projects/{project_id}", "/v3/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}"
ONE, MEMBER = PROJECTS + "/endpoints/{endpoint_id}", GROUP + "/projects/{project_id}"
ROUTES = [
    Route(PROJECTS + "/endpoints", "GET", list_endpoints, "identity:list_endpoints_for_project", transaction="read"),
    Route(ONE, "PUT", add_endpoint, "identity:add_endpoint_to_project", status=204, transaction="write"),
    Route(ONE, "GET", check_endpoint, "identity:check_endpoint_in_project", status=204, transaction="read"),
    Route(ONE, "DELETE", remove_endpoint, "identity:remove_endpoint_from_project", status=204, transaction="write"),
    Route("/v3/OS-EP-FILTER/endpoints/{endpoint_id}/projects", "GET", list_projects, "identity:list_projects_for_endpoint",
          transaction="read"),
    Route(PROJECTS + "/endpoint_groups", "GET", list_groups_of, "identity:list_endpoint_groups_for_project", transaction="read"),
    Route(MEMBER, "PUT", add_group, "identity:add_endpoint_group_to_project", status=204, transaction="write"),
    Route(MEMBER, "GET", show_group_of, "identity:get_endpoint_group_in_project", transaction="read"),
    Route(MEMBER, "DELETE", remove_group, "identity:remove_endpoint_group_from_project", status=204, transaction="write"),
    Route(GROUP + "/projects", "GET", list_projects_of_group, "identity:list_projects_associated_with_endpoint_group", transaction="read"),
    Route(GROUP + "/endpoints", "GET", list_endpoints_of_group, "identity:list_endpoints_associated_with_endpoint_group",
          transaction="read"),
]
