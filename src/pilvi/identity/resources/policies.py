"""Who may do what in identity: upstream's rule names, their default checks and the scopes of the tokens that may use them.

Source: Keystone's policy reference (defaults of 2026). A check speaks of what the token says and of `target`, which the function that
enforces it fills in; `permit` is how hand-written endpoints do that.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.core.context import Call
from pilvi.core.errors import Forbidden
from pilvi.core.policy import Rule

SP, SDP = ("system", "project"), ("system", "domain", "project")
ADMIN = "rule:admin_required"
READER = f"{ADMIN} or (role:reader and system_scope:all)"


def _domain_role(role: str, *owners: str) -> str:
    """The role in the domain of each of these parts of the target."""
    return " and ".join([f"role:{role}", *(f"domain_id:%(target.{owner})s and not None:%(target.{owner})s" for owner in owners)])


def _grants(role: str) -> str:
    """The role in the domain of both ends of an assignment, which are not both there at once."""
    ends = [(actor, place) for actor in ("user.domain_id", "group.domain_id") for place in ("project.domain_id", "domain.id")]
    return " or ".join(f"({_domain_role(role, *pair)})" for pair in ends)


IN_REACH = "(domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s)"
TREE = f"{READER} or ({_domain_role('reader', 'domain_id')})"
PROJECT_MANAGER = f"{ADMIN} or ({_domain_role('manager', 'project.domain_id')})"
PROJECT_READER = f"{READER} or ({_domain_role('reader', 'project.domain_id')}) or project_id:%(target.project.id)s"
CREDENTIAL_OWNER = "user_id:%(target.credential.user_id)s"
TRUST_PARTY = f"{READER} or user_id:%(target.trust.trustor_user_id)s or user_id:%(target.trust.trustee_user_id)s"
GRANT = (f"{ADMIN} or (({_grants('admin')}) and {IN_REACH}) or (({_grants('manager')}) and rule:domain_managed_target_role)")

_CHECKS: list[tuple[str, tuple[str, ...], str]] = [
    (ADMIN, SP, """create_consumer update_consumer delete_consumer create_domain update_domain delete_domain create_domain_config
        update_domain_config delete_domain_config create_endpoint update_endpoint delete_endpoint create_endpoint_group
        update_endpoint_group delete_endpoint_group add_endpoint_group_to_project remove_endpoint_group_from_project
        create_system_grant_for_user revoke_system_grant_for_user create_system_grant_for_group revoke_system_grant_for_group
        create_identity_provider update_identity_provider delete_identity_provider create_implied_role delete_implied_role create_limits
        update_limit delete_limit create_mapping delete_mapping update_mapping create_policy update_policy delete_policy
        create_policy_association_for_endpoint delete_policy_association_for_endpoint create_policy_association_for_service
        delete_policy_association_for_service create_policy_association_for_region_and_service
        delete_policy_association_for_region_and_service add_endpoint_to_project remove_endpoint_from_project create_protocol
        update_protocol delete_protocol create_region update_region delete_region create_registered_limits update_registered_limit
        delete_registered_limit create_role update_role delete_role create_domain_role update_domain_role delete_domain_role
        create_service update_service delete_service create_service_provider update_service_provider delete_service_provider"""),
    (READER, SP, """get_consumer list_consumers get_domain_config get_domain_config_default get_endpoint list_endpoints
        list_endpoint_groups get_endpoint_group list_projects_associated_with_endpoint_group
        list_endpoints_associated_with_endpoint_group get_endpoint_group_in_project list_endpoint_groups_for_project
        list_system_grants_for_user check_system_grant_for_user list_system_grants_for_group check_system_grant_for_group
        list_identity_providers get_identity_provider get_implied_role list_implied_roles list_role_inference_rules check_implied_role
        get_mapping list_mappings get_policy list_policies check_policy_association_for_endpoint check_policy_association_for_service
        check_policy_association_for_region_and_service get_policy_for_endpoint list_endpoints_for_policy list_projects_for_endpoint
        check_endpoint_in_project list_endpoints_for_project get_protocol list_protocols get_domain_role list_domain_roles get_service
        list_services list_service_providers get_service_provider list_trusts"""),
    ("", SDP, """get_security_compliance_domain_config get_limit_model list_limits get_region list_regions get_registered_limit
        list_registered_limits"""),
    ("", (), """get_auth_catalog get_auth_projects get_auth_domains get_auth_system list_projects_for_user list_domains_for_user"""),
    (ADMIN, ("project",), """authorize_request_token get_access_token get_access_token_role list_access_tokens list_access_token_roles
        delete_access_token"""),
    (PROJECT_MANAGER, SDP, """create_project update_project delete_project update_project_tags create_project_tag delete_project_tags
        delete_project_tag"""),
    (PROJECT_READER, SDP, "get_project list_project_tags get_project_tag"),
    (f"{READER} or rule:owner", SP, "get_application_credential list_application_credentials ec2_list_credentials"),
    ("rule:owner", ("project",), "create_application_credential"),
    ("rule:admin_or_owner", SP, "delete_application_credential"),
    ("(role:reader and system_scope:all) or user_id:%(target.user.id)s", SP, "get_access_rule list_access_rules"),
    ("(role:admin and system_scope:all) or user_id:%(target.user.id)s", SP, "delete_access_rule"),
    (f"{ADMIN} or {CREDENTIAL_OWNER}", SDP, "create_credential update_credential delete_credential"),
    (f"{READER} or {CREDENTIAL_OWNER}", SDP, "get_credential list_credentials"),
    (f"{READER} or {CREDENTIAL_OWNER}", SP, "ec2_get_credential"),
    (f"{ADMIN} or (role:member and {CREDENTIAL_OWNER})", SP, "ec2_create_credential ec2_delete_credential"),
    (f"{ADMIN} or ({_domain_role('manager', 'group.domain_id')})", SDP, "create_group update_group delete_group"),
    (f"{READER} or ({_domain_role('reader', 'group.domain_id')})", SDP, "get_group list_groups list_users_in_group"),
    (f"{ADMIN} or ({_domain_role('manager', 'group.domain_id', 'user.domain_id')})", SDP, "remove_user_from_group add_user_to_group"),
    (f"{READER} or ({_domain_role('reader', 'group.domain_id', 'user.domain_id')})", SDP, "check_user_in_group"),
    (f"{READER} or ({_domain_role('reader', 'user.domain_id')}) or user_id:%(user_id)s", SDP, "list_groups_for_user"),
    (f"{READER} or ({_domain_role('reader', 'user.domain_id')}) or user_id:%(target.user.id)s", SDP, "list_user_projects get_user"),
    (f"{ADMIN} or ({_domain_role('manager', 'user.domain_id')})", SDP, "create_user update_user delete_user"),
    (TREE, SDP, "list_projects list_users list_role_assignments list_role_assignments_for_tree"),
    (f"{READER} or domain_id:%(target.domain.id)s or project_domain_id:%(target.domain.id)s", SDP, "get_domain"),
    (f"{READER} or ({_domain_role('reader', 'domain.id')})", SDP, "list_domains"),
    (GRANT, SDP, "create_grant revoke_grant"),
    (f"{READER} or (({_grants('reader')}) and {IN_REACH})", SDP, "check_grant"),
    (f"{READER} or {_grants('reader')}", SDP, "list_grants"),
    (f"{READER} or (role:manager and rule:domain_managed_target_role)", SDP, "get_role"),
    (f"{READER} or (role:manager and not domain_id:None)", SDP, "list_roles"),
    (f"{READER} or domain_id:%(target.limit.domain.id)s or domain_id:%(target.limit.project.domain_id)s or "
     "(project_id:%(target.limit.project_id)s and not None:%(target.limit.project_id)s)", SDP, "get_limit"),
    (f"{READER} or rule:token_subject", SDP, "check_token"),
    (f"{READER} or rule:service_role or rule:token_subject", SDP, "validate_token"),
    (f"{ADMIN} or rule:token_subject", SDP, "revoke_token"),
    ("rule:service_or_admin", SP, "list_revoke_events"),
    (READER, SP, "list_audit_records"),
    ("rule:service_or_admin", SDP, "s3tokens_validate ec2tokens_validate"),
    ("user_id:%(target.trust.trustor_user_id)s", ("project",), "create_trust"),
    (f"{READER} or user_id:%(target.trust.trustor_user_id)s", SP, "list_trusts_for_trustor"),
    (f"{READER} or user_id:%(target.trust.trustee_user_id)s", SP, "list_trusts_for_trustee"),
    (TRUST_PARTY, SP, "list_roles_for_trust get_role_for_trust get_trust"),
    (f"{ADMIN} or user_id:%(target.trust.trustor_user_id)s", SP, "delete_trust"),
]
RULES: dict[str, Rule] = {
    "admin_required": Rule("role:admin or is_admin:1"), "service_role": Rule("role:service"),
    "service_or_admin": Rule("rule:admin_required or rule:service_role"), "owner": Rule("user_id:%(user_id)s"),
    "admin_or_owner": Rule("rule:admin_required or rule:owner"), "token_subject": Rule("user_id:%(target.token.user_id)s"),
    "domain_managed_target_role": Rule("'manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s"),
    **{f"identity:{name}": Rule(check, scopes) for check, scopes, names in _CHECKS for name in names.split()}}


def verbs(singular: str, plural: str = "") -> dict[str, Rule]:
    """The rules of a resource's five verbs, for its `policy`."""
    names = {"list": f"list_{plural or singular + 's'}", "show": f"get_{singular}"} | {
        verb: f"{verb}_{singular}" for verb in ("create", "update", "delete")}
    return {verb: RULES[f"identity:{name}"] for verb, name in names.items() if f"identity:{name}" in RULES}


def permit(call: Call, name: str, target: Mapping[str, Any] | None = None, **path: Any) -> None:
    """Raises Forbidden unless policy allows `identity:name` on the target; `path` are the endpoint's own parameters."""
    if not call.allowed(f"identity:{name}", {**path, "target": dict(target or {})}): raise Forbidden(action=f"identity:{name}")
