"""What identity costs, in process and in CPU time: `python -m benchmarks.identity`.

Tokens issued with and without a password, validated, refused; a policy check; and lists and checks among 10,000 users, 1,000 projects and
50,000 assignments beside a small cloud's.
"""
from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from rich.console import Console
from rich.table import Table
from sqlalchemy import insert

from pilvi.core import clock
from pilvi.core.crypto import hash_password
from pilvi.core.db.migrate import migrate
from pilvi.core.db.session import Database
from pilvi.core.http.app import Application, Request
from pilvi.identity.config import Config
from pilvi.identity.resources.assignment import Assignment
from pilvi.identity.resources.domain import Domain
from pilvi.identity.resources.project import Project
from pilvi.identity.resources.role import ImpliedRole, Role
from pilvi.identity.resources.user import User
from pilvi.identity.service import SERVICE
from pilvi.identity.token.formats import Payload, new_audit_id, seal, unseal

SIZES = {"small": (10, 5, 20), "large": (10_000, 1_000, 50_000)}
"""{cloud: (users, projects, assignments)}"""


def main() -> None:
    table = Table("what", *SIZES, title="CPU microseconds each (wall)")
    columns = [measured(*size) for size in SIZES.values()]
    for name in columns[0]: table.add_row(name, *(column[name] for column in columns))
    Console().print(table)


def measured(users: int, projects: int, assignments: int) -> dict[str, str]:
    """{what: its cost}"""
    with tempfile.TemporaryDirectory() as folder:
        app = filled(Path(folder), users, projects, assignments)
        login = {"methods": ["password"], "password": {"user": {"id": "u0", "password": "secret"}}}
        scope = {"project": {"id": "p0"}}

        def issue(identity: Any) -> str:
            reply = ask(app, "POST", "/v3/auth/tokens", {"auth": {"identity": identity, "scope": scope}}, query="nocatalog")
            return str(reply.headers["X-Subject-Token"])

        token = issue(login)
        keys, identity = app.state["keyring"].current(), app.authenticator.identify(token, "http")
        credentials = identity.credentials()
        figures = {
            "a login by password (bcrypt, cost 12)": cost(lambda: issue(login), 5),
            "of this, bcrypt": cost(lambda: hash_password("secret", 12), 5),
            "a token from a token": cost(lambda: issue({"methods": ["token"], "token": {"id": token}}), 200),
            "a token opened (Fernet)": cost(lambda: unseal(keys, token, Payload), 2000),
            "a token that a service knows": cost(lambda: app.authenticator.identify(token, "http"), 5000),
            "GET /v3/auth/tokens, the same again": cost(lambda: ask(
                app, "GET", "/v3/auth/tokens", token=token, subject=token, query="nocatalog"), 500),
            "GET /v3/auth/tokens, for the first time": cost(first_looks(app, min(users, projects)), 500),
            "a policy check (list_users)": cost(lambda: app.policy.allows("identity:list_users", credentials, credentials), 20_000),
            "a page of 100 users": cost(lambda: ask(app, "GET", "/v3/users", token=token, query="limit=100"), 20),
            "the roles of a user, effective": cost(lambda: ask(
                app, "GET", "/v3/role_assignments", token=token, query="user.id=u1&effective"), 20),
            "a user's projects": cost(lambda: ask(app, "GET", "/v3/users/u1/projects", token=token), 20)}
        app.close()
        app.database.close()
    return figures


def first_looks(app: Application, people: int) -> Callable[[], Any]:
    """Looks at a token that was not looked at before, each of another user."""
    keys, now = app.state["keyring"].current(), clock.now()
    tokens = iter([seal(keys, Payload(f"u{n % people}", ["password"], "project", f"p{n % people}", now, now + 3600, [new_audit_id()]))
                   for n in range(501)])

    def look() -> Any:
        token = next(tokens)
        return ask(app, "GET", "/v3/auth/tokens", token=token, subject=token, query="nocatalog")
    return look


def filled(folder: Path, users: int, projects: int, assignments: int) -> Application:
    """An identity with people; u0 is an administrator of p0."""
    database = Database(f"sqlite:///{folder}/identity.sqlite")
    migrate(database, "identity", [*(each.table.__table__ for each in SERVICE.resources), *(table.__table__ for table in SERVICE.tables)])
    app = Application(SERVICE, database=database, config=Config())
    app.state["master_key"] = Fernet.generate_key().decode()
    assert SERVICE.start is not None
    SERVICE.start(app)
    hashed = hash_password("secret", 12)
    people = [{"id": f"u{n}", "name": f"user-{n}", "domain_id": "default", "password": hashed if n == 0 else None} for n in range(users)]
    places = [{"id": f"p{n}", "name": f"project-{n}", "domain_id": "default", "parent_id": "default"} for n in range(projects)]
    given = [{"actor_id": f"u{n % users}", "target_kind": "project", "target_id": f"p{(n // users + n) % projects}", "role_id": "member",
              "inherited": False} for n in range(assignments)]
    with database.write() as db:
        db.add_all([Domain(id="default", name="Default"), Role(id="admin", name="admin"), Role(id="member", name="member"),
                    ImpliedRole(prior_id="admin", implied_id="member")])
        db.flush()
        for table, rows in ((User, people), (Project, places), (Assignment, given)): db.execute(insert(table), rows)
        db.add(Assignment(actor_id="u0", target_kind="project", target_id="p0", role_id="admin"))
    return app


def ask(app: Application, method: str, path: str, body: Any = None, *, token: str = "", subject: str = "", query: str = "") -> Any:
    """The response of a request that must succeed."""
    headers = {name: value for name, value in (("x-auth-token", token), ("x-subject-token", subject)) if value}
    reply = app.handle(Request(method, path, query, headers, b"" if body is None else json.dumps(body).encode(), "http://cloud"))
    assert reply.status < 300, (path, reply.status, reply.body)
    reply.payload()
    return reply


def cost(act: Callable[[], Any], times: int) -> str:
    """What an act costs on average, after one that warms up."""
    act()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times): act()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return f"{cpu / times * 1e6:,.1f} ({wall / times * 1e6:,.1f})"


if __name__ == "__main__": main()
