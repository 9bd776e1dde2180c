"""AWS::AutoScaling::LaunchConfiguration: what the servers of a group are like. It is only written down; groups read it.

Source: Template Guide, "AWS::AutoScaling::LaunchConfiguration".
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.orchestration.types.interface import PropertyInvalid, ResourceType, Work, boolean, list_of, map_of, string


class LaunchConfiguration(ResourceType):
    """Nothing of it changes in place: a new one replaces it, and the groups that refer to it follow."""
    name = "AWS::AutoScaling::LaunchConfiguration"
    description = "What the servers of a group are like."
    local = True
    properties = {
        "ImageId": string("The image they boot from.", refers="glance.image"),
        "InstanceType": string("Their flavor.", refers="nova.flavor"),
        "InstanceId": string("A server whose image, flavor, key pair and security groups they get unless this says otherwise."),
        "KeyName": string("The key pair they get.", refers="nova.keypair"),
        "UserData": string("What they are told at their start."),
        "SecurityGroups": list_of(None, "Their security groups."),
        "BlockDeviceMappings": list_of(map_of({
            "DeviceName": string("The name of the device.", required=True),
            "Ebs": map_of({
                "DeleteOnTermination": boolean("Does the volume end with the server?", default=True),
                "SnapshotId": string("The snapshot that it is made of.", required=True, refers="cinder.snapshot"),
                "VolumeSize": string("Its size in GiB."),
                "VolumeType": string("Its type."),
            }, "The volume.", required=True)}), "More disks."),
        "NovaSchedulerHints": list_of(map_of({"Key": string("The hint.", required=True), "Value": string("Its value.", required=True)}),
                                      "Wishes to the scheduler."),
    }

    def create(self, work: Work) -> None:
        if not work.properties["InstanceId"] and not (work.properties["ImageId"] and work.properties["InstanceType"]):
            raise PropertyInvalid(path="ImageId", reason="If without InstanceId, ImageId and InstanceType are required.")
        work.physical_id = work.physical_name


def definition(work: Work, configuration: Mapping[str, Any], *, tags: Mapping[str, str], subnet: str | None) -> dict[str, Any]:
    """A server of the group as a template writes it. Asks compute for the server to be like, if there is one."""
    given = {**_like(work, configuration["InstanceId"]), **{name: value for name, value in configuration.items() if value is not None}}
    disks = [{"device_name": one["DeviceName"], "snapshot_id": one["Ebs"]["SnapshotId"], "boot_index": -1,
              "delete_on_termination": one["Ebs"]["DeleteOnTermination"], "volume_size": one["Ebs"]["VolumeSize"],
              "volume_type": one["Ebs"]["VolumeType"]} for one in given.get("BlockDeviceMappings") or []]
    made = {"image": given.get("ImageId"), "flavor": given.get("InstanceType"), "key_name": given.get("KeyName"),
            "user_data": given.get("UserData"), "security_groups": given.get("SecurityGroups"), "block_device_mapping_v2": disks or None,
            "scheduler_hints": {one["Key"]: one["Value"] for one in given.get("NovaSchedulerHints") or []} or None,
            "metadata": dict(tags), "networks": [{"subnet": subnet}] if subnet else None}
    return {"type": "OS::Nova::Server", "properties": {name: value for name, value in made.items() if value is not None}}


def _like(work: Work, server_id: str | None) -> dict[str, Any]:
    if not server_id: return {}
    server = work.ask("compute", "GET", f"/v2.1/servers/{server_id}")["server"]
    found = {"ImageId": (server["image"] or {}).get("id"), "InstanceType": server["flavor"]["original_name"], "KeyName": server["key_name"],
             "SecurityGroups": [group["name"] for group in server.get("security_groups", [])]}
    return {name: value for name, value in found.items() if value}
