"""Trust: one user lets another act in a project with some of the roles, as itself or under the first one's name.

Source: Identity API v3, "Trusts" (OS-TRUST). A trust may be handed on as often as its `redelegation_count` says, used as often as its
`remaining_uses`, until it expires. It is good while all above it are, their users are enabled, and the first trustor still has the roles.
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.crypto import new_hex_id
from pilvi.core.db.types import Json
from pilvi.core.http import auth
from pilvi.core.http.routes import Route
from pilvi.core.wire import Base
from pilvi.identity import errors
from pilvi.identity.resources.delegation import ROLES, forbid_delegated, named_roles, roles_shown
from pilvi.identity.resources.effective_role import effective_roles
from pilvi.identity.resources.policies import permit
from pilvi.identity.resources.relative import find, links

MOST_HANDED_ON = 3
"""Keystone's max_redelegation_count."""


class Trust(Base):
    __tablename__ = "identity_trusts"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_hex_id)
    trustor_user_id: Mapped[str] = mapped_column(index=True)
    trustee_user_id: Mapped[str] = mapped_column(index=True)
    project_id: Mapped[str | None]
    impersonation: Mapped[bool]
    role_ids: Mapped[list[str]] = mapped_column(Json)
    expires_at: Mapped[float | None]
    remaining_uses: Mapped[int | None]
    redelegated_trust_id: Mapped[str | None] = mapped_column(index=True)
    redelegation_count: Mapped[int]
    deleted_at: Mapped[float | None]


def alive(db: Session, id: str, *, spent: bool = False) -> Trust | None:
    """The trust, if it was not ended and has not expired or (unless `spent`) been used up."""
    trust = db.get(Trust, id)
    if trust is None or trust.deleted_at is not None or (trust.expires_at or clock.now() + 1) <= clock.now(): return None
    return None if trust.remaining_uses == 0 and not spent else trust


def chain(db: Session, trust: Trust) -> list[Trust] | None:
    """The trust and those it was made from, up to the first; None if one of them is no longer good."""
    found, known = [trust], {trust.id}
    while above := found[-1].redelegated_trust_id:
        parent = alive(db, above)
        if parent is None or parent.id in known: return None
        found.append(parent)
        known.add(parent.id)
    return found


def use(db: Session, id: str) -> None:
    """Counts one use of a trust that is limited. Raises TrustUsedUp."""
    if db.scalar(select(Trust.remaining_uses).where(Trust.id == id)) is None: return
    used = update(Trust).where(Trust.id == id, Trust.remaining_uses > 0).values(remaining_uses=Trust.remaining_uses - 1)
    if not db.execute(used).rowcount: raise errors.TrustUsedUp(id=id)  # type: ignore[attr-defined]


def forget_users(db: Session, *user_ids: str) -> None:
    """Users are gone, and what they gave and were given. In the caller's transaction."""
    db.execute(update(Trust).where(or_(Trust.trustor_user_id.in_(user_ids), Trust.trustee_user_id.in_(user_ids)))
               .values(deleted_at=clock.now()))


def _body(call: Call, trust: Trust, *, brief: bool = False) -> dict[str, Any]:
    moment = {name: None if at is None else clock.iso(at, fraction=True)
              for name, at in (("expires_at", trust.expires_at), ("deleted_at", trust.deleted_at))}
    here = call.url(f"/v3/OS-TRUST/trusts/{trust.id}")
    body = {name: getattr(trust, name) for name in (
        "id", "trustor_user_id", "trustee_user_id", "project_id", "impersonation", "remaining_uses", "redelegated_trust_id",
        "redelegation_count")} | moment | {"links": {"self": here}}
    if brief: return body
    return body | {"roles": roles_shown(call, trust.role_ids), "roles_links": {"self": here + "/roles", "next": None, "previous": None}}


