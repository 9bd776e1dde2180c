"""What is done to a whole image: deactivate, reactivate, import what was staged, delete.

Source: Image service API v2, "Deactivate image", "Reactivate image", "Import an image", "Delete an image".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import delete as delete_rows
from sqlalchemy import select, update

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.errors import Forbidden
from pilvi.core.http.app import Application, Response
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.image import errors
from pilvi.image.image import inspect
from pilvi.image.image.intake import options_of, store_of
from pilvi.image.image.states import ACTIVE, DEACTIVATED, DELETED, IMAGE, UPLOADING, status
from pilvi.image.resources import image
from pilvi.image.resources.image import RESOURCE, Image, permit
from pilvi.image.resources.sharing import Member

RULES = {"deactivate": Rule(image.MEMBER), "reactivate": Rule(image.MEMBER), "import_image": Rule(image.MEMBER)}
IMPORT = {"type": "object", "required": ["method"], "properties": {"method": {
    "type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}}}


def _find(call: Call, id: str, rule: str) -> Image:
    row: Image = RESOURCE.find(call, id)
    if not call.allowed(rule, image.target(call, row)): raise Forbidden(action=rule)
    return row


def deactivate(call: Call, id: str) -> None:
    """POST actions/deactivate: only administrators get the bytes from now on. Repeatable."""
    _switch(call, _find(call, id, "deactivate"), "deactivate", DEACTIVATED)


def reactivate(call: Call, id: str) -> None:
    """POST actions/reactivate. Repeatable."""
    _switch(call, _find(call, id, "reactivate"), "reactivate", ACTIVE)


def _switch(call: Call, row: Image, verb: str, end: str) -> None:
    assert call.db is not None
    if row.state == end and row.busy is None: return
    if row.state not in IMAGE.verbs[verb].start or row.busy: raise errors.NotUsable(act=verb, status=status(row.state, row.busy))
    IMAGE.begin(call.db, Image, row.id, verb)
    IMAGE.finish(call.db, Image, row.id, verb)


def import_staged(call: Call, id: str) -> Response:
    """POST import: what was staged becomes the image's bytes, if it is what it is said to be; otherwise the image is queued again."""
    assert call.application is not None
    method = call.body["method"]["name"]
    if method not in image.IMPORT_METHODS: raise errors.ImportInvalid(reason=f"Unknown import method name '{method[:60]}'.")
    database, store = call.application.database, store_of(call.application)
    with database.write() as call.db:
        row = _find(call, id, "import_image")
        if row.state != UPLOADING or row.busy: raise errors.ImportInvalid(
            reason=f"Image status is '{status(row.state, row.busy)}'; with the glance-direct method it must be 'uploading'.")
        IMAGE.begin(call.db, Image, id, "import")
        call.db.execute(update(Image).where(Image.id == id).values(lease_until=clock.now() + options_of(call.application).lease_seconds))
        staged, name, formats = dict(row.staged or {}), str(row.location), (str(row.disk_format), str(row.container_format))
    call.db = None
    try:
        staged["virtual_size"] = inspect.check(*formats, lambda offset, length: _read(store, name, offset, length), staged["size"])
    except (errors.ContentRefused, errors.NotStored) as failure:
        with database.write() as db: IMAGE.finish(db, Image, id, "import", failed=True, lease_until=None, location=None, staged=None)
        store.remove(name)
        if isinstance(failure, errors.NotStored): raise errors.BytesLost(id=id) from None
        raise
    with database.write() as db: done = IMAGE.finish(db, Image, id, "import", lease_until=None, staged=None, **staged)
    if not done: raise errors.Overtaken(id=id)
    return Response(202)


def _read(store: Any, name: str, offset: int, length: int) -> bytes:
    return b"".join(store.read(name, offset, length))


def delete(call: Call, id: str) -> Response:
    """DELETE: the row stays as a tombstone; the bytes go once that is certain. Overtakes an upload."""
    assert call.application is not None
    with call.application.database.write() as call.db:
        row: Image = RESOURCE.find(call, id)
        permit(call, "delete", row)
        if row.protected: raise errors.ImageProtected(id=id)
        location = row.location
        IMAGE.begin(call.db, Image, id, "delete")
        IMAGE.finish(call.db, Image, id, "delete", lease_until=None, location=None, staged=None)
        call.db.execute(delete_rows(Member).where(Member.image_id == id))
    call.db = None
    if location: store_of(call.application).remove(location)
    return Response(204)


def free_abandoned(application: Application) -> None:
    """Images whose upload or import shows no life any more are as they were before it."""
    with application.database.write() as db:
        overdue = db.execute(select(Image.id, Image.busy).where(Image.busy.is_not(None), Image.lease_until < clock.now())).all()
        verbs: dict[str | None, str] = {verb.busy: verb.name for verb in IMAGE.verbs.values()}
        for id, busy in overdue: IMAGE.finish(db, Image, id, verbs[busy], failed=True, lease_until=None)


def sweep(application: Application) -> None:
    """Removes bytes that belong to nothing: of images that were deleted, and of attempts that lost. Bytes of images this database has never
    heard of stay, so that an older backup destroys nothing."""
    store = store_of(application)
    names: dict[str, list[str]] = {}
    for name in store.names(): names.setdefault(name.partition(".")[0], []).append(name)
    with application.database.read() as db:
        known: dict[str, Any] = {row.id: row for row in db.execute(select(Image.id, Image.location, Image.state, Image.busy))}
    for id, found in names.items():
        row = known.get(id)
        if row is None or (row.busy and row.state != DELETED): continue
        for name in found:
            if name != row.location: store.remove(name)
    store.tidy(options_of(application).lease_seconds * 4)


PATH = "/v2/images/{id}"
ROUTES = [
    Route(PATH, "DELETE", delete, None),
    Route(PATH + "/actions/deactivate", "POST", deactivate, None, transaction="write", status=204),
    Route(PATH + "/actions/reactivate", "POST", reactivate, None, transaction="write", status=204),
    Route(PATH + "/import", "POST", import_staged, None, body=IMPORT),
]
