"""OS::Heat::ResourceGroup and OS::Heat::ResourceChain: many resources from one definition, as a nested stack.

Source: Template Guide, "OS::Heat::ResourceGroup", "OS::Heat::ResourceChain".
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilvi.orchestration.errors import TemplateInvalid
from pilvi.orchestration.template import values
from pilvi.orchestration.template.budget import Budget, substitute
from pilvi.orchestration.template.schema import AllowedValues, Length, Range
from pilvi.orchestration.types.heat.nested import NestedType, engine_of
from pilvi.orchestration.types.interface import (
    ANY,
    LIST,
    MAP,
    Attribute,
    Child,
    Member,
    Place,
    Property,
    Work,
    boolean,
    integer,
    list_of,
    map_of,
    string,
)

VERSION = "2015-04-30"
MEMBERS_MOST = 1000


class Group(NestedType):
    """What groups share: members by name, and attributes that ask each of them."""

    def more_attributes(self, name: str) -> bool:
        return True

    def attribute(self, work: Work, name: str) -> Any:
        return self.attribute_at(work, name, [])

    def attribute_at(self, work: Work, name: str, path: list[Any]) -> Any:
        """`refs`, `refs_map`, `attributes`, `resource.N…`, or an attribute of every member as a list."""
        found = self.members(work)
        if name == "refs": return values.select([one.reference for one in found], path)
        if name == "refs_map": return values.select({one.name: one.reference for one in found}, path)
        if name == "attributes":
            if not path: raise TemplateInvalid(reason='"attributes" of a group needs the name of an attribute')
            return {one.name: self.of(work, one.name, str(path[0]), path[1:]) for one in found}
        if name.startswith("resource."): return self.one(work, found, name, path)
        return [self.of(work, one.name, name, path) for one in found]

    def one(self, work: Work, found: Sequence[Member], name: str, path: list[Any]) -> Any:
        """resource.N or resource.N.attribute"""
        member, _, attribute = name.removeprefix("resource.").partition(".")
        chosen = next((one for one in found if one.name == member), None)
        if chosen is None: raise TemplateInvalid(reason=f"The Referenced Attribute ({work.name} {name}) is incorrect.")
        if not attribute and not path: return chosen.reference
        return self.of(work, member, attribute or str(path[0]), path if attribute else path[1:])

    def of(self, work: Work, member: str, attribute: str, path: list[Any]) -> Any:
        """An attribute of one member."""
        return engine_of(work).member_attribute(work, member, attribute, path)

    def members(self, work: Work) -> list[Member]:
        """In the order in which the group counts them."""
        return sorted(engine_of(work).members(work), key=lambda one: (len(one.name), one.name))


def definition(written: Mapping[str, Any], turn: Mapping[str, Any], budget: Budget) -> dict[str, Any]:
    """A member as a template writes it; `turn` are the placeholders of this member, `budget` is that of all members."""
    made: dict[str, Any] = {"type": substitute(written["type"], turn, budget)}
    for part in ("properties", "metadata"):
        if written.get(part): made[part] = substitute(dict(written[part]), turn, budget)
    return made


RESOURCE_DEF = {
    "type": string("The type of the resources in the group.", required=True),
    "properties": Property(MAP, "Property values for the resources in the group."),
    "metadata": Property(MAP, "Supplied metadata for the resources in the group.")}


class ResourceGroup(Group):
    """`count` members, named by number; those that were removed leave a gap that is not filled again."""
    name = "OS::Heat::ResourceGroup"
    description = "Creates one or more identically configured nested resources."
    properties = {
        "count": integer("The number of resources to create.", default=1, update=True, constraints=(Range(0, MEMBERS_MOST),)),
        "index_var": string("A variable that this resource will use to replace with the current index of a given resource in the group.",
                            default="%index%", constraints=(Length(min=3),)),
        "resource_def": map_of(RESOURCE_DEF, "Resource definition for the resources in the group.", required=True, update=True),
        "removal_policies": list_of(map_of({
            "resource_list": list_of(Property(ANY), "List of resources to be removed when doing an update which requires removal of "
                                                    "specific resources.", default=[])}),
            "Policies for removal of resources on update.", default=[], update=True),
        "removal_policies_mode": string("How to handle changes to removal_policies on update.", default="append", update=True,
                                        constraints=(AllowedValues(("append", "update")),), since="10.0.0")}
    attributes = {
        "refs": Attribute("A list of resource IDs for the resources in the group.", LIST),
        "refs_map": Attribute("A map of resource names to IDs for the resources in the group.", MAP),
        "attributes": Attribute("A map of resource names to the specified attribute of each individual resource.", MAP),
        "removed_rsrc_list": Attribute("A list of removed resource names.", LIST)}

    def child(self, name: str, properties: Mapping[str, Any], place: Place, data: Mapping[str, Any]) -> Child:
        removed = set(data.get("removed", ()))
        written, marker = properties["resource_def"] or {}, properties["index_var"] or "%index%"
        names: list[str] = []
        number = 0
        while len(names) < (properties["count"] or 0):
            if str(number) not in removed: names.append(str(number))
            number += 1
        budget = Budget()
        made = {one: definition(written, {marker: one}, budget) for one in names} if written.get("type") else {}
        return Child({"heat_template_version": VERSION, "resources": made}, {}, place.environment.within(name))

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        work.data["removed"] = self._removed(work)
        engine_of(work).update_child(work, self.wanted(work))

    def create(self, work: Work) -> None:
        work.data["removed"] = sorted(self._listed(work.properties["removal_policies"]))
        super().create(work)

    def _listed(self, policies: Any) -> set[str]:
        return {str(one) for policy in policies or () for one in policy["resource_list"] or ()}

    def _removed(self, work: Work) -> list[str]:
        """Names of members that the policies rule out, also those that they name by physical id."""
        wanted = self._listed(work.properties["removal_policies"])
        old = set(work.data.get("removed", ())) if work.properties["removal_policies_mode"] == "append" else set()
        by_id = {one.physical_id: one.name for one in engine_of(work).members(work)}
        by_reference = {str(one.reference): one.name for one in engine_of(work).members(work)}
        return sorted(old | {by_id.get(word, by_reference.get(word, word)) for word in wanted})

    def attribute_at(self, work: Work, name: str, path: list[Any]) -> Any:
        if name == "removed_rsrc_list": return work.data.get("removed", [])
        return super().attribute_at(work, name, path)


class ResourceChain(Group):
    """Resources of several types with the same properties, one after the other."""
    name = "OS::Heat::ResourceChain"
    description = "Creates one or more resources with the same configuration."
    since = "6.0.0"
    properties = {
        "resources": list_of(string(), "The list of resource types to create.", required=True, update=True),
        "concurrent": boolean("If the resources in the chain should be created concurrently.", default=False),
        "resource_properties": Property(MAP, "Properties to pass to each resource being created in the chain.")}
    attributes = {"refs": Attribute("A list of resource IDs for the resources in the chain.", LIST),
                  "attributes": Attribute("A map of resource names to the specified attribute of each individual resource.", MAP)}

    def child(self, name: str, properties: Mapping[str, Any], place: Place, data: Mapping[str, Any]) -> Child:
        made: dict[str, Any] = {}
        for number, kind in enumerate(properties["resources"] or ()):
            one: dict[str, Any] = {"type": kind}
            if properties["resource_properties"]: one["properties"] = properties["resource_properties"]
            if number and not properties["concurrent"]: one["depends_on"] = [str(number - 1)]
            made[str(number)] = one
        return Child({"heat_template_version": VERSION, "resources": made}, {}, place.environment.within(name))

