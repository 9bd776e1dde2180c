"""New stacks, and new wishes for those that are there: what the API and nested types have in common. In the caller's transaction.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from pilvi.core.crypto import new_id
from pilvi.orchestration.resources.tables import Stack, StackResource
from pilvi.orchestration.stack import converge
from pilvi.orchestration.stack.plan import Plan
from pilvi.orchestration.types.heat.nested import NestedType


def requires_of(plan: Plan) -> dict[str, frozenset[str]]:
    """{resource: those it comes after}"""
    return {name: one.requires for name, one in plan.resources.items()}


def create(db: Session, plan: Plan, *, name: str, project_id: str, adopted: Mapping[str, Any] | None = None, **values: Any) -> Stack:
    """A new stack, whose convergence begins with the commit. `adopted`: {resource: (physical id, data)} of things that are there
    already; what is a stack itself is made anew."""
    stack = Stack(id=values.pop("id", None) or new_id(), name=name, project_id=project_id, state="INIT_COMPLETE",
                  template=plan.template.raw, files=dict(plan.files), environment=plan.environment.stored(),
                  description=plan.template.description, **values)
    db.add(stack)
    db.flush()
    for resource, (physical_id, data) in (adopted or {}).items():
        if resource not in plan.resources or isinstance(plan.resources[resource].type, NestedType): continue
        db.add(StackResource(stack_id=stack.id, name=resource, type=plan.resources[resource].type_name, physical_id=physical_id, data=data))
    db.flush()
    converge.begin(db, stack, "CREATE" if adopted is None else "ADOPT", requires_of(plan))
    return stack


def change(db: Session, stack: Stack, plan: Plan, *, action: str = "UPDATE", **values: Any) -> None:
    """The stack is to become what the plan says. What was is kept until that has come true. Raises WrongState."""
    stack.previous = stack.previous or converge.stated(stack)
    stack.template, stack.files, stack.environment = plan.template.raw, dict(plan.files), plan.environment.stored()
    stack.description = plan.template.description
    for name, value in values.items(): setattr(stack, name, value)
    db.flush()
    converge.begin(db, stack, action, requires_of(plan))


def same(stack: Stack, plan: Plan, facade: Mapping[str, Any] | None) -> bool:
    """Is the stack already what the plan says, or on its way there?"""
    return (stack.template == plan.template.raw and (stack.environment or {}) == plan.environment.stored() and stack.facade == facade
            and (stack.files or {}) == dict(plan.files))
