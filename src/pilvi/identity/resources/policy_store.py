"""Policy store: texts that other programs keep here, and which endpoint, service or region they are for. Pilvi itself does not read them.

Source: Identity API v3, "Policies", "OS-ENDPOINT-POLICY".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import delete as delete_from
from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core.context import Call
from pilvi.core.db.types import Json
from pilvi.core.dialect import KEYSTONE
from pilvi.core.errors import NotFound
from pilvi.core.http.routes import Route
from pilvi.core.resource import Resource
from pilvi.core.wire import REQUIRED, Base, HexIdentified, field, json, text
from pilvi.identity import errors
from pilvi.identity.resources import catalogue, policies
from pilvi.identity.resources.catalogue import Endpoint, Region
from pilvi.identity.resources.relative import find, links


class Policy(HexIdentified, Base):
    __tablename__ = "identity_policies"
    type: Mapped[str] = field(text(255), create=REQUIRED, update=True)
    blob: Mapped[Any] = field(json({"type": ["string", "object"]}), create=REQUIRED, update=True, filter=False)
    extra: Mapped[Any] = mapped_column(Json, nullable=True)


class PolicyAssociation(Base):
    """A policy is for an endpoint, a service, or a service in a region (the id is "" where it is not asked for)."""
    __tablename__ = "identity_policy_associations"
    policy_id: Mapped[str] = mapped_column(primary_key=True)
    endpoint_id: Mapped[str] = mapped_column(primary_key=True, default="")
    service_id: Mapped[str] = mapped_column(primary_key=True, default="")
    region_id: Mapped[str] = mapped_column(primary_key=True, default="")


def remove(call: Call, policy: Policy) -> None:
    """What it was for goes with it."""
    assert call.db is not None
    call.db.execute(delete_from(PolicyAssociation).where(PolicyAssociation.policy_id == policy.id))


RESOURCE = Resource(Policy, "policy", "/v3/policies", KEYSTONE, plural="policies", owner=None, missing=errors.PolicyNotFound,
                    policy=policies.verbs("policy", "policies"), on_delete=remove, on_render=catalogue.render)
PATH = "/v3/policies/{policy_id}/OS-ENDPOINT-POLICY"
KINDS = {"endpoint": "/endpoints/{endpoint_id}", "service": "/services/{service_id}",
         "region_and_service": "/services/{service_id}/regions/{region_id}"}


def _routes(kind: str, tail: str) -> list[Route]:
    def check_ends(call: Call, policy_id: str, of: dict[str, str]) -> PolicyAssociation | None:
        assert call.db is not None
        find(call, "policy", policy_id)
        for name, id in of.items(): find(call, name.removesuffix("_id"), id)
        return call.db.query(PolicyAssociation).filter_by(policy_id=policy_id, **_places(of)).first()

    def associate(call: Call, policy_id: str, **of: str) -> None:
        assert call.db is not None
        check_ends(call, policy_id, of)
        call.db.execute(delete_from(PolicyAssociation).filter_by(**_places(of)))  # a place has one policy
        call.db.add(PolicyAssociation(policy_id=policy_id, **_places(of)))

    def check(call: Call, policy_id: str, **of: str) -> None:
        if check_ends(call, policy_id, of) is None: raise NotFound("No policy is associated there.")

    def end(call: Call, policy_id: str, **of: str) -> None:
        assert call.db is not None
        check_ends(call, policy_id, of)
        call.db.execute(delete_from(PolicyAssociation).filter_by(policy_id=policy_id, **_places(of)))

    rule = f"policy_association_for_{kind}"
    return [Route(PATH + tail, "PUT", associate, f"identity:create_{rule}", status=204, transaction="write"),
            Route(PATH + tail, "GET", check, f"identity:check_{rule}", status=204, transaction="read"),
            Route(PATH + tail, "DELETE", end, f"identity:delete_{rule}", status=204, transaction="write")]


def _places(of: dict[str, str]) -> dict[str, str]:
    return {"endpoint_id": "", "service_id": "", "region_id": "", **of}


def list_endpoints(call: Call, policy_id: str) -> dict[str, Any]:
    """GET …/OS-ENDPOINT-POLICY/endpoints: those that the policy takes effect for."""
    assert call.db is not None
    find(call, "policy", policy_id)
    rows = [endpoint for endpoint in call.db.scalars(select(Endpoint)) if _policy_of(call, endpoint) == policy_id]
    return {"endpoints": catalogue.ENDPOINT.render(call, rows), "links": links(call)}


def _policy_of(call: Call, endpoint: Endpoint) -> str | None:
    """The endpoint's own, else its service's in its region or one above, else its service's."""
    assert call.db is not None
    regions, region = [""], endpoint.region_id
    while region:
        regions.insert(-1, region)
        region = call.db.scalar(select(Region.parent_region_id).where(Region.id == region))
    wanted = [_places({"endpoint_id": endpoint.id}), *(_places({"service_id": endpoint.service_id, "region_id": id}) for id in regions)]
    found = (call.db.scalar(select(PolicyAssociation.policy_id).filter_by(**place)) for place in wanted)
    return next((id for id in found if id), None)


def show_for_endpoint(call: Call, endpoint_id: str) -> dict[str, Any]:
    """GET /v3/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy"""
    policy_id = _policy_of(call, find(call, "endpoint", endpoint_id))
    if policy_id is None: raise NotFound(f"No policy is associated with endpoint {endpoint_id}.")
    return {"policy": RESOURCE.render(call, [find(call, "policy", policy_id)])[0]}


ROUTES = [route for kind, tail in KINDS.items() for route in _routes(kind, tail)] + [
    Route(PATH + "/endpoints", "GET", list_endpoints, "identity:list_endpoints_for_policy", transaction="read"),
    Route("/v3/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy", "GET", show_for_endpoint, "identity:get_policy_for_endpoint",
          transaction="read"),
]
