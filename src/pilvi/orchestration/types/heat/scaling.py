"""OS::Heat::AutoScalingGroup and OS::Heat::ScalingPolicy: a group whose size signals change.

A policy's signal URL is a plain POST, so an alarm can call it. The group remembers its members' names; the oldest go first.

Source: Template Guide, "OS::Heat::AutoScalingGroup", "OS::Heat::ScalingPolicy".
"""
from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pilvi.core import clock
from pilvi.core.crypto import new_hex_id
from pilvi.core.errors import Conflict, NotFound
from pilvi.orchestration.template import values
from pilvi.orchestration.template.budget import Budget
from pilvi.orchestration.template.schema import AllowedValues, Range
from pilvi.orchestration.types.heat.group import MEMBERS_MOST, RESOURCE_DEF, VERSION, Group, definition
from pilvi.orchestration.types.heat.nested import engine_of
from pilvi.orchestration.types.interface import (
    LIST,
    MAP,
    Attribute,
    Child,
    Place,
    PropertyInvalid,
    ResourceType,
    Work,
    integer,
    map_of,
    number,
    string,
)

CHANGE, EXACT, PERCENT = "change_in_capacity", "exact_capacity", "percent_change_in_capacity"


class NoScaling(Conflict):
    """{reason}"""
    code = "NoActionRequired"


class AutoScalingGroup(Group):
    """Between min_size and max_size members; scaling policies and updates of desired_capacity say how many."""
    name = "OS::Heat::AutoScalingGroup"
    description = "An autoscaling group that can scale arbitrary resources."
    properties = {
        "resource": map_of(RESOURCE_DEF, "Resource definition for the resources in the group, in HOT format.", required=True, update=True),
        "max_size": integer("Maximum number of resources in the group.", required=True, update=True,
                            constraints=(Range(0, MEMBERS_MOST),)),
        "min_size": integer("Minimum number of resources in the group.", required=True, update=True, constraints=(Range(min=0),)),
        "desired_capacity": integer("Desired initial number of resources.", update=True),
        "cooldown": integer("Cooldown period, in seconds.", update=True),
        "rolling_updates": map_of({
            "min_in_service": integer("The minimum number of resources in service while rolling updates are being executed.", default=0),
            "max_batch_size": integer("The maximum number of resources to replace at once.", default=1, constraints=(Range(min=1),)),
            "pause_time": number("The number of seconds to wait between batches of updates.", default=0, constraints=(Range(min=0),)),
        }, "Policy for rolling updates for this scaling group.", default={"min_in_service": 0, "max_batch_size": 1, "pause_time": 0},
            update=True)}
    attributes = {
        "outputs": Attribute("A map of resource names to the specified attribute of each individual resource.", MAP),
        "outputs_list": Attribute("A list of the specified attribute of each individual resource.", LIST),
        "current_size": Attribute("The current size of AutoscalingResourceGroup.", "integer"),
        "refs": Attribute("A list of resource IDs for the resources in the group.", LIST),
        "refs_map": Attribute("A map of resource names to IDs for the resources in the group.", MAP)}

    def validate(self, properties: Mapping[str, Any]) -> None:
        least, most, wanted = properties["min_size"], properties["max_size"], properties["desired_capacity"]
        if None not in (least, most) and least > most:
            raise PropertyInvalid(path="min_size", reason="MinSize can not be greater than MaxSize")
        if None not in (wanted, least, most) and not least <= wanted <= most:
            raise PropertyInvalid(path="desired_capacity", reason="DesiredCapacity must be between MinSize and MaxSize")

    def child(self, name: str, properties: Mapping[str, Any], place: Place, data: Mapping[str, Any]) -> Child:
        count = clamp(properties, data.get("capacity", properties["desired_capacity"]))
        names = data.get("members") or [f"member-{one}" for one in range(count)]
        budget = Budget()
        made = {one: definition(properties["resource"], {}, budget) for one in names} if (properties["resource"] or {}).get("type") else {}
        return Child({"heat_template_version": VERSION, "resources": made}, {}, place.environment.within(name))

    def create(self, work: Work) -> None:
        work.data["capacity"] = clamp(work.properties, work.properties["desired_capacity"])
        work.data["members"] = resized([], work.data["capacity"])
        super().create(work)

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        wanted = work.properties["desired_capacity"] if "desired_capacity" in changes else None
        work.data["capacity"] = clamp(work.properties, work.data.get("capacity") if wanted is None else wanted)
        work.data["members"] = resized(work.data.get("members", []), work.data["capacity"])
        super().update(work, changes)

    def adjust(self, work: Work, kind: str, amount: float, least_step: int | None, now: float) -> str:
        """Begins to scale; says what it did. Raises NoScaling when nothing is to be done now."""
        found = engine_of(work).child_status(work)
        if found is None: raise NotFound(f"The group {work.name} has no members' stack")
        if found[1]: raise NoScaling(reason=f"Group {work.name} is already scaling")
        waits = work.properties["cooldown"] or 0
        if now < work.data.get("scaled_at", 0.0) + waits: raise NoScaling(reason=f"Group {work.name} is in its cooldown")
        current = len(work.data.get("members", []))
        wanted = clamp(work.properties, capacity(current, kind, amount, least_step))
        if wanted == current: raise NoScaling(reason=f"Group {work.name} has {current} members, no change in capacity")
        work.data |= {"capacity": wanted, "members": resized(work.data.get("members", []), wanted), "scaled_at": now}
        engine_of(work).write_data(work.resource_id, {key: work.data[key] for key in ("capacity", "members", "scaled_at")})
        engine_of(work).update_child(work, self.wanted(work))
        return f"from {current} to {wanted} members"

    def attribute_at(self, work: Work, name: str, path: list[Any]) -> Any:
        if name == "current_size": return len(self.members(work))
        if name == "outputs" and path: return super().attribute_at(work, "attributes", path)
        if name == "outputs_list" and path:
            return [self.of(work, one.name, str(path[0]), path[1:]) for one in self.members(work)]
        return values.select(super().attribute_at(work, name, path), []) if name not in ("outputs", "outputs_list") else None


