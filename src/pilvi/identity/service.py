"""The manifest of identity."""
from __future__ import annotations

from collections import OrderedDict
from typing import Any

from pilvi.core.context import Call
from pilvi.core.dialect import KEYSTONE
from pilvi.core.http import auth, cors
from pilvi.core.http.app import Application, Request, Response
from pilvi.core.http.routes import ANYONE, Route
from pilvi.core.service import Loop, Service
from pilvi.identity.config import Config
from pilvi.identity.directory import meet
from pilvi.identity.directory.lookup import Sources
from pilvi.identity.drivers import DIRECTORIES
from pilvi.identity.federation import login
from pilvi.identity.federation.saml_login import SamlQuestion
from pilvi.identity.resources import (
    access,
    access_rule,
    application_credential,
    assignment,
    audit_record,
    catalogue,
    credential,
    domain,
    domain_config,
    endpoint_group,
    group,
    identity_provider,
    implied_role,
    limit,
    mapping,
    membership,
    oauth1,
    policies,
    policy_store,
    project,
    project_tag,
    project_tree,
    protocol,
    role,
    role_assignment,
    service_provider,
    trust,
    user,
)
from pilvi.identity.resources.access_rule import AccessRule, RuleUse
from pilvi.identity.resources.application_credential import ApplicationCredential
from pilvi.identity.resources.assignment import Assignment
from pilvi.identity.resources.credential import Credential
from pilvi.identity.resources.identity_provider import FederatedUser
from pilvi.identity.resources.membership import Membership
from pilvi.identity.resources.protocol import Protocol
from pilvi.identity.resources.role import ImpliedRole
from pilvi.identity.resources.trust import Trust
from pilvi.identity.token import compliance, issue, own_password, signed, validate
from pilvi.identity.token.keys import Keyring, TokenKey
from pilvi.identity.token.validate import Revocation


def version(base: str) -> dict[str, Any]:
    """The version document's inner part."""
    return {"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z", "links": [{"rel": "self", "href": base + "/v3/"}],
            "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}]}


def versions(request: Request) -> tuple[int, dict[str, Any]]:
    """GET /: 300, as Keystone answers."""
    return 300, {"versions": {"values": [version(request.base)]}}


def show_version(call: Call) -> Response:
    """GET /v3"""
    assert call.request is not None
    return Response(200, {"version": version(call.request.base)})


def start(application: Application) -> None:
    """Reads (or makes) the token keys."""
    config = application.config
    keyring = Keyring(application.database, application.state["master_key"], rotation_seconds=config.key_rotation_seconds,
                      token_seconds=config.token_seconds)
    keyring.prepare()
    application.state |= {"keyring": keyring, "stories": OrderedDict(), "facts": OrderedDict(), "reaches": OrderedDict(),
                          "directories": Sources(application, DIRECTORIES.get)}
    application.database.written.append(auth.committed)
    with application.database.write() as db: audit_record.prepare(db)
    if bus := application.bus:
        bus.subscribe("identity", {"revoked": lambda args, message: auth.heard()})
        auth.TELLERS["bus"] = lambda: bus.fanout("identity", "revoked", {})
    application.authenticator.ask = lambda token, story: validate.identify(application, token)


def stop(application: Application) -> None:
    """The bus ends before the process."""
    application.state["directories"].close()
    auth.TELLERS.pop("bus", None)


TOKENS = "/v3/auth/tokens"
PAGES = cors.Headers(("X-Auth-Token", "X-OpenStack-Request-ID", "X-Subject-Token", "X-Project-Id", "X-Project-Name", "X-Project-Domain-Id",
                      "X-Project-Domain-Name", "X-Domain-Id", "X-Domain-Name", "OpenStack-Auth-Receipt"),
                     ("X-Auth-Token", "X-OpenStack-Request-ID", "X-Subject-Token", "OpenStack-Auth-Receipt"))
SERVICE = Service(
    name="identity", types=("identity",), path="", dialect=KEYSTONE, versions=versions, config=Config, start=start, stop=stop,
    cors=PAGES,
    before=meet.before,
    resources=[domain.RESOURCE, project.RESOURCE, user.RESOURCE, group.RESOURCE, role.RESOURCE,
               catalogue.REGION, catalogue.SERVICE, catalogue.ENDPOINT, endpoint_group.RESOURCE, policy_store.RESOURCE,
               oauth1.RESOURCE, identity_provider.RESOURCE, mapping.RESOURCE, service_provider.RESOURCE],
    tables=[Assignment, Membership, ImpliedRole, TokenKey, Revocation, ApplicationCredential, AccessRule, RuleUse, Trust, Credential,
            endpoint_group.ProjectEndpoint, endpoint_group.ProjectEndpointGroup, policy_store.PolicyAssociation, oauth1.RequestToken,
            oauth1.AccessToken, Protocol, FederatedUser, SamlQuestion, limit.RegisteredLimit, limit.Limit,
            domain_config.DomainConfig, user.PasswordHistory, audit_record.AuditRecord, audit_record.AuditHead],
    rules=policies.RULES,
    routes=[
        Route("/v3", "GET", show_version, ANYONE),
        Route(TOKENS, "POST", issue.issue, ANYONE, body=issue.BODY),
        Route(TOKENS, "GET", validate.show, None),
        Route(TOKENS, "HEAD", validate.check, None),
        Route(TOKENS, "DELETE", validate.revoke, None, status=204),
        Route("/v3/ec2tokens", "POST", signed.from_ec2, None), Route("/v3/s3tokens", "POST", signed.from_s3, None),
        Route("/v3/OS-REVOKE/events", "GET", validate.list_revocations, "identity:list_revoke_events", transaction="read"),
        Route("/v3/auth/catalog", "GET", validate.show_catalogue, "identity:get_auth_catalog"),
        *access.ROUTES, *access_rule.ROUTES, *application_credential.ROUTES, *assignment.ROUTES, *credential.ROUTES, *trust.ROUTES,
        *implied_role.ROUTES, *membership.ROUTES, *project_tag.ROUTES, *project_tree.ROUTES,
        *role_assignment.ROUTES, *own_password.ROUTES, *domain_config.ROUTES, *endpoint_group.ROUTES, *identity_provider.ROUTES,
        *limit.ROUTES, *protocol.ROUTES, *login.ROUTES, *mapping.ROUTES, *service_provider.ROUTES, *oauth1.ROUTES,
        *policy_store.ROUTES, *catalogue.ROUTES, *role.ROUTES, *audit_record.ROUTES,
    ],
    loops=[Loop("rotate token keys", 300, lambda application: application.state["keyring"].prepare()),
           Loop("forget old passwords", 3600, compliance.trim_history), Loop("forget old audit records", 3600, audit_record.forget)],
)