def create(call: Call) -> dict[str, Any]:
    """POST /v3/OS-TRUST/trusts: only the trustor, or somebody with a trust of the trustor's that may be handed on."""
    assert call.db is not None
    asked = call.body["trust"]
    permit(call, "create_trust", {"trust": asked})
    _forbid_credentials(call)
    if asked.get("project_id") and not asked.get("roles"): raise errors.TrustRefused(reason="At least one role should be specified")
    if asked["trustor_user_id"] != call.user_id: raise errors.TrustRefused(reason="The authenticated user should match the trustor")
    find(call, "user", asked["trustee_user_id"])
    expires_at = _expiry(asked.get("expires_at"))
    trust = Trust(id=new_hex_id(), trustor_user_id=call.user_id, trustee_user_id=asked["trustee_user_id"],
                  project_id=asked.get("project_id"), impersonation=asked["impersonation"], expires_at=expires_at,
                  role_ids=named_roles(call, asked.get("roles") or []), remaining_uses=asked.get("remaining_uses"))
    above = _above(call)
    _count(trust, above[0] if above else None, asked)
    for parent in above: _check_within(parent, trust)
    if above: trust.redelegated_trust_id = above[0].id
    _check_roles(call, trust, above[-1] if above else trust)
    call.db.add(trust)
    call.db.flush()
    return {"trust": _body(call, trust)}


def _forbid_credentials(call: Call) -> None:
    given = call.identity.delegation
    if given and given.kind != "trust": forbid_delegated(call, "manage trusts")


def _above(call: Call) -> list[Trust]:
    """The trusts that the caller's token stands on, the nearest first."""
    assert call.db is not None
    given = call.identity.delegation
    if given is None: return []
    trust = alive(call.db, given.id)
    found = chain(call.db, trust) if trust else None
    if found is None: raise errors.TrustNotFound(id=given.id)
    return found


def _count(trust: Trust, parent: Trust | None, asked: dict[str, Any]) -> None:
    """Fills in how often the new trust may be handed on. Raises TrustInvalid, TrustRefused."""
    count = asked.get("redelegation_count")
    if not asked.get("allow_redelegation") or count == 0:
        if trust.remaining_uses is not None and trust.remaining_uses <= 0:
            raise errors.TrustInvalid(reason="remaining_uses must be a positive integer or null.")
        trust.redelegation_count = 0
        return
    if count and count > MOST_HANDED_ON:
        raise errors.TrustRefused(reason=f"Requested redelegation depth of {count} is greater than allowed {MOST_HANDED_ON}")
    if trust.remaining_uses is not None:
        raise errors.TrustInvalid(reason="remaining_uses must not be set if redelegation is allowed")
    left = parent.redelegation_count - 1 if parent else MOST_HANDED_ON
    if parent and count and count != left:
        raise errors.TrustRefused(reason="Modifying 'redelegation_count' upon redelegation is forbidden. Omitting it is advised.")
    trust.redelegation_count = count if count is not None else left


def _check_within(parent: Trust, trust: Trust) -> None:
    """What is handed on is no more than what was given. Raises TrustRefused."""
    if parent.redelegation_count <= 0:
        raise errors.TrustRefused(reason=f"Remaining redelegation depth of 0 out of allowed range of [0..{MOST_HANDED_ON}]")
    if trust.remaining_uses is not None:
        raise errors.TrustRefused(reason="Field \"remaining_uses\" is set while it must not be set in order to redelegate a trust")
    if trust.expires_at is None: trust.expires_at = parent.expires_at
    elif parent.expires_at is not None and parent.expires_at < trust.expires_at:
        raise errors.TrustRefused(reason="Requested expiration time is more than redelegated trust can provide")
    if not set(trust.role_ids) <= set(parent.role_ids):
        raise errors.TrustRefused(reason="Some of requested roles are not in redelegated trust")
    if parent.project_id != trust.project_id: raise errors.TrustRefused(reason="A redelegated trust is for the same project")
    if trust.impersonation and not parent.impersonation:
        raise errors.TrustRefused(reason="Impersonation is not allowed because redelegated trust does not specify impersonation. "
                                         f"Redelegated trust id: {parent.id}")


def _check_roles(call: Call, trust: Trust, first: Trust) -> None:
    """The first trustor has what is handed on. Raises ProjectNotFound, RoleNotFound."""
    assert call.db is not None
    if not trust.project_id: return
    find(call, "project", trust.project_id)
    held = effective_roles(call.db, first.trustor_user_id, "project", trust.project_id)
    for role_id in trust.role_ids:
        if role_id not in held: raise errors.RoleNotFound(id=role_id)


def _expiry(text: str | None) -> float | None:
    if text is None: return None
    try: moment = clock.parse(text)
    except ValueError: raise errors.TrustInvalid(reason=f"Unable to parse timestamp {text[:40]}") from None
    if moment <= clock.now(): raise errors.TrustInvalid(reason="The expiration time must be in the future.")
    return moment


