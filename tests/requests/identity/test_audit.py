"""The audit log: who did what, written with the change itself."""
from __future__ import annotations

import json
from typing import Any

from msgspec.structs import replace
from sqlalchemy import update
from tests.requests.identity.cloud import Client

from pilvi.identity import audit
from pilvi.identity.resources import audit_record
from pilvi.identity.resources.audit_record import END_ROW, AuditHead, AuditRecord


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


def test_what_is_old_is_forgotten_and_the_rest_still_holds(admin: Client) -> None:
    app = admin.application
    for number in range(5): admin.make("project", name=f"p{number}")
    before = admin.get("/v3/pilvi-audit")["records"]
    app.config = replace(app.config, audit_days=1)
    audit_record.forget(app)
    assert admin.get("/v3/pilvi-audit")["records"] == before, "nothing is a day old"
    with app.database.write() as db:  # the first four were written long ago, and hashed then
        previous = audit.ORIGIN
        for row in db.query(AuditRecord).order_by(AuditRecord.seq):
            if row.seq <= 4: row.record = json.dumps(json.loads(row.record) | {"eventTime": "2020-01-01T00:00:00.000000Z"})
            row.previous, row.hash = previous, audit.link(previous, row.seq, row.record)
            previous = row.hash
        db.merge(AuditHead(id=END_ROW, seq=before[-1]["seq"], hash=previous))
    audit_record.forget(app)
    told = admin.get("/v3/pilvi-audit")
    assert told["start"]["seq"] == 4 and told["records"][0]["seq"] == 5
    assert audit.check(told["records"], told["start"]["hash"]) is None
    last = json.loads(told["records"][-1]["record"])
    assert (last["action"], last["target"]["id"]) == ("deleted.audit_records", "1-4")
    assert told["head"] == {"seq": told["records"][-1]["seq"], "hash": told["records"][-1]["hash"]}
    app.config = replace(app.config, audit_days=0)
    audit_record.forget(app)
    assert admin.get("/v3/pilvi-audit") == told
