"""Actions on a stack: suspend, resume, check, cancel an update with and without rollback.

Source: Orchestration API, "Stack actions".
"""
from __future__ import annotations

from sqlalchemy.orm import Session

from pilvi.core.context import Call
from pilvi.core.http.app import Response
from pilvi.core.http.routes import Route
from pilvi.core.policy import Rule
from pilvi.core.resource import PERSONAS
from pilvi.core.state import WrongState
from pilvi.orchestration import errors
from pilvi.orchestration.resources import lookup
from pilvi.orchestration.resources.tables import Stack
from pilvi.orchestration.stack import converge

ACTIONS = ("suspend", "resume", "check", "cancel_update", "cancel_without_rollback")
RULES = {"actions:action": Rule(PERSONAS["member"]), **{f"actions:{name}": Rule(PERSONAS["member"]) for name in ACTIONS}}


def act(call: Call, stack_name: str, stack_id: str) -> Response:
    """POST …/actions: {ACTION: null}"""
    assert call.application is not None
    if not isinstance(call.body, dict) or not call.body: raise errors.RequestInvalid(reason="No action specified")
    if len(call.body) > 1: raise errors.RequestInvalid(reason="Multiple actions specified")
    name = next(iter(call.body))
    if name not in ACTIONS: raise errors.RequestInvalid(reason=f"Invalid action {str(name)[:80]} specified")
    with call.application.database.write() as db:
        stack = lookup.find(db, call, stack_name, stack_id)
        if name.startswith("cancel"): _cancel(call, db, stack, rollback=name == "cancel_update")
        else: _begin(db, stack, name.upper())
    return Response(200 if name in ("suspend", "resume", "check") else 202, None)


def _begin(db: Session, stack: Stack, action: str) -> None:
    if stack.busy == action: return
    try: converge.begin(db, stack, action, {})
    except WrongState: raise errors.ActionInProgress(name=stack.name, action=stack.busy or stack.state) from None


def _cancel(call: Call, db: Session, stack: Stack, *, rollback: bool) -> None:
    """An update (or a create) in progress: back to what was, or where it stands."""
    assert call.application is not None
    if stack.busy not in (("UPDATE", "ROLLBACK") if rollback else ("CREATE", "UPDATE", "ROLLBACK")):
        raise errors.ActionUnsupported(action="Cancelling", what=f"a stack that is in {stack.busy or stack.state}")
    if rollback and stack.busy == "UPDATE": converge.roll_back(db, call.application, stack, "User cancelled stack update")
    elif not rollback: converge.stop(db, stack, f"User cancelled stack {(stack.busy or '').lower()}")


ROUTES = [Route("/v1/stacks/{stack_name}/{stack_id}/actions", "POST", act, "actions:action")]
