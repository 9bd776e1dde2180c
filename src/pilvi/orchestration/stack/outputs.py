"""The outputs of a stack, resolved against what is there now. Outside transactions."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilvi.core.context import Call
from pilvi.core.errors import Failure, NotFound
from pilvi.orchestration.resources.tables import Stack
from pilvi.orchestration.stack import live
from pilvi.orchestration.stack.plan import RecordingScope
from pilvi.orchestration.template import functions

if TYPE_CHECKING:
    from pilvi.core.http.app import Application
    from pilvi.orchestration.stack.plan import Plan
    from pilvi.orchestration.template.parse import Output


def _active(plan: Plan) -> dict[str, Output]:
    scope = RecordingScope(plan.template.version, plan.template.conditions, plan.values, plan.files, {}, plan.facade)
    return {name: one for name, one in plan.template.outputs.items() if functions.holds(one.condition, scope)}


def _scope(application: Application, call: Call, stack: Stack, plan: Plan, wanted: list[Output]) -> live.LiveScope:
    names: set[str] = set()
    for one in wanted:
        try: names |= live.names_in(plan, one.value)
        except Failure: continue  # told when it is resolved
    with application.database.read() as db: rows = live.current_rows(db, stack.id, names)
    return live.LiveScope(application, call, stack, plan, rows)


def outputs(application: Application, call: Call, stack: Stack, *, resolve: bool = True) -> list[dict[str, Any]]:
    """All outputs as the API tells them; one that can't be resolved tells why."""
    plan = application.state["plans"].of(stack)
    active = _active(plan)
    if not resolve: return [{"output_key": name, "description": one.description} for name, one in active.items()]
    scope = _scope(application, call, stack, plan, list(active.values()))
    return [_told(scope, one) for one in active.values()]


def output(application: Application, call: Call, stack: Stack, name: str) -> dict[str, Any] | None:
    """One output as the API tells it; None if there is none of that name."""
    plan = application.state["plans"].of(stack)
    one = _active(plan).get(name)
    return None if one is None else _told(_scope(application, call, stack, plan, [one]), one)


def output_of(application: Application, call: Call, stack: Stack, name: str) -> Any:
    """An output's value. Raises NotFound and what its functions raise."""
    plan = application.state["plans"].of(stack)
    one = _active(plan).get(name)
    if one is None: raise NotFound(f"There is no output {name} in the stack {stack.name}")
    return functions.resolve(one.value, _scope(application, call, stack, plan, [one]))


def _told(scope: live.LiveScope, one: Output) -> dict[str, Any]:
    told: dict[str, Any] = {"output_key": one.name, "description": one.description, "output_value": None}
    try: told["output_value"] = functions.resolve(one.value, scope)
    except Failure as failure: told["output_error"] = failure.message
    return told