def clamp(properties: Mapping[str, Any], wanted: int | None) -> int:
    """How many members: what is wanted, within the bounds."""
    least, most = properties["min_size"] or 0, properties["max_size"] or 0
    return max(least, min(most, least if wanted is None else wanted))


def resized(members: list[str], count: int) -> list[str]:
    """So many members: the oldest go, new ones get new names."""
    kept = members[max(0, len(members) - count):]
    return kept + [new_hex_id()[:12] for _ in range(count - len(kept))]


def capacity(current: int, kind: str, amount: float, least_step: int | None) -> int:
    """The new size that an adjustment means."""
    if kind == EXACT: return int(amount)
    if kind == CHANGE: return current + int(amount)
    exact = current * amount / 100.0
    step = int(math.copysign(math.ceil(abs(exact)), exact)) if abs(exact) < 1.0 else int(exact)
    if least_step and amount and abs(step) < least_step: step = least_step if amount > 0 else -least_step
    return current + step


def obey(work: Work, details: Any, kind: AutoScalingGroup, named: str, cooldown: int | None,
         adjustment: tuple[str, float, int | None]) -> str:
    """What a policy does at a signal: adjusts the group of that kind and name by (what it means, amount, least step), unless the alarm
    says that all is well or the policy acted less than `cooldown` seconds ago. Says what it did. Raises NotFound."""
    said = (details.get("current") or details.get("state") or "alarm") if isinstance(details, Mapping) else "alarm"
    if said != "alarm": return f"alarm state changed to {said}, nothing to do"
    now = clock.now()
    if now < work.data.get("scaled_at", 0.0) + (cooldown or 0): return f"NoActionRequired: {work.name} is in its cooldown"
    group = engine_of(work).sibling(work, named)
    if group is None: raise NotFound(f'Alarm {work.name} could not find scaling group named "{named}"')
    try: done = kind.adjust(group, *adjustment, now)
    except NoScaling as reason: return f"NoActionRequired: {reason.message}"
    work.data["scaled_at"] = now
    return f"alarm: scaling group {done}"


class ScalingPolicy(ResourceType):
    """Changes a group's size when it is signalled."""
    name = "OS::Heat::ScalingPolicy"
    description = "A resource to manage scaling of `OS::Heat::AutoScalingGroup`."
    properties = {
        "auto_scaling_group_id": string("AutoScaling group ID to apply policy to.", required=True),
        "scaling_adjustment": number("Size of adjustment.", required=True, update=True),
        "adjustment_type": string("Type of adjustment (absolute or percentage).", required=True, update=True,
                                  constraints=(AllowedValues((CHANGE, EXACT, PERCENT)),)),
        "cooldown": integer("Cooldown period, in seconds.", update=True),
        "min_adjustment_step": integer("Minimum number of resources that are added or removed when the group scales up or down, for "
                                       "adjustments in percent.", update=True, constraints=(Range(min=0),))}
    attributes = {"alarm_url": Attribute("A signed url to handle the alarm."), "signal_url": Attribute("A url to handle the alarm.")}

    def validate(self, properties: Mapping[str, Any]) -> None:
        if properties["min_adjustment_step"] is not None and properties["adjustment_type"] not in (None, PERCENT):
            raise PropertyInvalid(path="min_adjustment_step", reason=f"only valid for adjustment type {PERCENT}")

    def create(self, work: Work) -> None:
        work.physical_id = work.physical_name

    def signal(self, work: Work, details: Any) -> str | None:
        given = work.properties
        adjustment = given["adjustment_type"], given["scaling_adjustment"], given["min_adjustment_step"]
        return obey(work, details, SCALED, given["auto_scaling_group_id"], given["cooldown"], adjustment)

    def attribute(self, work: Work, name: str) -> Any:
        return engine_of(work).signal_url(work)


SCALED = AutoScalingGroup()
