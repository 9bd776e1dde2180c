"""Audit: who did what to whom in identity, as CADF events in a tamper-evident log, each written in the transaction of its change.

Source: DMTF DSP0262 (CADF), Keystone's audit notifications (action names). What a change was is told by the names of the attributes, never
by their values.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Integer, bindparam, delete, event, insert, inspect, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.crypto import new_id
from pilvi.core.errors import Invalid
from pilvi.core.events import CALLER
from pilvi.core.http.app import Application
from pilvi.core.http.routes import Route
from pilvi.core.wire import Base
from pilvi.identity import audit

LIMIT = 1000
DAY = 86_400.0
KINDS = {
    "identity_users": "user", "identity_groups": "group", "identity_projects": "project", "identity_domains": "domain",
    "identity_roles": "role", "identity_assignments": "role_assignment", "identity_memberships": "membership",
    "identity_implied_roles": "implied_role", "identity_trusts": "trust", "identity_application_credentials": "application_credential",
    "identity_access_rules": "access_rule", "identity_credentials": "credential", "identity_consumers": "consumer",
    "identity_access_tokens": "access_token", "identity_providers": "identity_provider", "identity_protocols": "protocol",
    "identity_mappings": "mapping", "identity_service_providers": "service_provider", "identity_regions": "region",
    "identity_services": "service", "identity_endpoints": "endpoint", "identity_limits": "limit",
    "identity_registered_limits": "registered_limit", "identity_domain_configs": "domain_config", "identity_policies": "policy",
    "identity_revocations": "revocation", "identity_token_keys": "token_key"}
"""What is told of, by table."""
UNTOLD = {"failed_attempts", "failed_at", "last_active_at", "seen_at"}
"""Attributes that change with every login, which is told of itself."""


END_ROW, START_ROW = 1, 2
BATCH = 1000


class AuditRecord(Base):
    __tablename__ = "identity_audit"
    seq: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False)
    record: Mapped[str]
    previous: Mapped[str]
    hash: Mapped[str]


class AuditHead(Base):
    """The ends of the chain. END_ROW: its end; whoever adds to it holds this row. START_ROW: the last record that was forgotten, so that
    the first that is kept can still be checked; absent while all are kept."""
    __tablename__ = "identity_audit_head"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"))
    hash: Mapped[str]


_HEAD = AuditHead.__table__
END = select(_HEAD.c.seq, _HEAD.c.hash).where(_HEAD.c.id == END_ROW).with_for_update()
MOVE = update(AuditHead).where(_HEAD.c.id == END_ROW).values(seq=bindparam("to"), hash=bindparam("last"))
ADD = insert(AuditRecord)


def prepare(db: Session) -> None:
    """Makes the beginning of the chain, and listens to changes of identity's tables. Repeatable."""
    if db.get(AuditHead, END_ROW) is None: db.add(AuditHead(id=END_ROW, seq=0, hash=audit.ORIGIN))
    if not event.contains(Session, "after_flush", _notice):
        event.listen(Session, "after_flush", _notice)
        event.listen(Session, "before_commit", _write)


def _notice(db: Session, context: Any) -> None:
    """Remembers, until the commit, what this flush does."""
    noted: list[dict[str, Any]] = []
    for verb, rows in (("created", db.new), ("updated", db.dirty), ("deleted", db.deleted)):
        for row in rows:
            kind = KINDS.get(getattr(row, "__tablename__", ""))
            if kind is None: continue
            changed = [] if verb != "updated" else list(_changed(row))
            if verb != "updated" or changed: noted.append(_event(f"{verb}.{kind}", kind, _id(row), changed=changed))
    if noted: db.info.setdefault("audit", []).extend(noted)


def _changed(row: Any) -> Iterator[str]:
    state = inspect(row)
    for attribute in state.mapper.column_attrs:
        if attribute.key not in UNTOLD and state.attrs[attribute.key].history.has_changes(): yield attribute.key


def _id(row: Any) -> str:
    return "/".join(str(getattr(row, column.key)) for column in row.__table__.primary_key.columns)


