"""Resource types of the volume service."""
_HERE = "pilvi.orchestration.types.cinder"
CINDER = {
    "OS::Cinder::Quota": f"{_HERE}.quota:Quota",
    "OS::Cinder::Volume": f"{_HERE}.volume:Volume",
    "OS::Cinder::VolumeAttachment": f"{_HERE}.volume_attachment:VolumeAttachment",
    "OS::Cinder::VolumeType": f"{_HERE}.volume_type:VolumeType",
}
