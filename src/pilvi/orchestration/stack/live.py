"""Resolving a template's values against what is there: references and attributes of a stack's resources, asked of their types.

Not inside a transaction: attributes are asked of other services.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import select

from pilvi.core.context import Call
from pilvi.core.errors import Failure
from pilvi.orchestration.errors import TemplateInvalid
from pilvi.orchestration.resources.tables import Stack, StackResource
from pilvi.orchestration.stack.plan import Plan, RecordingScope
from pilvi.orchestration.template import functions, values
from pilvi.orchestration.template.budget import Budget
from pilvi.orchestration.template.environment import is_file
from pilvi.orchestration.types import TYPES, type_of
from pilvi.orchestration.types.heat.provider import provider
from pilvi.orchestration.types.interface import Place, ResourceType, Work, present_names, taken

if TYPE_CHECKING:
    from pilvi.core.http.app import Application

LOG = structlog.get_logger()


def kind_of(plan: Plan, row: StackResource) -> ResourceType:
    """The type of a resource that is there; also of one that the plan no longer has."""
    planned = plan.resources.get(row.name)
    if planned is not None and planned.type_name == row.type: return planned.type
    if is_file(row.type) and row.type in plan.files: return provider(row.type, plan.files[row.type])
    if is_file(row.type) or row.type not in TYPES: return type_of("OS::Heat::Stack" if is_file(row.type) else "OS::Heat::None")
    return type_of(row.type)


def work_of(application: Application, call: Call, stack: Stack, plan: Plan, row: StackResource) -> Work:
    """A resource for its type's hooks."""
    kind = kind_of(plan, row)
    schema = kind.properties
    wanted = (row.progress or {}).get("wanted") if row.busy == "UPDATE" else None
    written = row.properties or {} if wanted is None else wanted
    given = dict(written) if kind.takes_anything else present_names(schema, written)
    try: properties = taken(kind, given)
    except Failure: properties = {name: given.get(name, rules.default) for name, rules in schema.items()}  # what is there stays reachable
    return Work(application, call, row.id, row.name, stack.id, stack.name, stack.project_id, properties, row.physical_id,
                dict(row.data or {}), dict(row.meta or {}), engine=application.state.get("door"), user_id=stack.user_id,
                began_at=(row.progress or {}).get("began_at", row.created_at), place=Place(plan.environment, plan.files, plan.depth))


def current_rows(db: Any, stack_id: str, names: Iterable[str] | None = None) -> dict[str, StackResource]:
    """{name: the row that stands for it now}: the newest that is not deleted."""
    statement = select(StackResource).where(StackResource.stack_id == stack_id, StackResource.state != "DELETE_COMPLETE")
    if names is not None:
        wanted = list(names)
        if not wanted: return {}
        statement = statement.where(StackResource.name.in_(wanted))
    found: dict[str, StackResource] = {}
    for row in db.scalars(statement.order_by(StackResource.created_at)):
        if row.name not in found or row.replaced_by is None: found[row.name] = row
    return found


class LiveScope:
    """A scope in which the stack's resources are what they are."""

    def __init__(self, application: Application, call: Call, stack: Stack, plan: Plan, rows: Mapping[str, StackResource]) -> None:
        self.application, self.call, self.stack, self.plan, self.rows = application, call, stack, plan, rows
        self.version, self.conditions = plan.template.version, plan.template.conditions
        self.budget = Budget()
        self._asked: dict[tuple[str, str], Any] = {}

    def parameter(self, name: str) -> Any:
        return self.plan.values.get(name)

    def has_parameter(self, name: str) -> bool:
        return name in self.plan.values.schema or name in self.plan.values.pseudo

    def reference(self, name: str) -> Any:
        row = self.rows.get(name)
        if row is None:
            if name not in self.plan.template.resources: raise TemplateInvalid(reason=f'The specified reference "{name}" is incorrect.')
            return name
        return kind_of(self.plan, row).reference(self._work(row))

    def attribute(self, name: str, attribute: str | None, path: list[Any]) -> Any:
        row = self.rows.get(name)
        if row is None or row.state.startswith("INIT") or (row.busy == "CREATE" and not row.physical_id): return None
        kind = kind_of(self.plan, row)
        if attribute is None: return {one: self._ask(row, kind, one) for one in kind.attributes if one != "show"}
        if len(path) and kind.more_attributes(attribute): return kind.attribute_at(self._work(row), attribute, path)
        return values.select(self._ask(row, kind, attribute), path)

    def _ask(self, row: StackResource, kind: ResourceType, attribute: str) -> Any:
        key = (row.name, attribute)
        if key not in self._asked:
            try: self._asked[key] = kind.attribute(self._work(row), attribute)
            except TemplateInvalid: raise
            except Failure as failure:
                LOG.info("attribute not known", resource=row.name, attribute=attribute, reason=failure.message)
                self._asked[key] = None
        return self._asked[key]

    def _work(self, row: StackResource) -> Work:
        return work_of(self.application, self.call, self.stack, self.plan, row)

    def file(self, name: str) -> str:
        if name not in self.plan.files: raise TemplateInvalid(reason=f'No content found in the "files" section for get_file path: {name}')
        return str(self.plan.files[name])

    def facade(self, part: str) -> Any:
        return self.plan.facade.get(part) or ({} if part != "deletion_policy" else "Delete")


def names_in(plan: Plan, value: Any) -> set[str]:
    """The resources that a value of the template refers to. Raises TemplateInvalid."""
    scope = RecordingScope(plan.template.version, plan.template.conditions, plan.values, plan.files, dict.fromkeys(plan.template.resources),
                           plan.facade)
    functions.resolve(value, scope)
    return scope.seen
