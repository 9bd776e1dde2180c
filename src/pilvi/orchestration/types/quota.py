"""What the services' quota types have in common: they set limits of a project, and give them back to the defaults in the end."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.core.errors import NotFound
from pilvi.orchestration.template.schema import Range
from pilvi.orchestration.types.finders import find
from pilvi.orchestration.types.interface import SHOW, Property, PropertyInvalid, ResourceType, Work, integer, string


def limit() -> Property:
    """A limit; -1 is none."""
    return integer("The most of it; -1: no limit.", update=True, constraints=(Range(-1),))


class Quota(ResourceType):
    """`path`, `singular`: where a project's limits are, and in which envelope. Only administrators may change them."""
    since = "8.0.0"
    service: str = ""
    path: str = ""
    singular: str = ""
    properties: Mapping[str, Property] = {"project": string("The project.", required=True, refers="keystone.project")}
    attributes = {"show": SHOW}

    def validate(self, properties: Mapping[str, Any]) -> None:
        if all(value is None for name, value in properties.items() if name != "project"):
            raise PropertyInvalid(path=self.name, reason="At least one limit must be given.")

    def create(self, work: Work) -> None:
        project = find(work.call, "keystone.project", work.properties["project"])
        self._set(work, project, work.properties)
        work.physical_id = work.physical_name
        work.data["project"] = project

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        """The API has no way to forget one limit: those that the template no longer names are set anew by forgetting all first."""
        if any(value is None for value in changes.values()): work.ask(self.service, "DELETE", self._of(work))
        self._set(work, work.data["project"], {**work.properties, **changes})

    def delete(self, work: Work) -> None:
        if "project" not in work.data: return
        try: work.ask(self.service, "DELETE", self._of(work))
        except NotFound: pass

    def attribute(self, work: Work, name: str) -> Any:
        return work.ask(self.service, "GET", self._of(work))[self.singular]

    def _of(self, work: Work) -> str:
        return f"{self.path}/{work.data['project']}"

    def _set(self, work: Work, project: str, values: Mapping[str, Any]) -> None:
        limits = {rules.wire or name: values[name] for name, rules in self.properties.items()
                  if name != "project" and values[name] is not None}
        work.ask(self.service, "PUT", f"{self.path}/{project}", {self.singular: limits})
