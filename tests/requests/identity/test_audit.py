"""The audit log: who did what, written with the change itself."""
from __future__ import annotations

import json
from typing import Any

from sqlalchemy import update
from tests.requests.identity.cloud import Client

from pilvi.identity import audit
from pilvi.identity.resources.audit_record import AuditRecord


def log(admin: Client) -> list[dict[str, Any]]:
    rows = admin.get("/v3/pilvi-audit")["records"]
    assert audit.check(rows, audit.ORIGIN) is None
    return [json.loads(row["record"]) for row in rows]


def test_logins_are_told_good_and_bad(admin: Client, nobody: Client) -> None:
    nobody.sign_in("demo", "a secret guess")
    nobody.sign_in("nobody-here", "x")
    nobody.sign_in("demo")
    told = [each for each in log(admin) if each["action"] == "authenticate"]
    assert [(each["outcome"], each["initiator"]["id"]) for each in told[-3:]] == [
        ("failure", "demo"), ("failure", "nobody-here"), ("success", "user-demo")]
    assert told[-3]["reason"] == {"reasonType": "HTTP", "reasonCode": "401"} and "guess" not in json.dumps(told)
    assert told[-1]["typeURI"].startswith("http://schemas.dmtf.org/cloud/audit/") and told[-1]["target"]["typeURI"] == "data/security/user"


def test_changes_are_told_without_their_values(admin: Client) -> None:
    made = admin.make("user", name="new", password="hush hush")
    admin.ask("PATCH", f"/v3/users/{made['id']}", {"user": {"email": "a@b", "password": "more hush"}})
    admin.ask("PUT", f"/v3/projects/home/users/{made['id']}/roles/role-reader")
    admin.ask("DELETE", f"/v3/projects/home/users/{made['id']}/roles/role-reader")
    admin.ask("DELETE", f"/v3/users/{made['id']}")
    told = log(admin)
    mine = [(each["action"], each["initiator"]["id"]) for each in told if made["id"] in each["target"]["id"]]
    assert mine == [(action, "user-admin") for action in (
        "created.user", "updated.user", "created.role_assignment", "deleted.role_assignment", "deleted.user")]
    assert "hush" not in json.dumps(told) and "a@b" not in json.dumps(told)
    changed = next(each for each in told if each["action"] == "updated.user")["attachments"][0]["content"].split(",")
    assert {"email", "password"} <= set(changed)


def test_what_is_refused_leaves_no_change(admin: Client, demo: Client) -> None:
    before = len(log(admin))
    assert demo.ask("POST", "/v3/users", {"user": {"name": "x"}}).status == 403
    assert admin.ask("POST", "/v3/users", {"user": {"name": "demo"}}).status == 409
    assert len(log(admin)) == before


def test_who_may_read_it_and_from_where(admin: Client, demo: Client) -> None:
    assert demo.ask("GET", "/v3/pilvi-audit").status == 403
    first = admin.get("/v3/pilvi-audit")["records"][0]
    later = admin.get(f"/v3/pilvi-audit?after={first['seq']}")["records"]
    assert later[0]["previous"] == first["hash"] and admin.ask("GET", "/v3/pilvi-audit?after=x").status == 400


def test_a_hand_in_the_database_is_seen(admin: Client) -> None:
    admin.make("project", name="p")
    with admin.application.database.write() as db:
        db.execute(update(AuditRecord).where(AuditRecord.seq == 2).values(record=AuditRecord.record + " "))
    assert audit.check(admin.get("/v3/pilvi-audit")["records"]) == (2, "it was changed")
