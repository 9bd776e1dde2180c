"""Trusts behind trust+http actions: the alarm's maker lets the cloud's own user act for it when the alarm is told.

Source: Alarming API v2 (Aodh), "trust+http"; Identity API v3, "OS-TRUST".
"""
from __future__ import annotations

import structlog

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.errors import Failure, Invalid, NotFound, Unauthenticated, Unavailable
from pilvi.core.http.app import Application
from pilvi.identity import client as identity
from pilvi.telemetry import errors

LOG = structlog.get_logger()
RENEW_SECONDS = 120.0


def make(call: Call) -> str:
    """The id of a new trust of the caller's. Outside any transaction. Raises TrustUnavailable."""
    assert call.application is not None
    try: return identity.create_trust(call, _trustee(call.application))
    except Unavailable: raise
    except Failure as failure: raise errors.TrustUnavailable(reason=failure.message) from None


def drop(call: Call, trust_id: str) -> None:
    """Ends a trust; one that only its maker may end stays if another deletes the alarm, and nobody uses it."""
    try: identity.delete_trust(call, trust_id)
    except Failure as failure: LOG.warning("trust not ended", trust=trust_id, reason=failure.message)


def token(application: Application, trust_id: str) -> str:
    """A token of the trust. Raises Unavailable, or Invalid when the trust does not hold any more."""
    known: dict[str, tuple[str, float]] = application.state.setdefault("trust_tokens", {})
    found = known.get(trust_id)
    if found is None or found[1] - clock.now() < RENEW_SECONDS:
        try: found = identity.log_in_with_trust(_trustee(application), application.state["service_tokens"].password, trust_id)
        except (NotFound, Unauthenticated) as failure: raise Invalid(f"the trust does not hold any more: {failure.message}") from None
        known[trust_id] = found
        for old in [id for id, (_, until) in known.items() if until < clock.now()]: known.pop(old, None)
    return found[0]


def _trustee(application: Application) -> str:
    """The id of the user whom the trusts are given to: the cloud's own."""
    if "trustee" not in application.state:
        application.state["trustee"] = identity.validate(application.state["service_call"]().token, None).user_id
    return str(application.state["trustee"])
