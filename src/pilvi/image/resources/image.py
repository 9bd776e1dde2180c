"""Image: the table, who sees which rows, and the calls that are about facts and not about bytes.

Source: Image service API v2, "Images"; Glance's default policies.
"""
from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Float, String, and_, false, or_
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core import listing
from pilvi.core.context import Call
from pilvi.core.crypto import new_id
from pilvi.core.db.types import Json
from pilvi.core.dialect import GLANCE
from pilvi.core.errors import Forbidden, NotAllowed
from pilvi.core.http.routes import Route
from pilvi.core.resource import Resource, create
from pilvi.core.wire import OPTIONAL, Base, Kind, Timed, boolean, field, integer, list_of, one_of, text, uuid
from pilvi.image import errors
from pilvi.image.image.states import DELETED, status
from pilvi.image.resources import filters
from pilvi.image.resources.sharing import Member, with_member

DISK_FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "ploop", "iso")
CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
VISIBILITIES = ("public", "private", "shared", "community")
LINKS = {"self", "file", "schema"}
READ_ONLY = {"created_at", "updated_at", "status", "checksum", "size", "virtual_size", "direct_url", "stores", "os_hash_algo",
             "os_hash_value", "locations", *LINKS}
RESERVED = {"location", "deleted", "deleted_at"}
RESERVED_PREFIX = "os_glance"
MOST = 128
"""Tags and additional properties of one image, each."""
PAGE = 25
"""Images on a page when no limit is asked."""
IMPORT_METHODS = ("glance-direct",)
OWN = "project_id:%(owner)s"
MEMBER = f"role:admin or (role:member and {OWN})"
SEES = f"({OWN} or project_id:%(member_id)s or 'community':%(visibility)s or 'public':%(visibility)s)"
FLAG = Kind({"type": "boolean"}, Boolean(), None, boolean().query)


class Image(Timed, Base):
    __tablename__ = "image_images"
    TOLD = ("busy",)
    id: Mapped[str] = field(uuid(), key=True, create=OPTIONAL, default=new_id)
    name: Mapped[str | None] = field(text(255), create=OPTIONAL, update=True, index=True)
    owner: Mapped[str | None] = field(text(255), create=OPTIONAL, update=True, index=True)
    visibility: Mapped[str] = field(one_of(*VISIBILITIES), create=OPTIONAL, update=True, default="shared")
    disk_format: Mapped[str | None] = field(one_of(*DISK_FORMATS), create=OPTIONAL, update=True)
    container_format: Mapped[str | None] = field(one_of(*CONTAINER_FORMATS), create=OPTIONAL, update=True)
    min_disk: Mapped[int] = field(integer(0, 2**31 - 1), create=OPTIONAL, update=True, default=0)
    min_ram: Mapped[int] = field(integer(0, 2**31 - 1), create=OPTIONAL, update=True, default=0)
    protected: Mapped[bool] = field(FLAG, create=OPTIONAL, update=True, default=False)
    os_hidden: Mapped[bool] = field(FLAG, create=OPTIONAL, update=True, default=False)
    tags: Mapped[list[str]] = field(list_of(text(255)), create=OPTIONAL, update=True, default=list, filter=False)
    size: Mapped[int | None] = field(integer(0))
    virtual_size: Mapped[int | None] = field(integer(0))
    checksum: Mapped[str | None] = field(text(32))
    os_hash_algo: Mapped[str | None] = field(text(64))
    os_hash_value: Mapped[str | None] = field(text(128))
    state: Mapped[str] = field(text(32), wire="status", default="queued", index=True)
    busy: Mapped[str | None] = mapped_column(String(32), nullable=True)
    lease_until: Mapped[float | None] = mapped_column(Float(53), nullable=True)
    """Until when whoever is busy has shown life; also tells two uploads of one image apart."""
    properties: Mapped[dict[str, str]] = mapped_column(Json, default=dict)
    location: Mapped[str | None] = mapped_column(String(64), nullable=True)
    """The store's name of the bytes, whole ones, be they staged or in use."""
    staged: Mapped[dict[str, Any] | None] = mapped_column(Json, nullable=True)
    """What was measured while staged bytes arrived."""


