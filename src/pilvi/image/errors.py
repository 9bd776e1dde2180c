"""The failures of image."""
from __future__ import annotations

from pilvi.core.errors import Conflict, Failure, Forbidden, Invalid, NotFound, TooLarge, Unavailable, Unsupported


class ImageNotFound(NotFound):
    """No image found with ID {id}"""


class ImageProtected(Forbidden):
    """Image {id} is protected and cannot be deleted."""


class ReadOnly(Forbidden):
    """Attribute '{name}' is read-only."""


class Reserved(Forbidden):
    """Attribute '{name}' is reserved."""


class PropertyFixed(Forbidden):
    """Property {name} may not be removed."""


class PropertyMissing(Conflict):
    """Property {name} does not exist."""


class FormatFixed(Forbidden):
    """Attribute {name} can be only replaced for a queued image."""


class OwnerFixed(Forbidden):
    """Owner can't be updated by non admin."""


class PropertyInvalid(Invalid):
    """Invalid image property: {reason}"""


class TooMany(TooLarge):
    """The limit has been exceeded on the number of allowed image {what}. Attempted: {asked}, Maximum: {most}"""


class PatchInvalid(Invalid):
    """{reason}"""


class PatchUnsupported(Unsupported):
    """Image PATCH expects Content-Type one of: {known}"""


class TypeUnsupported(Unsupported):
    """The content type must be application/octet-stream, not '{content_type}'."""


class FormatMissing(Invalid):
    """Properties disk_format, container_format must be set prior to saving data."""


class ContentRefused(Unsupported):
    """Image content is refused: {reason}."""


class BrokenOff(Invalid):
    """The client closed the connection before all bytes of image {id} had arrived."""


class StorageFull(TooLarge):
    """Image storage media is full: There is not enough disk space on the image storage media."""


class NotStored(Unavailable):
    """The image store has no object {name}."""


class Overtaken(Failure):
    """Image {id} could not be found after upload. The image may have been deleted during the upload."""
    status = 410


class BytesLost(Unavailable):
    """The bytes of image {id} are not in the store."""


class NotUsable(Forbidden):
    """Not allowed to {act} image in status '{status}'"""


class Deactivated(Forbidden):
    """The requested image has been deactivated. Image data download is forbidden."""


class RangeInvalid(Failure):
    """The byte range passed in the 'Range' header did not match any available byte range in the image file."""
    status = 416


class TagNotFound(NotFound):
    """No tag '{tag}' on image {id}."""


class MemberNotFound(NotFound):
    """{member_id} not found in the member list of the image {id}."""


class MemberExists(Conflict):
    """The target member {member_id} is already associated with image {id}."""


class NotShared(Forbidden):
    """Only shared images have members."""


class ImportInvalid(Invalid):
    """{reason}"""


class StoresUnknown(NotFound):
    """Multi backend is not supported at this site."""
