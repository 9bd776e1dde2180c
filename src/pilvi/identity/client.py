"""What other services and agents call of identity."""
from __future__ import annotations

import base64
from threading import Lock
from typing import Any

from pilvi.core import clock, trace
from pilvi.core.context import Call, Delegation, Identity
from pilvi.core.errors import NotFound, Unauthenticated
from pilvi.core.http.client import send

RENEW_SECONDS = 120.0


def validate(token: str, story: trace.Trace | None) -> Identity:
    """Who a token speaks for; a token may always ask about itself. Raises Unauthenticated."""
    steps = {name: word for name, word in story.steps.items() if name in ("validated", "caller")} if story else None
    try:
        reply = send(Call(token=token), "identity", "GET", "/v3/auth/tokens", query={"nocatalog": "1"}, headers={"x-subject-token": token},
                     steps=steps)
    except (NotFound, Unauthenticated):
        raise Unauthenticated() from None
    return _identity(reply.json()["token"])


def _identity(facts: dict[str, Any]) -> Identity:
    project, domain = facts.get("project") or {}, facts.get("domain") or {}
    return Identity(
        user_id=facts["user"]["id"], user_name=facts["user"]["name"], user_domain_id=facts["user"]["domain"]["id"],
        project_id=project.get("id"), project_name=project.get("name"), project_domain_id=(project.get("domain") or {}).get("id"),
        domain_id=domain.get("id"), system="system" in facts, roles=tuple(role["name"] for role in facts.get("roles", ())),
        audit_id=facts["audit_ids"][0], expires_at=clock.parse(facts["expires_at"]), delegation=_delegation(facts))


def _delegation(facts: dict[str, Any]) -> Delegation | None:
    if given := facts.get("application_credential"):
        rules = tuple(given["access_rules"]) if "access_rules" in given else None
        return Delegation("application_credential", given["id"], given["restricted"], rules)
    if given := facts.get("OS-TRUST:trust"):
        return Delegation("trust", given["id"], trustor_id=given["trustor_user"]["id"], trustee_id=given["trustee_user"]["id"])
    if given := facts.get("OS-OAUTH1"): return Delegation("access_token", given["access_token_id"])
    return None


def create_trust(call: Call, trustee_user_id: str, *, impersonation: bool = True, allow_redelegation: bool = False) -> str:
    """The id of a new trust: the caller lets a service user act in the caller's project with all roles of its token.
    Raises Forbidden for a token that was itself handed on (unless its trust may be)."""
    identity = validate(call.token, None)
    reply = send(call, "identity", "POST", "/v3/OS-TRUST/trusts", body={"trust": {
        "trustor_user_id": identity.user_id, "trustee_user_id": trustee_user_id, "project_id": identity.project_id,
        "impersonation": impersonation, "allow_redelegation": allow_redelegation, "roles": [{"name": name} for name in identity.roles]}})
    return str(reply.json()["trust"]["id"])


def delete_trust(call: Call, trust_id: str) -> None:
    """Ends a trust; the caller is its trustor (in person or by a token of the trust) or an administrator. One that is gone is fine."""
    try: send(call, "identity", "DELETE", f"/v3/OS-TRUST/trusts/{trust_id}")
    except NotFound: pass


def log_in_with_trust(user_id: str, password: str, trust_id: str) -> tuple[str, float]:
    """(token, when it expires) of a trustee acting for the trustor. Raises Unauthenticated, Forbidden, Unavailable."""
    proof = {"methods": ["password"], "password": {"user": {"id": user_id, "password": password}}}
    return _issued(proof, {"OS-TRUST:trust": {"id": trust_id}})


def log_in(user_name: str, password: str, project_name: str, domain_id: str = "default") -> tuple[str, float]:
    """(token, when it expires), by password, scoped to a project. Raises Unauthenticated, Unavailable."""
    user = {"name": user_name, "domain": {"id": domain_id}, "password": password}
    return _issued({"methods": ["password"], "password": {"user": user}}, {"project": {"name": project_name, "domain": {"id": domain_id}}})


def _issued(proof: dict[str, Any], scope: dict[str, Any]) -> tuple[str, float]:
    reply = send(Call(), "identity", "POST", "/v3/auth/tokens", query={"nocatalog": "1"}, body={"auth": {
        "identity": proof, "scope": scope}})
    return reply.headers["x-subject-token"], clock.parse(reply.json()["token"]["expires_at"])


def s3_identity(call: Call, access: str, string_to_sign: bytes, signature: str) -> Identity:
    """Who signed an S3 request (version 2 or 4); the caller is a service user. Raises Unauthenticated for an unknown key or a wrong
    signature, Unavailable. It does not look at the request's age: the caller knows its date."""
    given = {"access": access, "token": base64.urlsafe_b64encode(string_to_sign).decode(), "signature": signature}
    try: reply = send(call, "identity", "POST", "/v3/s3tokens", query={"nocatalog": "1"}, body={"credentials": given})
    except NotFound: raise Unauthenticated() from None
    return _identity(reply.json()["token"])


def s3_secret(call: Call, user_id: str, access: str) -> str:
    """The secret of a user's EC2 pair, to check the pieces of a body that is signed piece by piece; the caller is an administrator.
    Raises NotFound."""
    reply = send(call, "identity", "GET", f"/v3/users/{user_id}/credentials/OS-EC2/{access}")
    return str(reply.json()["credential"]["secret"])


class Tokens:
    """A service user's token, renewed before it ends. Callable from any thread."""

    def __init__(self, user_name: str, password: str, project_name: str) -> None:
        self.user_name, self.password, self.project_name = user_name, password, project_name
        self.lock = Lock()
        self.token, self.expires_at = "", 0.0

    def current(self) -> tuple[str, bool]:
        """(token, was it known already?). Raises Unauthenticated, Unavailable."""
        with self.lock:
            if self.expires_at - clock.now() > RENEW_SECONDS: return self.token, True
            self.token, self.expires_at = log_in(self.user_name, self.password, self.project_name)
            return self.token, False

    def forget(self) -> None:
        """The token was refused: the next one is a new one."""
        self.expires_at = 0.0
