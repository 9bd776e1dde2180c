"""What other services and agents call of identity."""
from __future__ import annotations

from threading import Lock

from pilvi.core import clock, trace
from pilvi.core.context import Call, Identity
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
    facts = reply.json()["token"]
    project, domain = facts.get("project") or {}, facts.get("domain") or {}
    return Identity(
        user_id=facts["user"]["id"], user_name=facts["user"]["name"], user_domain_id=facts["user"]["domain"]["id"],
        project_id=project.get("id"), project_name=project.get("name"), project_domain_id=(project.get("domain") or {}).get("id"),
        domain_id=domain.get("id"), system="system" in facts, roles=tuple(role["name"] for role in facts.get("roles", ())),
        audit_id=facts["audit_ids"][0], expires_at=clock.parse(facts["expires_at"]))


def log_in(user_name: str, password: str, project_name: str, domain_id: str = "default") -> tuple[str, float]:
    """(token, when it expires), by password, scoped to a project. Raises Unauthenticated, Unavailable."""
    reply = send(Call(), "identity", "POST", "/v3/auth/tokens", query={"nocatalog": "1"}, body={"auth": {
        "identity": {"methods": ["password"], "password": {"user": {"name": user_name, "domain": {"id": domain_id}, "password": password}}},
        "scope": {"project": {"name": project_name, "domain": {"id": domain_id}}}}})
    return reply.headers["x-subject-token"], clock.parse(reply.json()["token"]["expires_at"])


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
