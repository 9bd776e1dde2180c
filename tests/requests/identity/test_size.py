"""A large identity costs no more per question: no statement behind these requests reads a whole table that grows with users or projects."""
from __future__ import annotations

from typing import Any

from sqlalchemy import event
from tests.requests.identity.cloud import Client

GROWING = ("users", "projects", "groups", "assignments", "memberships", "credentials", "trusts", "application_credentials", "revocations",
           "audit")
QUESTIONS = (
    "/v3/auth/tokens", "/v3/users?name=demo", "/v3/users?domain_id=x", "/v3/users/user-demo", "/v3/users/user-demo/projects",
    "/v3/users/user-demo/groups", "/v3/projects?name=home", "/v3/projects?domain_id=x", "/v3/projects?parent_id=home",
    "/v3/projects/home?subtree_as_list", "/v3/projects/home?parents_as_ids", "/v3/projects/home/users/user-demo/roles",
    "/v3/role_assignments?user.id=user-demo", "/v3/role_assignments?user.id=user-demo&effective",
    "/v3/role_assignments?scope.project.id=home&effective&include_names", "/v3/auth/projects", "/v3/auth/domains",
    "/v3/users/user-demo/application_credentials", "/v3/credentials?user_id=user-demo", "/v3/OS-TRUST/trusts?trustor_user_id=user-demo",
    "/v3/groups?name=x", "/v3/pilvi-audit?after=1")


def test_no_question_reads_a_growing_table_from_end_to_end(admin: Client, nobody: Client) -> None:
    asked: list[tuple[str, Any]] = []
    engine = admin.application.database.engine

    @event.listens_for(engine, "before_cursor_execute")
    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if not many and statement.startswith(("SELECT", "WITH", "UPDATE", "DELETE")): asked.append((statement, parameters))

    for path in QUESTIONS: assert admin.ask("GET", path, x_subject_token=admin.token).status == 200, path
    assert nobody.sign_in("demo").status == 201
    for method in ("PUT", "HEAD", "DELETE"):
        assert admin.ask(method, "/v3/projects/home/users/user-watcher/roles/role-member").status == 204
    for path in ("/v3/users/user-watcher", "/v3/projects/" + admin.make("project", name="gone")["id"]):
        assert admin.ask("DELETE", path).status == 204
    event.remove(engine, "before_cursor_execute", note)
    assert len(asked) > 60
    scans = [(step, statement) for statement, parameters in asked for step in plan(engine, statement, parameters)
             if step.startswith("SCAN identity_") and step.split()[1].removeprefix("identity_") in GROWING]
    assert not scans


def plan(engine: Any, statement: str, parameters: Any) -> list[str]:
    """How SQLite runs a statement."""
    with engine.connect() as connection: rows = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters).all()
    return [row[3] for row in rows]
