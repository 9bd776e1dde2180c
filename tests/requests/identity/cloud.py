"""An identity in process, filled as a new cloud's is, and clients who have signed in."""
from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from pilvi.core.crypto import hash_password
from pilvi.core.db.migrate import migrate
from pilvi.core.db.session import Database
from pilvi.core.http.app import Application, Request, Response
from pilvi.identity.config import Config
from pilvi.identity.resources.assignment import SYSTEM, Assignment
from pilvi.identity.resources.domain import Domain
from pilvi.identity.resources.project import Project
from pilvi.identity.resources.role import ImpliedRole, Role
from pilvi.identity.resources.user import User
from pilvi.identity.service import SERVICE

ROLES = ("admin", "manager", "member", "reader", "service")
USERS = {"admin": "admin", "demo": "member", "watcher": "reader", "agent": "service"}
"""{user: its role on the project `home`}; passwords are the names with a mark behind."""


def new_identity(folder: Path) -> Application:
    """A service over SQLite with one domain, one project, the roles and the users above; admin is the system's, too."""
    database = Database(f"sqlite:///{folder}/identity.sqlite")
    migrate(database, "identity", [*(each.table.__table__ for each in SERVICE.resources), *(table.__table__ for table in SERVICE.tables)])
    application = Application(SERVICE, database=database, config=Config(password_rounds=4), identity_url="http://cloud/identity")
    application.state["master_key"] = Fernet.generate_key().decode()
    assert SERVICE.start is not None
    SERVICE.start(application)
    with database.write() as db:
        db.add_all([Domain(id="default", name="Default"), Project(id="home", name="home", domain_id="default", parent_id="default")])
        db.add_all([Role(id=f"role-{name}", name=name) for name in ROLES])
        db.add_all(ImpliedRole(prior_id=f"role-{prior}", implied_id=f"role-{implied}")
                   for prior, implied in (("admin", "manager"), ("manager", "member"), ("member", "reader")))
        for name, role in USERS.items():
            db.add(User(id=f"user-{name}", name=name, domain_id="default", password=hash_password(f"{name}!", 4)))
            db.add(Assignment(actor_id=f"user-{name}", target_kind="project", target_id="home", role_id=f"role-{role}"))
        db.add(Assignment(actor_id="user-admin", target_kind="system", target_id=SYSTEM, role_id="role-admin"))
    return application


@dataclass
class Client:
    """Somebody with a token, or nobody."""
    application: Application
    token: str = ""

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Response:
        """The response, its body as JSON. Header names are written with underscores."""
        path, _, query = path.partition("?")
        sent = {name.replace("_", "-"): value for name, value in headers.items()} | ({"x-auth-token": self.token} if self.token else {})
        reply = self.application.handle(Request(method, path, query, sent, b"" if body is None else json.dumps(body).encode(),
                                                base="http://cloud/identity"))
        reply.body = json.loads(reply.payload() or b"null")
        return reply

    def get(self, path: str) -> Any:
        """The body of a GET that must succeed."""
        reply = self.ask("GET", path)
        assert reply.status == 200, reply.body
        return reply.body

    def make(self, kind: str, **values: Any) -> dict[str, Any]:
        """A new thing."""
        reply = self.ask("POST", f"/v3/{kind}s", {kind: values})
        assert reply.status == 201, reply.body
        made: dict[str, Any] = reply.body[kind]
        return made

    def sign_in(self, user: str, password: str | None = None, scope: Any = "home") -> Response:
        """The answer to a password; `scope` is the project `home` or what the API takes (None: not said)."""
        who = {"name": user, "domain": {"id": "default"}, "password": f"{user}!" if password is None else password}
        return self.authenticate({"methods": ["password"], "password": {"user": who}}, scope)

    def rescope(self, token: str, scope: Any = None) -> Response:
        """The answer to a token."""
        return self.authenticate({"methods": ["token"], "token": {"id": token}}, scope)

    def authenticate(self, identity: Any, scope: Any = None) -> Response:
        """The answer to POST /v3/auth/tokens."""
        wish = {"project": {"id": "home"}} if scope == "home" else scope
        return self.ask("POST", "/v3/auth/tokens", {"auth": {"identity": identity} | ({} if wish is None else {"scope": wish})})

    def validated(self, token: str) -> Response:
        """What this client learns about a token."""
        return self.ask("GET", "/v3/auth/tokens", x_subject_token=token)

    def alive(self, token: str) -> bool:
        """Does identity accept the token as a caller's?"""
        return Client(self.application, token).ask("GET", "/v3/auth/projects").status == 200
