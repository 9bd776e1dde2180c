"""How the cloud acts for a stack's owner after the request: with a trust that the owner's token made when the stack was created.

A request's own token is used while it is there (validation, outputs); everything that a task does is done with a token of the trust, which
lets the cloud's service user act in the owner's project with the roles the owner had. The trust ends with the stack.
"""
from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import select

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.errors import Failure, Forbidden, Unavailable
from pilvi.identity import client as identity
from pilvi.orchestration.resources.tables import Stack

if TYPE_CHECKING:
    from pilvi.core.http.app import Application

LOG = structlog.get_logger()
RENEW_SECONDS = 120.0


class Acting:
    """Tokens of trusts, remembered until shortly before they end. Callable from any thread."""

    def __init__(self, application: Application) -> None:
        self._service = application.state["service_tokens"]
        self._user_id = ""
        self._tokens: dict[str, tuple[str, float]] = {}
        self._lock = Lock()

    def user_id(self) -> str:
        """The service user to whom owners entrust their stacks."""
        if not self._user_id: self._user_id = identity.validate(self._service.current()[0], None).user_id
        return self._user_id

    def token(self, trust_id: str) -> str:
        """A token of the trust. Raises Unauthenticated, Forbidden, Unavailable."""
        now = clock.now()
        with self._lock: known = self._tokens.get(trust_id)
        if known and known[1] - now > RENEW_SECONDS: return known[0]
        fresh = identity.log_in_with_trust(self.user_id(), self._service.password, trust_id)
        with self._lock:
            self._tokens = {trust: token for trust, token in self._tokens.items() if token[1] > now} | {trust_id: fresh}
        return fresh[0]

    def forget(self, trust_id: str) -> None:
        """Its token was refused, or the trust has ended."""
        with self._lock: self._tokens.pop(trust_id, None)


def given(call: Call) -> dict[str, Any]:
    """What a new stack keeps of the request's authority. Outside any transaction. Raises Forbidden for one that can't be handed on."""
    assert call.application is not None
    acting: Acting = call.application.state["acting"]
    handed = call.identity.delegation
    if handed is not None and handed.kind == "trust" and handed.trustee_id == acting.user_id():
        return {"trust_id": handed.id, "borrowed": True}  # a stack that another stack made, through the API
    try: return {"trust_id": identity.create_trust(call, acting.user_id())}
    except Forbidden as failure:
        raise Forbidden(f"A stack needs authority that can be handed on: {failure.message}") from None


def call_for(application: Application, credentials: dict[str, Any] | None) -> Call:
    """A call on behalf of the stack's owner; one that opens nothing if the trust no longer holds. Raises Unavailable."""
    if not credentials: return Call()
    try: return Call(token=application.state["acting"].token(credentials["trust_id"]))
    except Unavailable: raise
    except Failure as failure:
        LOG.warning("trust does not hold", trust=credentials["trust_id"], reason=failure.message)
        return Call()


def renewed(call: Call, kept: dict[str, Any] | None) -> dict[str, Any]:
    """The stack's authority, or the caller's if that no longer holds (the owner is gone, or has lost a role). Outside any transaction."""
    assert call.application is not None
    return kept if kept and call_for(call.application, kept).token else given(call)


def release(application: Application, credentials: dict[str, Any]) -> None:
    """Ends what `given` made. Raises Unavailable."""
    if credentials.get("borrowed"): return
    acting: Acting = application.state["acting"]
    try: identity.delete_trust(Call(token=acting.token(credentials["trust_id"])), credentials["trust_id"])
    except Unavailable: raise
    except Failure as failure: LOG.info("trust was gone", trust=credentials["trust_id"], reason=failure.message)
    acting.forget(credentials["trust_id"])


def release_of_deleted(application: Application) -> None:
    """Ends the trusts of stacks that are gone; also of those whose end a crash cut short."""
    with application.database.read() as db:
        gone = db.execute(select(Stack.id, Stack.credentials).where(Stack.deleted_at.is_not(None), Stack.credentials.is_not(None))).all()
    for stack_id, kept in gone:
        if kept is None: continue
        release(application, kept)
        with application.database.write() as db:
            stack = db.get(Stack, stack_id)
            if stack is not None: stack.credentials = None