def shared_with(call: Call, *statuses: str) -> ColumnElement[bool]:
    """Images of others that were shared with the caller's project."""
    return and_(Image.visibility == "shared", with_member(Image.id, call.project_id, *statuses))


def alive(call: Call) -> ColumnElement[bool]:
    """Images that exist; for a system-scoped token none do: upstream's policies are for projects."""
    return false() if call.identity.system else Image.state != DELETED


def visible(call: Call) -> ColumnElement[bool]:
    """What exists for a caller that knows its id; lists show less."""
    if not call.project_id: return or_(Image.visibility == "public", Image.visibility == "community")
    return or_(Image.visibility.in_(("public", "community")), Image.owner == call.project_id, shared_with(call))


def listed(call: Call, visibility: str | None, member_status: str) -> ColumnElement[bool]:
    """What a list shows: one's own, public ones, and shared ones as far as accepted; community images only when asked for."""
    mine = Image.owner == call.project_id if call.project_id else false()
    shared = shared_with(call, *(() if member_status == "all" else (member_status,)))
    if visibility in ("public", "community"): return Image.visibility == visibility
    if call.is_admin: return Image.visibility == visibility if visibility in VISIBILITIES else Image.state != DELETED
    if visibility == "private": return and_(mine, Image.visibility == "private")
    if visibility == "shared": return or_(and_(mine, Image.visibility == "shared"), shared)
    seen = or_(mine, Image.visibility == "public", shared)
    return or_(seen, Image.visibility == "community") if visibility == "all" else seen


def check_properties(properties: dict[str, Any]) -> None:
    """Raises PropertyInvalid, Reserved, TooMany for additional properties that may not be."""
    for name, value in properties.items():
        if name in RESERVED or name.startswith(RESERVED_PREFIX): raise errors.Reserved(name=name)
        if not 0 < len(name) <= 255: raise errors.PropertyInvalid(reason="a property's name has 1 to 255 characters")
        if not isinstance(value, str): raise errors.PropertyInvalid(reason=f"'{name[:80]}' is {value!r:.80}, not a string")
        if len(value) > 65535 or "\0" in value: raise errors.PropertyInvalid(reason=f"'{name[:80]}' is too long or holds NUL")
    if len(properties) > MOST: raise errors.TooMany(what="properties", asked=len(properties), most=MOST)


def check_tags(tags: list[str]) -> list[str]:
    """The tags, each once. Raises TooMany."""
    once = sorted(set(tags))
    if len(once) > MOST: raise errors.TooMany(what="tags", asked=len(once), most=MOST)
    return once


def check_visibility(call: Call, image: Image, wanted: str) -> None:
    """Raises Forbidden unless the caller may show the image to everybody."""
    for name, act in (("public", "publicize"), ("community", "communitize")):
        if wanted == name: permit(call, act, image)


def target(call: Call, image: Image) -> dict[str, Any]:
    """The image as policy rules see it."""
    assert call.db is not None
    member = image.visibility == "shared" and call.db.get(Member, (image.id, call.project_id)) is not None
    return {"project_id": image.owner, "owner": image.owner, "visibility": image.visibility, "id": image.id,
            "member_id": call.project_id if member else None}


def permit(call: Call, verb: str, image: Image) -> None:
    """Raises Forbidden unless policy lets the caller do it to the image. In a transaction. An agent's grant of kind `image` is for reading,
    one of kind `image_upload` for giving bytes to an image that has none; neither lets it change what users see."""
    granted = {"show": "image", "download": "image", "upload": "image_upload"}.get(verb)
    if granted and call.granted(granted, image.id): return
    RESOURCE.permit(call, verb, target(call, image))


