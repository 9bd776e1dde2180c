"""The failures of compute; messages as Nova's."""
from __future__ import annotations

from pilvi.core.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable


class ServerNotFound(NotFound):
    """Instance {id} could not be found."""


class ServerLocked(Conflict):
    """Instance {id} is locked"""


class FlavorNotFound(NotFound):
    """Flavor {id} could not be found."""


class FlavorUnknown(Invalid):
    """Flavor {id} could not be found."""


class FlavorExists(Conflict):
    """Flavor with {what} {value} already exists."""


class FlavorInUse(Conflict):
    """Flavor {id} gives access to project {project_id} already."""


class FlavorAccessNotFound(NotFound):
    """Flavor access not found for {id} / {project_id} combination."""


class ExtraSpecNotFound(NotFound):
    """Flavor {id} has no extra specs with key {key}."""


class KeypairNotFound(NotFound):
    """Keypair {id} not found"""


class KeypairExists(Conflict):
    """Key pair '{name}' already exists."""


class KeypairInvalid(Invalid):
    """Keypair data is invalid: {reason}"""


class KeypairUnknown(Invalid):
    """Invalid key_name provided."""


class PublicKeyRequired(Invalid):
    """Generation of key pairs is not offered from microversion 2.92 on; send public_key."""


class ImageUnknown(Invalid):
    """Can not find requested image"""


class ImageNotActive(Invalid):
    """Image {id} is not active."""


class FlavorTooSmall(Invalid):
    """Flavor's {what} is too small for requested image."""


class NetworkUnknown(Invalid):
    """Network {id} could not be found."""


class NetworkAmbiguous(Conflict):
    """Multiple possible networks found, use a Network ID to be more specific."""


class PortUnknown(Invalid):
    """Port {id} could not be found."""


class PortInUse(Conflict):
    """Port {id} is still in use."""


class SecurityGroupUnknown(Invalid):
    """Security group {name} not found for project {project_id}."""


class VolumeUnknown(Invalid):
    """Volume {id} could not be found."""


class VolumeElsewhere(Invalid):
    """Volume {id} lies on host {volume_host}; this server runs on {host}. File volumes serve servers of their own host."""


class DeviceMappingInvalid(Invalid):
    """Block Device Mapping is Invalid: {reason}"""


class AttachmentNotFound(NotFound):
    """Instance {server_id} is not attached to volume {volume_id}"""


class BootVolumeAttached(Forbidden):
    """Cannot detach a root device volume from an instance that runs."""


class FlavorUnchanged(Invalid):
    """When resizing, instances must change flavor!"""


class DiskWouldShrink(Invalid):
    """The server's disk has {have} GB; a disk can't be made smaller, and the flavor has {want} GB."""


class HostTooSmall(Conflict):
    """No valid host was found. {reason}"""


class NoValidHost(Unavailable):
    """No valid host was found. {reason}"""


class ZoneUnknown(Invalid):
    """The requested availability zone is not available"""


class ActionUnknown(Invalid):
    """There is no such action: {action}"""


class ActionLogNotFound(NotFound):
    """Action for request_id {id} on instance {server_id} not found"""


class HostNotFound(NotFound):
    """Host {id} could not be found."""


class AggregateNotFound(NotFound):
    """Aggregate {id} could not be found."""


class ConsoleUnavailable(Conflict):
    """The console of instance {id} cannot be reached: {reason}"""


class ConsoleRefused(NotFound):
    """The console's address has expired or was never given; ask for a new one."""


class TagNotFound(NotFound):
    """Instance {id} has no tag '{tag}'."""


class MetadataLimit(Forbidden):
    """Maximum number of metadata items exceeds {allowed}"""


class MetadataNotFound(NotFound):
    """Metadata item was not found"""


class GroupNotFound(NotFound):
    """Instance group {id} could not be found."""


class GroupUnknown(Invalid):
    """Server group {id} could not be found."""


class UserDataInvalid(Invalid):
    """User data needs to be valid base 64."""


class HostGone(Unavailable):
    """Host {host} has not been heard of for {seconds:g} seconds."""


class NotRunning(Conflict):
    """Instance {id} has no machine that runs (it is {state}), so nothing is counted."""


class NotCounted(Conflict):
    """What the machine of instance {id} counts cannot be asked: {reason}"""


class VolumeBacked(Invalid):
    """Instance {id} boots from a volume, which cannot be snapshotted while it is in use; detach it and make an image of the volume."""


class VolumeBackedRebuild(Invalid):
    """Unable to rebuild a volume-backed server: its volume would have to be made anew, which is not offered."""
