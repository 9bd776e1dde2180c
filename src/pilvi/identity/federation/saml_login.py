"""Signing in over SAML with a browser: each question is a row until its one answer comes, so nothing can be answered twice or unasked.

Source: Identity API v3, OS-FEDERATION, "Web single sign on"; SAML 2.0 Profiles 4.1.
"""
from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from sqlalchemy import delete
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.crypto import new_hex_id
from pilvi.core.errors import NotServed
from pilvi.core.http.app import Response
from pilvi.core.http.routes import ANYONE, Route
from pilvi.core.wire import Base
from pilvi.identity import errors
from pilvi.identity.federation import saml
from pilvi.identity.federation.admission import admit, check_origin, for_people, hand_over
from pilvi.identity.federation.trusted import NotTrusted, Saml, trusted

ANSWER_SECONDS = 600.0
PLACE = "identity_providers/{idp_id}/protocols/{id}"


class SamlQuestion(Base):
    """A question that a browser has taken to a provider."""
    __tablename__ = "identity_saml_questions"
    id: Mapped[str] = mapped_column(primary_key=True)
    idp_id: Mapped[str]
    protocol_id: Mapped[str]
    origin: Mapped[str]
    until: Mapped[float]


def begin(call: Call, trust: Saml, idp_id: str, protocol_id: str) -> Response:
    """On to the provider, with a question."""
    assert call.application is not None
    origin, place = check_origin(call), _place(call, trust, idp_id, protocol_id)
    known, id = _authority(call, trust), f"_{new_hex_id()}"
    with call.application.database.write() as db:
        db.execute(delete(SamlQuestion).where(SamlQuestion.until < clock.now()))
        db.add(SamlQuestion(id=id, idp_id=idp_id, protocol_id=protocol_id, origin=origin, until=clock.now() + ANSWER_SECONDS))
    return Response(302, None, {"location": saml.question(known, place, id, id), "cache-control": "no-store"})


def answered(call: Call, idp_id: str, id: str) -> Response:
    """POST /v3/auth/OS-FEDERATION/identity_providers/{idp_id}/protocols/{id}/websso: the browser brings the provider's answer."""
    assert call.request is not None
    trust = _trust(call, idp_id)
    try: form = parse_qs(call.request.body.decode(), max_num_fields=20)
    except (UnicodeDecodeError, ValueError): form = {}
    origins: list[str] = []

    def ask() -> dict[str, str]:
        said = saml.read(_authority(call, trust), _place(call, trust, idp_id, id), form.get("SAMLResponse", [""])[0])
        origins.append(_close(call, said.question, idp_id, id))
        return saml.assertion_of(said)

    payload = admit(call, idp_id, id, "MELLON_IDP", ask)
    return hand_over(call, payload, origins[0])


def _close(call: Call, question: str, idp_id: str, protocol_id: str) -> str:
    """The question has its answer, the only one; gives the origin that asked. Raises LoginRefused."""
    assert call.application is not None
    with call.application.database.write() as db:
        row = db.get(SamlQuestion, question)
        mine = row is not None and (row.idp_id, row.protocol_id) == (idp_id, protocol_id) and row.until > clock.now()
        taken: Any = db.execute(delete(SamlQuestion).where(SamlQuestion.id == question)) if mine else None
        if row is None or taken is None or taken.rowcount != 1:
            raise errors.LoginRefused("The identity provider's answer is to no question that is open here.")
        return row.origin


def show_metadata(call: Call, idp_id: str, id: str) -> Response:
    """GET /v3/OS-FEDERATION/identity_providers/{idp_id}/protocols/{id}/metadata: what the provider must know of this cloud."""
    place = _place(call, _trust(call, idp_id), idp_id, id)
    return Response(200, saml.metadata(place), media_type="application/samlmetadata+xml")


def _trust(call: Call, idp_id: str) -> Saml:
    assert call.application is not None
    found = trusted(call.application.state["federation_directory"], idp_id).saml
    if found is None: raise NotTrusted(id=idp_id, reason=f"federation/{idp_id}.toml has no [saml]")
    return found


def _authority(call: Call, trust: Saml) -> saml.Authority:
    assert call.application is not None
    return saml.authority(call.application.state["federation_directory"] / trust.metadata)


def _place(call: Call, trust: Saml, idp_id: str, protocol_id: str) -> saml.Place:
    """By the configured address, not by the one that a request names: an answer for another cloud must not become one for this."""
    assert call.application is not None
    here, path = (trust.address or call.application.identity_url).rstrip("/"), PLACE.format(idp_id=idp_id, id=protocol_id)
    return saml.Place(f"{here}/v3/OS-FEDERATION/{path}/metadata", f"{here}/v3/auth/OS-FEDERATION/{path}/websso")


def _as_provider(call: Call) -> None:
    """This cloud's people are not vouched for elsewhere."""
    raise NotServed(what="SAML assertions for other clouds (it is no identity provider)")


ROUTES = [
    Route(f"/v3/auth/OS-FEDERATION/{PLACE}/websso", "POST", for_people(answered), ANYONE, raw=True),
    Route(f"/v3/OS-FEDERATION/{PLACE}/metadata", "GET", show_metadata, ANYONE),
    Route("/v3/OS-FEDERATION/saml2/metadata", "GET", _as_provider, ANYONE),
    Route("/v3/auth/OS-FEDERATION/saml2", "POST", _as_provider, ANYONE),
    Route("/v3/auth/OS-FEDERATION/saml2/ecp", "POST", _as_provider, ANYONE),
]
