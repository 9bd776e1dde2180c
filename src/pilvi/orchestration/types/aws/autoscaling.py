"""AWS::AutoScaling::AutoScalingGroup and ScalingPolicy, and OS::Heat::InstanceGroup: Heat's own groups in CloudFormation's words.

Source: Template Guide, "AWS::AutoScaling::*", "OS::Heat::InstanceGroup".

A group's members are servers; what they are like is taken from the launch configuration when the group is made or changed, and remembered,
so that scaling does not depend on it.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pilvi.core.errors import NotFound
from pilvi.orchestration.template.schema import AllowedValues, Length, Range
from pilvi.orchestration.types.aws.launch_configuration import definition
from pilvi.orchestration.types.heat.nested import engine_of
from pilvi.orchestration.types.heat.scaling import CHANGE, EXACT, PERCENT, AutoScalingGroup, obey
from pilvi.orchestration.types.interface import (
    Attribute,
    Child,
    Place,
    PropertyInvalid,
    ResourceType,
    Work,
    integer,
    list_of,
    map_of,
    string,
)

ADJUSTMENTS = {"ChangeInCapacity": CHANGE, "ExactCapacity": EXACT, "PercentChangeInCapacity": PERCENT}
ZONES = list_of(None, "Not looked at: the scheduler chooses.", required=True)
BALANCERS = list_of(None, "Not looked at: there is no load balancer.")
TAGS = list_of(map_of({"Key": string("A word.", required=True), "Value": string("Its value.", required=True)}), "Words kept with servers.")


class ServerGroup(AutoScalingGroup):
    """What both groups share. `plain` says their properties in Heat's own words."""
    attributes = {"InstanceList": Attribute("The servers' addresses, with commas between.")}
    tag = ""
    """The word that tells a server's group."""

    def plain(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def child(self, name: str, properties: Mapping[str, Any], place: Place, data: Mapping[str, Any]) -> Child:
        given = properties if "resource" in properties else self.plain(properties)
        return super().child(name, {**given, "resource": data.get("launch")}, place, data)

    def create(self, work: Work) -> None:
        inner = self._inner(work, refresh=True)
        super().create(inner)
        work.physical_id = inner.physical_id

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        lasting = {name: value for name, value in self.plain({**work.properties, **changes}).items()
                   if value != self.plain(work.properties)[name]}
        super().update(self._inner(work, refresh=True, changes=changes), lasting)

    def adjust(self, work: Work, kind: str, amount: float, least_step: int | None, now: float) -> str:
        return super().adjust(self._inner(work), kind, amount, least_step, now)

    def attribute_at(self, work: Work, name: str, path: list[Any]) -> Any:
        if name != "InstanceList": return super().attribute_at(work, name, path)
        found = [self.of(work, one.name, "first_address", []) for one in self.members(work)]
        return ",".join(address for address in found if address)

    def _inner(self, work: Work, *, refresh: bool = False, changes: Mapping[str, Any] | None = None) -> Work:
        """The work in Heat's own words; what the servers are like is read anew if `refresh`. Shares what is remembered."""
        properties = {**work.properties, **(changes or {})}
        if refresh:
            tags = {one["Key"]: one["Value"] for one in properties.get("Tags") or []}
            tags.setdefault(self.tag, work.physical_id or work.physical_name)
            work.data["launch"] = definition(work, self._configuration(work, properties), tags=tags,
                                             subnet=next(iter(properties.get("VPCZoneIdentifier") or []), None))
        return dataclasses.replace(work, properties={**self.plain(properties), "resource": work.data.get("launch")}, data=work.data)

    def _configuration(self, work: Work, properties: Mapping[str, Any]) -> Mapping[str, Any]:
        named = properties["LaunchConfigurationName"]
        if not named: return {"InstanceId": properties.get("InstanceId")}
        found = engine_of(work).sibling(work, named)
        if found is None or "ImageId" not in found.properties:
            raise NotFound(f"LaunchConfigurationName ({named}) reference can not be found.")
        return found.properties


class CfnAutoScalingGroup(ServerGroup):
    """Between MinSize and MaxSize servers."""
    name = "AWS::AutoScaling::AutoScalingGroup"
    description = "A group of servers that scales."
    tag = "metering.AutoScalingGroupName"
    properties = {
        "AvailabilityZones": ZONES,
        "LaunchConfigurationName": string("What the servers are like; either this or InstanceId.", update=True),
        "InstanceId": string("A server that they are like."),
        "MaxSize": integer("How many servers at most.", required=True, update=True, constraints=(Range(0),)),
        "MinSize": integer("How many servers at least.", required=True, update=True, constraints=(Range(0),)),
        "Cooldown": integer("How many seconds it does not scale again.", update=True),
        "DesiredCapacity": integer("How many servers to begin with.", update=True),
        "HealthCheckGracePeriod": integer("Not looked at."),
        "HealthCheckType": string("Not looked at.", constraints=(AllowedValues(("EC2", "ELB")),)),
        "LoadBalancerNames": BALANCERS,
        "VPCZoneIdentifier": list_of(string(), "The subnet they are on, one.", constraints=(Length(0, 1),)),
        "Tags": TAGS,
    }

    def validate(self, properties: Mapping[str, Any]) -> None:
        super().validate(self.plain(properties))
        if properties["InstanceId"] and properties["LaunchConfigurationName"]:
            raise PropertyInvalid(path="InstanceId", reason="Either 'InstanceId' or 'LaunchConfigurationName' must be provided.")

    def plain(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        return {"min_size": properties["MinSize"], "max_size": properties["MaxSize"], "desired_capacity": properties["DesiredCapacity"],
                "cooldown": properties["Cooldown"]}


class InstanceGroup(ServerGroup):
    """Exactly Size servers."""
    name = "OS::Heat::InstanceGroup"
    description = "A group of servers."
    tag = "metering.groupname"
    properties = {
        "AvailabilityZones": ZONES,
        "LaunchConfigurationName": string("What the servers are like.", required=True, update=True),
        "Size": integer("How many servers.", required=True, update=True, constraints=(Range(0),)),
        "LoadBalancerNames": BALANCERS,
        "Tags": TAGS,
    }

    def validate(self, properties: Mapping[str, Any]) -> None:
        """Its one size can't contradict itself."""

    def plain(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        size = properties["Size"]
        return {"min_size": size, "max_size": size, "desired_capacity": size, "cooldown": None}


class CfnScalingPolicy(ResourceType):
    """Changes a group's size when it is signalled."""
    name = "AWS::AutoScaling::ScalingPolicy"
    description = "Changes a group's size when it is signalled."
    properties = {
        "AutoScalingGroupName": string("The group.", required=True),
        "ScalingAdjustment": integer("By how much, or to what.", required=True, update=True),
        "AdjustmentType": string("What the adjustment means.", required=True, update=True,
                                 constraints=(AllowedValues(tuple(ADJUSTMENTS)),)),
        "Cooldown": integer("How many seconds it does not act again.", update=True),
        "MinAdjustmentStep": integer("The least change of a percentage, in servers.", update=True, constraints=(Range(0),)),
    }
    attributes = {"AlarmUrl": Attribute("A URL that a POST to makes it act.")}

    def create(self, work: Work) -> None:
        work.physical_id = work.physical_name

    def reference(self, work: Work) -> Any:
        return engine_of(work).signal_url(work) if work.physical_id else work.physical_name

    def signal(self, work: Work, details: Any) -> str | None:
        given = work.properties
        adjustment = ADJUSTMENTS[given["AdjustmentType"]], given["ScalingAdjustment"], given["MinAdjustmentStep"]
        return obey(work, details, SCALED, given["AutoScalingGroupName"], given["Cooldown"], adjustment)

    def attribute(self, work: Work, name: str) -> Any:
        return engine_of(work).signal_url(work)


SCALED = CfnAutoScalingGroup()
