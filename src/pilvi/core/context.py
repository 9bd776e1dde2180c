"""Who calls, and what travels with a call: identity, request id, microversion, transaction, trace."""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pilvi.core.crypto import new_id
from pilvi.core.trace import Trace

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from pilvi.core.http.app import Application, Request

REQUEST_ID = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(slots=True, frozen=True)
class Delegation:
    """What a token was made from that acts in place of its user: kind is trust, application_credential or access_token (OAuth)."""
    kind: str
    id: str
    restricted: bool = True
    """May it not make or remove other delegations?"""
    access_rules: tuple[dict[str, str], ...] | None = None
    """The only requests that it is good for, each {service, method, path}; None: all."""
    trustor_id: str | None = None
    trustee_id: str | None = None


@dataclass(slots=True, frozen=True)
class Identity:
    """Who a token speaks for, as identity said. Exactly one of project_id, domain_id, system is set, or none (unscoped)."""
    user_id: str
    user_name: str = ""
    user_domain_id: str = "default"
    project_id: str | None = None
    project_name: str | None = None
    project_domain_id: str | None = None
    domain_id: str | None = None
    system: bool = False
    roles: tuple[str, ...] = ()
    audit_id: str = ""
    expires_at: float = 0.0
    is_admin_project: bool = True
    delegation: Delegation | None = None

    def credentials(self) -> dict[str, Any]:
        """The facts that policy rules speak about (oslo.policy's names)."""
        return {
            "user_id": self.user_id, "user_domain_id": self.user_domain_id, "project_id": self.project_id, "tenant_id": self.project_id,
            "project_domain_id": self.project_domain_id, "domain_id": self.domain_id, "roles": list(self.roles),
            "system_scope": "all" if self.system else None, "is_admin_project": self.is_admin_project,
        }


ANONYMOUS = Identity(user_id="")


@dataclass(slots=True)
class Call:
    """One request on its way through a service, or an agent's errand (then without application and request)."""
    identity: Identity = ANONYMOUS
    token: str = ""
    request_id: str = field(default_factory=lambda: "req-" + new_id())
    global_request_id: str = ""
    application: Application | None = None
    request: Request | None = None
    version: tuple[int, int] = (0, 0)
    body: Any = None
    db: Session | None = None
    trace: Trace | None = None
    grant_text: str = ""
    grant: dict[str, list[str]] = field(default_factory=dict)
    """{kind: ids} that the agent may touch, from a verified grant; empty for everybody else."""
    headers: dict[str, str] = field(default_factory=dict)
    """Reply headers that a handler adds."""

    @property
    def project_id(self) -> str:
        return self.identity.project_id or ""

    @property
    def user_id(self) -> str:
        return self.identity.user_id

    @property
    def is_admin(self) -> bool:
        """Has the admin role (what upstream's context_is_admin means)."""
        return "admin" in self.identity.roles

    def granted(self, kind: str, id: str) -> bool:
        """May the agent behind this call touch that thing?"""
        return id in self.grant.get(kind, ())

    def allowed(self, action: str, target: dict[str, Any] | None = None) -> bool:
        """Does policy let the caller do it?"""
        assert self.application is not None
        credentials = self.identity.credentials()
        return self.application.policy.allows(action, credentials, credentials if target is None else target)

    def url(self, path: str) -> str:
        """The absolute address of a path of this service, on the address the client used."""
        assert self.request is not None
        return self.request.base + path