def show(call: Call, id: str) -> dict[str, Any]:
    """GET of one."""
    found: Image = RESOURCE.find(call, id)
    permit(call, "show", found)
    return RESOURCE.render(call, [found])[0]


def make(call: Call) -> Any:
    """POST: an image without bytes."""
    if call.identity.system: raise Forbidden(action="add_image")
    body = call.body if isinstance(call.body, dict) else {}
    for name in body:
        if name in READ_ONLY: raise errors.ReadOnly(name=name)
        if name in RESERVED: raise errors.Reserved(name=name)
    check_properties({name: value for name, value in body.items() if RESOURCE.wire_names.get(name) is None})
    answer = create(RESOURCE, call)
    call.headers |= {"Location": f"/v2/images/{answer.body['id']}", "OpenStack-image-import-methods": ",".join(IMPORT_METHODS)}
    return answer


def fill_in(call: Call, image: Image, values: dict[str, Any]) -> None:
    """What the columns' defaults do not say."""
    image.properties, image.tags = values.get("extra", {}), check_tags(image.tags)
    image.updated_at = image.created_at
    check_visibility(call, image, image.visibility)


def add_links(call: Call, rows: list[Any], bodies: list[dict[str, Any]]) -> None:
    """Status, addresses and additional properties."""
    for row, body in zip(rows, bodies, strict=True):
        here = f"/v2/images/{row.id}"
        for name, value in (row.properties or {}).items(): body.setdefault(name, value)
        body |= {"status": status(row.state, row.busy), "self": here, "file": here + "/file", "schema": "/v2/schemas/image"}


def list_images(call: Call) -> dict[str, Any]:
    """GET of the collection."""
    assert call.request is not None
    if call.request.path.endswith("/"): raise errors.ImageNotFound(id="")
    if call.identity.system: raise Forbidden(action="get_images")
    RESOURCE.permit(call, "list")
    page = listing.page_of(call, RESOURCE)
    given = dict(call.request.query)
    filters.check(given)
    if "limit" not in given: page.limit = PAGE
    if given.get("limit") == "0": return {"images": [], "first": "/v2/images?limit=0", "schema": RESOURCE.schema_path}
    if "sort_dir" not in given: page.sort = [(column, descending or f"{filters.wire(column)}:asc" not in given.get("sort", ""))
                                             for column, descending in page.sort]
    hidden = str(given.get("os_hidden", "false")).lower() == "true"
    conditions = [Image.state != DELETED, listed(call, given.get("visibility"), given.get("member_status", "accepted")),
                  Image.os_hidden == hidden, *filters.conditions(Image, RESOURCE, call.request.query)]
    found, more = listing.rows(call, RESOURCE, page, conditions)
    return {"images": RESOURCE.render(call, found)} | listing.links(call, RESOURCE, page, found, more)


def delete_nothing(call: Call) -> None:
    """DELETE with an empty id, which clients expect to be an image that is not there."""
    assert call.request is not None
    if call.request.path.endswith("/"): raise errors.ImageNotFound(id="")
    raise NotAllowed(method="DELETE", allow="GET, POST")


RESOURCE = Resource(
    Image, "image", "/v2/images", replace(GLANCE, unknown_fields="keep"), owner="owner", verbs=(), missing=errors.ImageNotFound,
    schema_path="/v2/schemas/images", visible=visible, alive=alive, default_sort=[("created_at", True)],
    policy={"list": "reader", "show": f"role:admin or (role:reader and {SEES})", "create": "member",
            "update": MEMBER, "delete": MEMBER, "upload": MEMBER, "publicize": "admin", "communitize": MEMBER,
            "download": f"role:admin or (role:member and {SEES})"},
    on_create=fill_in, on_render=add_links)
ROUTES = [
    Route("/v2/images", "GET", list_images, None, transaction="read"),
    Route("/v2/images", "POST", make, None),
    Route("/v2/images", "DELETE", delete_nothing, "get_images"),
    Route("/v2/images/{id}", "GET", show, None, transaction="read"),
]