def _find(call: Call, rule: str, id: str) -> Trust:
    """Here a missing trust is a 404 for everybody, as upstream has it."""
    assert call.db is not None
    trust = alive(call.db, id)
    if trust is None or chain(call.db, trust) is None: raise errors.TrustNotFound(id=id)
    permit(call, rule, {"trust": {"trustor_user_id": trust.trustor_user_id, "trustee_user_id": trust.trustee_user_id}}, trust_id=id)
    _forbid_credentials(call)
    return trust


def list_trusts(call: Call) -> dict[str, Any]:
    """GET /v3/OS-TRUST/trusts"""
    assert call.db is not None and call.request is not None
    asked = dict(call.request.query)
    query = call.db.query(Trust).where(Trust.deleted_at.is_(None), or_(Trust.expires_at.is_(None), Trust.expires_at > clock.now()))
    if trustor := asked.get("trustor_user_id"):
        permit(call, "list_trusts_for_trustor", {"trust": {"trustor_user_id": trustor}})
        query = query.where(Trust.trustor_user_id == trustor)
    elif trustee := asked.get("trustee_user_id"):
        permit(call, "list_trusts_for_trustee", {"trust": {"trustee_user_id": trustee}})
        query = query.where(Trust.trustee_user_id == trustee)
    else: permit(call, "list_trusts")
    _forbid_credentials(call)
    return {"trusts": [_body(call, trust, brief=True) for trust in query.order_by(Trust.id)], "links": links(call)}


def show(call: Call, trust_id: str) -> dict[str, Any]:
    """GET /v3/OS-TRUST/trusts/{trust_id}"""
    return {"trust": _body(call, _find(call, "get_trust", trust_id))}


def delete(call: Call, trust_id: str) -> None:
    """DELETE /v3/OS-TRUST/trusts/{trust_id}: with all that were made from it."""
    assert call.db is not None
    ended = [_find(call, "delete_trust", trust_id).id]
    while ended:
        call.db.execute(update(Trust).where(Trust.id.in_(ended)).values(deleted_at=clock.now()))
        ended = list(call.db.scalars(select(Trust.id).where(Trust.redelegated_trust_id.in_(ended), Trust.deleted_at.is_(None))))
    auth.forget()


def list_roles(call: Call, trust_id: str) -> dict[str, Any]:
    """GET /v3/OS-TRUST/trusts/{trust_id}/roles"""
    return {"roles": roles_shown(call, _find(call, "list_roles_for_trust", trust_id).role_ids), "links": links(call)}


def show_role(call: Call, trust_id: str, role_id: str) -> dict[str, Any]:
    """GET /v3/OS-TRUST/trusts/{trust_id}/roles/{role_id}"""
    trust = _find(call, "get_role_for_trust", trust_id)
    if role_id not in trust.role_ids: raise errors.RoleNotFound(id=role_id)
    return {"role": roles_shown(call, [role_id])[0]}


ID = {"type": "string", "minLength": 1, "maxLength": 64}
BODY = {"type": "object", "required": ["trust"], "properties": {"trust": {
    "type": "object", "required": ["trustee_user_id", "trustor_user_id", "impersonation"], "properties": {
        "trustee_user_id": ID, "trustor_user_id": ID, "impersonation": {"type": "boolean"}, "project_id": {"type": ["string", "null"]},
        "remaining_uses": {"type": ["integer", "null"], "minimum": 1}, "expires_at": {"type": ["string", "null"], "maxLength": 64},
        "allow_redelegation": {"type": ["boolean", "null"]}, "redelegation_count": {"type": ["integer", "null"], "minimum": 0},
        "roles": ROLES}}}}
EVERY, ONE = "/v3/OS-TRUST/trusts", "/v3/OS-TRUST/trusts/{trust_id}"
ROUTES = [
    Route(EVERY, "GET", list_trusts, None, transaction="read"),
    Route(EVERY, "POST", create, None, transaction="write", status=201, body=BODY),
    Route(ONE, "GET", show, None, transaction="read"),
    Route(ONE, "DELETE", delete, None, transaction="write", status=204),
    Route(ONE + "/roles", "GET", list_roles, None, transaction="read"),
    Route(ONE + "/roles/{role_id}", "GET", show_role, None, transaction="read"),
]
