"""From an assertion that is believed to a token: the mapping, the person, the audit log; and the page that takes it to a dashboard."""
from __future__ import annotations

import html
import re
from collections.abc import Callable
from functools import wraps

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.errors import Failure, Forbidden
from pilvi.core.http.app import Application, Response
from pilvi.identity import errors
from pilvi.identity.federation import mapping as engine
from pilvi.identity.federation.person import Visitor, receive
from pilvi.identity.resources import audit_record
from pilvi.identity.resources.identity_provider import IdentityProvider
from pilvi.identity.resources.mapping import AttributeMapping
from pilvi.identity.resources.protocol import Protocol
from pilvi.identity.token.formats import Payload, new_audit_id

TICKET = re.compile(r"[0-9a-f]{64}")

def admit(call: Call, idp_id: str, protocol_id: str, remote_attribute: str, ask: Callable[[], dict[str, str]]) -> Payload:
    """An unscoped token's content for whom the provider vouches. `ask` gives its assertion; `remote_attribute` is where that names the
    provider, unless the protocol says otherwise. Each attempt is told to the audit log. Raises LoginRefused, Forbidden, NotFound."""
    assert call.application is not None
    database = call.application.database
    try: payload = _admit(call, idp_id, protocol_id, remote_attribute, ask())
    except Failure as failure:
        with database.write() as db: audit_record.note_login(db, "", "failure", [protocol_id[:64]], reason=str(failure.status))
        raise
    with database.write() as db: audit_record.note_login(db, payload.user_id, "success", [protocol_id])
    return payload


def _admit(call: Call, idp_id: str, protocol_id: str, remote_attribute: str, assertion: dict[str, str]) -> Payload:
    assert call.application is not None
    app = call.application
    with app.database.write() as db:
        provider, protocol = db.get(IdentityProvider, idp_id), db.get(Protocol, (idp_id, protocol_id))
        if provider is None: raise errors.IdentityProviderNotFound(id=idp_id)
        if protocol is None: raise errors.ProtocolNotFound(id=protocol_id)
        if not provider.enabled: raise Forbidden(f"Identity Provider {idp_id} is disabled.")
        remote = assertion.get(protocol.remote_id_attribute or remote_attribute)
        if provider.remote_ids and remote not in provider.remote_ids: raise Forbidden(
            f"Incoming identity provider identifier is not among those of {idp_id}.")
        rules = db.get(AttributeMapping, protocol.mapping_id)
        if rules is None: raise errors.MappingNotFound(id=protocol.mapping_id)
        visitor = receive(db, provider, protocol_id, engine.apply(rules.rules, assertion))
    return _payload(app.config.token_seconds, visitor, idp_id, protocol_id)


def _payload(token_seconds: int, visitor: Visitor, idp_id: str, protocol_id: str) -> Payload:
    now = clock.now()
    federated = None if visitor.groups is None else (idp_id, protocol_id, visitor.groups)
    return Payload(visitor.user_id, [protocol_id], "", "", now, now + token_seconds, [new_audit_id()], None, federated)


# -- with a browser

def check_origin(call: Call) -> str:
    """Where the browser is to bring its token. Raises LoginRefused for what is no dashboard of ours."""
    assert call.application is not None and call.request is not None
    origin = call.request.one("origin") or ""
    if origin not in call.application.config.trusted_dashboards and not _is_own(call.application, origin):
        raise errors.LoginRefused(f"{origin or 'The origin'} is not a trusted dashboard host.")
    return origin


def _is_own(application: Application, origin: str) -> bool:
    """This cloud's dashboard, at the address that the settings give (a request's own Host could be anybody's), behind it the ticket by
    which the dashboard knows the browser that set out."""
    receiver: str = application.state.get("dashboard_receiver", "")
    return bool(receiver) and origin.startswith(receiver + "/") and TICKET.fullmatch(origin, len(receiver) + 1) is not None


def hand_over(call: Call, payload: Payload, origin: str) -> Response:
    """A page that takes the token to the dashboard."""
    assert call.application is not None
    token = call.application.state["keyring"].seal(payload)
    return Response(200, FORM.format(origin=html.escape(origin), token=html.escape(token)).encode(), {
        "cache-control": "no-store", "content-security-policy": f"default-src 'none'; script-src 'sha256-{SCRIPT_HASH}'"},
        media_type="text/html; charset=utf-8")


def for_people(function: Callable[..., Response]) -> Callable[..., Response]:
    """A route to which browsers go by themselves: they get its failures as a page with a way back, programs as everywhere."""
    @wraps(function)
    def told(call: Call, **names: str) -> Response:
        assert call.application is not None and call.request is not None
        try: return function(call, **names)
        except Failure as failure:
            if "text/html" not in call.request.headers.get("accept", ""): raise
            cloud = call.application.identity_url.rpartition("/")[0] + "/"  # it sends browsers on to the dashboard
            page = REFUSAL.format(reason=html.escape(failure.message), cloud=html.escape(cloud))
            return Response(failure.status, page.encode(), {"cache-control": "no-store", "content-security-policy": "default-src 'none'"},
                            media_type="text/html; charset=utf-8")

    return told


SCRIPT = "document.forms[0].submit()"
SCRIPT_HASH = "ePniVEkSivX/c7XWBGafqh8tSpiRrKiqYeqbG7N1TOE="
FORM = ('<!doctype html><title>Signing in</title><form action="{origin}" method="post"><input type="hidden" name="token" value="{token}">'
        f"<noscript><button>Continue</button></noscript></form><script>{SCRIPT}</script>")
REFUSAL = ('<!doctype html><html lang="en"><title>Not signed in</title><h1>Not signed in</h1><p>{reason}</p>'
           '<p><a href="{cloud}">Back to the cloud</a></p></html>')
