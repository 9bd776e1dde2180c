"""RBAC policy: lets one project, or every one, use a network or reach the outside through it.

Source: Networking API v2.0, "RBAC Policies". Only networks are shared here; other object types are refused.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import select

from pilvi.core.context import Call
from pilvi.core.dialect import NEUTRON
from pilvi.core.resource import Resource
from pilvi.network import errors
from pilvi.network.resources.network import check_no_gateways, check_unshared
from pilvi.network.resources.standard import EXTERNAL, POLICY, SHARED, bump, find_network, require
from pilvi.network.resources.tables import Network, Router, Sharing


def create(call: Call, policy: Sharing, values: dict[str, Any]) -> None:
    """Only a network's owner shares it; only administrators share with every one."""
    network = find_network(call, policy.object_id)
    if network.project_id != call.project_id and not call.is_admin:
        raise errors.InvalidInput(error_message="Only admins can manipulate policies on networks they do not own")
    require(call, "create_rbac_policy:target_tenant", {"target_tenant": policy.target_project})
    _check_twin(call, policy, policy.target_project)
    _show(network, policy, policy.target_project, True)


def _check_twin(call: Call, policy: Sharing, target: str) -> None:
    assert call.db is not None
    twin = select(Sharing.id).where(
        Sharing.object_id == policy.object_id, Sharing.action == policy.action, Sharing.target_project == target)
    if call.db.execute(twin).first(): raise errors.DuplicatePolicy()


def _show(network: Network, policy: Sharing, target: str, holds: bool) -> None:
    """The network's flags follow its policies."""
    if policy.action == SHARED and target == "*": network.shared = holds
    if policy.action == EXTERNAL and holds: network.external = True
    bump(network)


def change(call: Call, policy: Sharing, changes: dict[str, Any]) -> None:
    """A policy moves to another project if the old one does not need it."""
    assert call.db is not None
    target = changes.get("target_project", policy.target_project)
    if target == policy.target_project: return
    require(call, "update_rbac_policy:target_tenant", {"target_tenant": target})
    _check_twin(call, policy, target)
    _withdraw(call, policy, target)
    _show(call.db.get_one(Network, policy.object_id), policy, target, True)


def remove(call: Call, policy: Sharing) -> None:
    """Not while it is needed."""
    _withdraw(call, policy)


def _withdraw(call: Call, policy: Sharing, successor: str = "") -> None:
    """Raises RbacPolicyInUse if something stands on the policy that its successor (a project, or "*") would not carry."""
    assert call.db is not None
    network = call.db.get(Network, policy.object_id)
    if network is None: return
    others = select(Sharing.id).where(Sharing.object_id == network.id, Sharing.action == policy.action, Sharing.id != policy.id)
    try:
        if policy.action == SHARED: check_unshared(call.db, network, policy.target_project, successor)
        elif network.is_default and policy.target_project == "*":
            raise errors.RbacPolicyInUse(object_id=network.id, details="it is the default external network")
        elif not successor and not call.db.execute(others).first(): check_no_gateways(call.db, network)
        else: _check_routers(call, network, policy, successor)
    except (errors.InvalidSharedSetting, errors.ExternalNetworkInUse) as failure:
        raise errors.RbacPolicyInUse(object_id=network.id, details=failure.message) from failure
    _show(network, policy, policy.target_project, False)
    if policy.action == EXTERNAL and not successor and not call.db.execute(others).first(): network.external = False


def _check_routers(call: Call, network: Network, policy: Sharing, successor: str) -> None:
    """Raises ExternalNetworkInUse if a project that no other policy lets out has its gateway here."""
    assert call.db is not None
    let_out = set(call.db.scalars(select(Sharing.target_project).where(
        Sharing.object_id == network.id, Sharing.action == EXTERNAL, Sharing.id != policy.id))) | {successor}
    if "*" in let_out: return
    users = set(call.db.scalars(select(Router.project_id).where(Router.gateway_network_id == network.id))) - let_out - {network.project_id}
    if users and policy.target_project in ("*", *users): raise errors.ExternalNetworkInUse(net_id=network.id)


RESOURCE = Resource(
    Sharing, "rbac_policy", "/v2.0/rbac-policies", NEUTRON, plural="rbac_policies", quota="rbac_policy", policy=POLICY,
    missing=errors.RbacPolicyNotFound, on_create=create, on_update=change, on_delete=remove)
