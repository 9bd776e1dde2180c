"""Members of an image: the projects it is shared with, and what each of them answered.

Source: Image service API v2, "Sharing".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import select

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.errors import Forbidden
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.image import errors
from pilvi.image.resources import image
from pilvi.image.resources.sharing import Member

RULES = {"add_member": Rule(image.MEMBER), "delete_member": Rule(image.MEMBER),
         "get_member": Rule(f"role:admin or (role:reader and ({image.OWN} or project_id:%(member_id)s))"),
         "get_members": Rule(f"role:admin or (role:reader and ({image.OWN} or project_id:%(member_id)s))"),
         "modify_member": Rule("role:admin or (role:member and project_id:%(member_id)s)")}
ID = {"type": "string", "minLength": 1, "maxLength": 255}
CREATE = {"type": "object", "properties": {"member": ID}, "required": ["member"]}
UPDATE = {"type": "object", "properties": {"status": {"enum": ["pending", "accepted", "rejected"]}}, "required": ["status"]}


def find_image(call: Call, id: str, rule: str) -> image.Image:
    """The image, if it is one that can have members and the caller may do that to it."""
    found: image.Image = image.RESOURCE.find(call, id)
    if not call.allowed(rule, image.target(call, found)): raise Forbidden(action=rule)
    if found.visibility != "shared": raise errors.NotShared()
    return found


def find(call: Call, found: image.Image, member_id: str) -> Member:
    """A member. Members see only themselves. Raises MemberNotFound."""
    assert call.db is not None
    row = call.db.get(Member, (found.id, member_id))
    if row is None or (not _all_seen(call, found) and member_id != call.project_id):
        raise errors.MemberNotFound(id=found.id, member_id=member_id)
    return row


def _all_seen(call: Call, found: image.Image) -> bool:
    return call.is_admin or found.owner == call.project_id


def render(row: Member) -> dict[str, Any]:
    """A member as the API shows it."""
    return {"member_id": row.member_id, "image_id": row.image_id, "status": row.status, "created_at": clock.iso(row.created_at),
            "updated_at": clock.iso(row.updated_at), "schema": "/v2/schemas/member"}


def list_members(call: Call, id: str) -> dict[str, Any]:
    """GET of the collection."""
    assert call.db is not None
    found = find_image(call, id, "get_members")
    rows = call.db.execute(select(Member).where(Member.image_id == id).order_by(Member.member_id)).scalars()
    return {"members": [render(row) for row in rows if _all_seen(call, found) or row.member_id == call.project_id],
            "schema": "/v2/schemas/members"}


def show(call: Call, id: str, member_id: str) -> dict[str, Any]:
    """GET of one."""
    return render(find(call, find_image(call, id, "get_member"), member_id))


def create(call: Call, id: str) -> dict[str, Any]:
    """POST: shares the image with a project, which has yet to accept."""
    assert call.db is not None
    found = find_image(call, id, "add_member")
    if call.db.get(Member, (found.id, call.body["member"])): raise errors.MemberExists(id=id, member_id=call.body["member"])
    held = len(call.db.execute(select(Member.member_id).where(Member.image_id == id)).all())
    if held >= image.MOST: raise errors.TooMany(what="members", asked=held + 1, most=image.MOST)
    row = Member(image_id=found.id, member_id=call.body["member"])
    call.db.add(row)
    call.db.flush()
    return render(row)


def update(call: Call, id: str, member_id: str) -> dict[str, Any]:
    """PUT: the member itself accepts or rejects."""
    assert call.db is not None
    row = find(call, find_image(call, id, "get_member"), member_id)
    if not call.allowed("modify_member", {"member_id": member_id}): raise Forbidden(action="modify_member")
    row.status, row.updated_at = call.body["status"], clock.now()
    return render(row)


def remove(call: Call, id: str, member_id: str) -> None:
    """DELETE: shares it no more."""
    assert call.db is not None
    call.db.delete(find(call, find_image(call, id, "delete_member"), member_id))


PATH = "/v2/images/{id}/members"
ROUTES = [
    Route(PATH, "GET", list_members, None, transaction="read"),
    Route(PATH, "POST", create, None, transaction="write", body=CREATE),
    Route(PATH + "/{member_id}", "GET", show, None, transaction="read"),
    Route(PATH + "/{member_id}", "PUT", update, None, transaction="write", body=UPDATE),
    Route(PATH + "/{member_id}", "DELETE", remove, None, transaction="write", status=204),
]
