"""The failures of volume; messages are Cinder's."""
from __future__ import annotations

from pilvi.core.errors import Conflict, Failure, Invalid, NotFound, TooLarge


class VolumeNotFound(NotFound):
    """Volume {id} could not be found."""


class SnapshotNotFound(NotFound):
    """Snapshot {id} could not be found."""


class AttachmentNotFound(NotFound):
    """Volume attachment could not be found with filter: attachment_id = {id}."""


class VolumeTypeNotFound(NotFound):
    """Volume type {id} could not be found."""


class TypeNameNotFound(NotFound):
    """Volume type with name {name} could not be found."""


class ExtraSpecNotFound(NotFound):
    """Volume Type {id} has no extra specs with key {key}."""


class MetadataNotFound(NotFound):
    """{what} {id} has no metadata with key {key}."""


class MessageNotFound(NotFound):
    """Message {id} could not be found."""


class HostNotFound(NotFound):
    """Host {id} could not be found."""


class InvalidVolume(Invalid):
    """Invalid volume: {reason}"""


class InvalidSnapshot(Invalid):
    """Invalid snapshot: {reason}"""


class InvalidInput(Invalid):
    """Invalid input received: {reason}"""


class InvalidVolumeType(Invalid):
    """Invalid volume type: {reason}"""


class InvalidZone(Invalid):
    """Availability zone '{zone}' is invalid."""


class ImageUnacceptable(Invalid):
    """Image {id} is unacceptable: {reason}"""


class ImageUnknown(Invalid):
    """Invalid image identifier or unable to access requested image."""


class DefaultTypeStays(Invalid):
    """The volume type {id} is a default volume type and cannot be deleted."""


class TypeInUse(Invalid):
    """Target volume type is still in use."""


class TypeExists(Conflict):
    """Volume Type {name} already exists."""


class ResourceConflict(Conflict):
    """Resource conflict: {reason}"""


class ServerHolds(Conflict):
    """Detach volume from instance {server_id} using the Compute API"""


class VolumesExceeded(TooLarge):
    """Maximum number of volumes allowed ({limit}) exceeded for quota 'volumes'."""


class SnapshotsExceeded(TooLarge):
    """Maximum number of snapshots allowed ({limit}) exceeded"""


class GigabytesExceeded(TooLarge):
    """Requested volume or snapshot exceeds allowed gigabytes quota. Requested {asked}G, quota is {limit}G and {used}G has been consumed."""


class VolumeTooLarge(TooLarge):
    """Requested volume size {size}G is larger than maximum allowed limit {limit}G."""


class NoValidHost(Failure):
    """No valid backend was found. {reason}"""


class DiskFull(Failure):
    """Only {free_mib} MiB are free where volumes lie; {reserve_mib} MiB are kept free, so that the machine stays usable."""


class ImageDamaged(Failure):
    """Image {id} was not what the image service promised: {reason}"""


class StoreRefused(Conflict):
    """The storage backend could not do it: {reason}"""