def _event(action: str, kind: str, target: str, *, outcome: str = "success", changed: list[str] | None = None,
           initiator: str | None = None, reason: str = "") -> dict[str, Any]:
    """A CADF event of the request that this thread answers."""
    call = CALLER.get()
    who: dict[str, Any] = {"id": initiator or (call.user_id if call else "") or "unknown", "typeURI": "service/security/account/user"}
    if call is not None:
        if call.identity.project_id: who["project_id"] = call.identity.project_id
        if given := call.identity.delegation: who["credential"] = {"type": given.kind, "id": given.id}
        who["request_id"] = call.request_id
        if call.request and call.request.client: who["host"] = {"address": call.request.client}
    made: dict[str, Any] = {
        "typeURI": "http://schemas.dmtf.org/cloud/audit/1.0/event", "eventType": "activity", "id": new_id(), "action": action,
        "eventTime": clock.iso(clock.now(), fraction=True), "outcome": outcome, "initiator": who,
        "target": {"id": target, "typeURI": f"data/security/{kind}"}, "observer": {"id": "identity", "typeURI": "service/security"}}
    if changed: made["attachments"] = [{"name": "changed", "typeURI": "text/plain", "content": ",".join(changed)}]
    if reason: made["reason"] = {"reasonType": "HTTP", "reasonCode": reason}
    return made


def _write(db: Session) -> None:
    """Puts what was noted at the end of the chain, in the same transaction."""
    noted = db.info.pop("audit", None)
    if not noted: return
    head = db.execute(END).first()
    if head is None: return
    seq, last, rows = head.seq, head.hash, []
    for each in noted:
        text = msgspec.json.encode(each).decode()
        seq, previous = seq + 1, last
        last = audit.link(previous, seq, text)
        rows.append({"seq": seq, "record": text, "previous": previous, "hash": last})
    connection = db.connection()
    connection.execute(ADD, rows)
    connection.execute(MOVE, {"to": seq, "last": last})


def note_login(db: Session, user_id: str, outcome: str, methods: list[str], *, reason: str = "") -> None:
    """An attempt to sign in. In the caller's transaction."""
    made = _event("authenticate", "user", user_id or "unknown", outcome=outcome, initiator=user_id or None, reason=reason)
    made["attachments"] = [{"name": "methods", "typeURI": "text/plain", "content": ",".join(methods)}]
    db.info.setdefault("audit", []).append(made)


def list_records(call: Call) -> dict[str, Any]:
    """GET /v3/pilvi-audit?after=SEQ: the log, oldest first, a thousand at a time, with the ends of the chain: the record before the oldest
    that is kept (null: there was none) and the last one."""
    assert call.db is not None and call.request is not None
    try: after = int(call.request.one("after") or 0)
    except ValueError: raise Invalid("`after` is a record's number.") from None
    rows = call.db.scalars(select(AuditRecord).where(AuditRecord.seq > after).order_by(AuditRecord.seq).limit(LIMIT))
    head = call.db.get(AuditHead, END_ROW)
    return {"records": [{"seq": row.seq, "record": row.record, "previous": row.previous, "hash": row.hash} for row in rows],
            "start": _place(call.db.get(AuditHead, START_ROW)), "head": _place(head)}


def _place(row: AuditHead | None) -> dict[str, Any] | None:
    return {"seq": row.seq, "hash": row.hash} if row else None


def forget(app: Application) -> None:
    """Forgets what is older than the configured days, from the front and piece by piece; the chain tells of it itself."""
    if not app.config.audit_days: return
    before = clock.iso(clock.now() - app.config.audit_days * DAY, fraction=True)
    while _forget_some(app, before): pass


def _forget_some(app: Application, before: str) -> bool:
    """True: there may be more."""
    with app.database.write() as db:
        db.execute(END)  # as those that add: one after the other
        rows = list(db.scalars(select(AuditRecord).order_by(AuditRecord.seq).limit(BATCH)))
        old = [row for row in rows if msgspec.json.decode(row.record)["eventTime"] < before]
        if not old: return False
        db.execute(delete(AuditRecord).where(AuditRecord.seq <= old[-1].seq))
        db.merge(AuditHead(id=START_ROW, seq=old[-1].seq, hash=old[-1].hash))
        made = _event("deleted.audit_records", "audit_records", f"{old[0].seq}-{old[-1].seq}", initiator="identity")
        db.info.setdefault("audit", []).append(made)
    return len(old) == BATCH


ROUTES = [Route("/v3/pilvi-audit", "GET", list_records, "identity:list_audit_records", transaction="read")]
