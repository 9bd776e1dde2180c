"""Issuing a token: POST /v3/auth/tokens (boot steps 1 and 2).

Source: Identity API v3, "Authentication and token management".
"""
from __future__ import annotations

from collections import OrderedDict
from typing import Any

from pilvi.core import clock, trace
from pilvi.core.context import Call
from pilvi.core.errors import Failure, Invalid
from pilvi.core.http.app import Application, Response
from pilvi.identity import errors
from pilvi.identity.resources import audit_record, trust
from pilvi.identity.token import receipt, scope
from pilvi.identity.token.facts import Facts, facts_of
from pilvi.identity.token.formats import Payload, new_audit_id
from pilvi.identity.token.methods import METHODS, Proof, domain_of
from pilvi.identity.token.validate import body_of, reach_of

STORIES = 10_000
TEXT = {"type": "string", "maxLength": 4096}
USER = {"type": "object", "properties": {**scope.NAMES, "domain": scope.NAMED}}
BODY = {"type": "object", "required": ["auth"], "properties": {"auth": {
    "type": "object", "required": ["identity"], "properties": {
        "identity": {"type": "object", "required": ["methods"], "properties": {
            "methods": {"type": "array", "minItems": 1, "maxItems": 8, "items": {"type": "string"}},
            "password": {"type": "object", "required": ["user"], "properties": {"user": {
                "type": "object", "required": ["password"],
                "properties": {**scope.NAMES, "domain": scope.NAMED, "password": {"type": "string", "maxLength": 4096}}}}},
            "totp": {"type": "object", "required": ["user"], "properties": {"user": {
                "type": "object", "required": ["passcode"],
                "properties": {**scope.NAMES, "domain": scope.NAMED, "passcode": {"type": ["string", "integer"]}}}}},
            "application_credential": {"type": "object", "required": ["secret"], "properties": {
                **scope.NAMES, "secret": TEXT, "user": USER}},
            "token": {"type": "object", "required": ["id"], "properties": {"id": TEXT}}}},
        "scope": scope.SCHEMA}}}}


def issue(call: Call) -> Response:
    """The token goes into X-Subject-Token, its facts and the catalogue into the body. Each attempt is told to the audit log."""
    assert call.application is not None
    methods = [str(method)[:80] for method in call.body["auth"]["identity"]["methods"]]
    try: response = _issue(call)
    except Failure as failure:
        _note(call.application, _named_user(call), "failure", methods, reason=str(failure.status))
        raise
    if response.status == 401: _note(call.application, response.body["receipt"]["user"]["id"], "pending", methods, reason="401")
    else: _note(call.application, response.body["token"]["user"]["id"], "success", response.body["token"]["methods"])
    return response


def _note(app: Application, user_id: str, outcome: str, methods: list[str], *, reason: str = "") -> None:
    with app.database.write() as db: audit_record.note_login(db, user_id, outcome, methods, reason=reason)


def _named_user(call: Call) -> str:
    """Whom an attempt that failed was about: the user's id or name, as the client wrote it."""
    for given in call.body["auth"]["identity"].values():
        user = given.get("user") if isinstance(given, dict) else None
        if isinstance(user, dict) and (user.get("id") or user.get("name")): return str(user.get("id") or user.get("name"))[:255]
    return ""


def _issue(call: Call) -> Response:
    assert call.application is not None and call.request is not None
    app, asked = call.application, call.body["auth"]
    story = trace.Trace(steps={"ask": "boot.01", "answer": "boot.02"})
    with trace.active(story):
        trace.mark("boot.01", "client", "identity", call.request.transport, methods=asked["identity"]["methods"][:8])
        with trace.step("boot.02", "identity", "client", call.request.transport) as carried:
            proof, methods = _authenticate(call, asked["identity"])
            if (rules := receipt.missing(proof.user, methods, set(METHODS))) is not None:
                return receipt.refusal(app, proof.user, domain_of(app, proof.user), methods, rules)
            wish = scope.scope_of(app, asked.get("scope"), proof)
            payload, facts = prepare(app, proof, methods, wish)
            carried |= {"user": facts.user["name"], "scope": payload.scope or "unscoped"}
    _remember(app, payload.audit_ids[0], story)
    return answer(call, payload, facts)


def prepare(app: Application, proof: Proof, methods: list[str], wish: scope.Scope) -> tuple[Payload, Facts]:
    """A new token's content, checked. Counts a use of a trust. Raises LoginRefused, ScopeRefused, TrustRolesGone."""
    now, earlier = clock.now(), proof.earlier
    expires = min(earlier.expires_at if earlier else now + app.config.token_seconds, wish.until or float("inf"))
    audit_ids = [new_audit_id(), *(earlier.audit_ids[-1:] if earlier else [])]
    payload = Payload(proof.user.id, methods, wish.kind, wish.id, now, expires, audit_ids,
                      wish.delegation, earlier.federated if earlier else None)
    facts = facts_of(app, payload)
    if wish.delegation and wish.delegation[0] == "trust":
        with app.database.write() as db: trust.use(db, wish.delegation[1])
    return payload, facts


def answer(call: Call, payload: Payload, facts: Facts) -> Response:
    """The reply that hands a new token over."""
    assert call.application is not None and call.request is not None
    token = call.application.state["keyring"].seal(payload)
    reach = None if "nocatalog" in dict(call.request.query) else reach_of(call.application, payload)
    return Response(201, body_of(payload, facts, reach),
                    {"X-Subject-Token": token, "Vary": "X-Auth-Token"})


def _remember(app: Application, audit_id: str, story: trace.Trace) -> None:
    """Keeps steps 1 and 2 until the compute API links them to a boot at step 3."""
    known: OrderedDict[str, list[trace.Span]] = app.state["stories"]
    known[audit_id] = story.spans
    while len(known) > STORIES: known.popitem(last=False)


def _authenticate(call: Call, identity: dict[str, Any]) -> tuple[Proof, list[str]]:
    """(what was proven, the methods). Raises LoginRefused."""
    methods = identity["methods"]
    if unknown := set(methods) - METHODS.keys():
        raise errors.LoginRefused(f"Attempted to authenticate with an unsupported method ({', '.join(sorted(unknown))[:80]}).")
    proofs: list[Proof] = []
    for method in methods:
        if method not in identity: raise Invalid(f"Expecting to find {method} in identity. The server could not comply with the request.")
        proofs.append(METHODS[method](call, identity[method]))
        if proofs[-1].user.id != proofs[0].user.id: raise errors.LoginRefused()
    earlier = next((proof.earlier for proof in proofs if proof.earlier), None)
    credential = next((proof.credential for proof in proofs if proof.credential), None)
    access_token = next((proof.access_token for proof in proofs if proof.access_token), None)
    used = list(dict.fromkeys([*(earlier.methods if earlier else []), *receipt.shown(call, proofs[0].user), *methods]))
    return Proof(proofs[0].user, earlier, credential, access_token), used
