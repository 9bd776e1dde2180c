"""SAML 2.0 as a service provider: the question to a person's identity provider, and what may be believed of the answer.

Only what a signature of the provider covers is read, and only if it is for this cloud, now, and answers a question of ours.
Source: SAML 2.0 Core, Bindings (HTTP-Redirect, HTTP-POST), Profiles 4.1 (web browser SSO), Metadata; RFC 3275 (XML signatures).
"""
from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import quoteattr

from lxml import etree
from msgspec import Struct
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from pilvi.core import clock
from pilvi.identity import errors
from pilvi.identity.federation.trusted import NotTrusted

PROTOCOL, ASSERTION = "{urn:oasis:names:tc:SAML:2.0:protocol}", "{urn:oasis:names:tc:SAML:2.0:assertion}"
METADATA, SIGNATURE = "{urn:oasis:names:tc:SAML:2.0:metadata}", "{http://www.w3.org/2000/09/xmldsig#}"
REDIRECT, POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
BEARER, SUCCESS = "urn:oasis:names:tc:SAML:2.0:cm:bearer", "urn:oasis:names:tc:SAML:2.0:status:Success"
PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"
MOST_BYTES, LEEWAY_SECONDS = 256 * 1024, 60.0


class Authority(Struct, frozen=True):
    """What the provider's metadata says: its name, where it asks people, the certificates (PEM) that it signs with."""
    entity_id: str
    sso_url: str
    certificates: list[str]


class Place(Struct, frozen=True):
    """This cloud as the provider knows it: its name, and where answers are to be sent."""
    entity_id: str
    answers_to: str


class Statement(Struct, frozen=True):
    """What the provider says of somebody. `question`: the id of the question that it answers."""
    issuer: str
    name_id: str
    question: str
    attributes: dict[str, list[str]]


class Unreadable(Exception):
    """It is not what it should be."""


def authority(path: Path) -> Authority:
    """Reads a provider's metadata file. Raises NotTrusted."""
    try: root = _parsed(path.read_bytes())
    except (OSError, Unreadable) as problem: raise NotTrusted(id=path.stem, reason=f"{path.name}: {problem}") from None
    entities = [each for each in root.iter(f"{METADATA}EntityDescriptor") if each.find(f"{METADATA}IDPSSODescriptor") is not None]
    if len(entities) != 1: raise NotTrusted(id=path.stem, reason=f"{path.name} is not the metadata of one identity provider")
    told = entities[0].find(f"{METADATA}IDPSSODescriptor")
    assert told is not None
    urls = [each.get("Location") for each in told.iterfind(f"{METADATA}SingleSignOnService") if each.get("Binding") == REDIRECT]
    keys = [key for key in told.iterfind(f"{METADATA}KeyDescriptor") if key.get("use") != "encryption"]
    certificates = [PEM.format(_text(each)) for key in keys for each in key.iter(f"{SIGNATURE}X509Certificate")]
    if not urls or not certificates: raise NotTrusted(id=path.stem, reason=f"{path.name} names no address for redirects or no certificate")
    return Authority(str(entities[0].get("entityID")), str(urls[0]), certificates)


def metadata(place: Place) -> bytes:
    """What the provider needs to know of this cloud."""
    return (f'<?xml version="1.0"?>\n<md:EntityDescriptor xmlns:md="{METADATA[1:-1]}" entityID={quoteattr(place.entity_id)}>'
            f'<md:SPSSODescriptor AuthnRequestsSigned="false" WantAssertionsSigned="true" protocolSupportEnumeration="{PROTOCOL[1:-1]}">'
            f'<md:AssertionConsumerService Binding="{POST}" Location={quoteattr(place.answers_to)} index="0" isDefault="true"/>'
            "</md:SPSSODescriptor></md:EntityDescriptor>\n").encode()


def question(known: Authority, place: Place, id: str, relay_state: str) -> str:
    """The address that asks the provider who somebody is; `id` is an XML name."""
    text = (f'<samlp:AuthnRequest xmlns:samlp="{PROTOCOL[1:-1]}" xmlns:saml="{ASSERTION[1:-1]}" ID="{id}" Version="2.0" '
            f'IssueInstant="{clock.iso(clock.now())}" Destination={quoteattr(known.sso_url)} ProtocolBinding="{POST}" '
            f'AssertionConsumerServiceURL={quoteattr(place.answers_to)}><saml:Issuer>{_escaped(place.entity_id)}</saml:Issuer>'
            "</samlp:AuthnRequest>")
    squeezer = zlib.compressobj(wbits=-15)
    query = {"SAMLRequest": base64.b64encode(squeezer.compress(text.encode()) + squeezer.flush()).decode(), "RelayState": relay_state}
    return f"{known.sso_url}{'&' if '?' in known.sso_url else '?'}{urlencode(query)}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def read(known: Authority, place: Place, answer: str) -> Statement:
    """What the provider's answer (base64) says of somebody. Whether its question was ours is for the caller to see. Raises LoginRefused."""
    try:
        if len(answer) > MOST_BYTES: raise Unreadable("it is too long")
        root = _parsed(base64.b64decode("".join(answer.split()), validate=True))
        if root.tag != f"{PROTOCOL}Response": raise Unreadable("it is no response")
        if root.get("Destination") not in (None, place.answers_to): raise Unreadable("it is for another address")
        status = root.find(f"{PROTOCOL}Status/{PROTOCOL}StatusCode")
        if status is None or status.get("Value") != SUCCESS: raise Unreadable("the provider did not let the person in")
        assertion = _signed(known, root)
        _check_conditions(known, place, assertion)
        name = assertion.find(f"{ASSERTION}Subject/{ASSERTION}NameID")
        if name is None or not _text(name): raise Unreadable("it names nobody")
        return Statement(known.entity_id, _text(name), _answered(place, assertion), dict(_attributes(assertion)))
    except (Unreadable, binascii.Error, ValueError) as problem:
        raise errors.LoginRefused(f"The identity provider's answer cannot be believed: {problem}.") from None


def _parsed(data: bytes) -> etree._Element:
    """XML without a document type: no entities of its own. Comments are no part of a text."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try: root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as problem: raise Unreadable(f"it is no XML ({str(problem)[:80]})") from None
    if root.getroottree().docinfo.internalDTD is not None: raise Unreadable("it has a document type")
    return root


def _text(element: etree._Element) -> str:
    return "".join(map(str, element.itertext())).strip()


def _signed(known: Authority, root: etree._Element) -> etree._Element:
    """The one assertion, as the signature covers it. Nothing else of the document is read after this."""
    if next(root.iter(f"{ASSERTION}EncryptedAssertion"), None) is not None: raise Unreadable("it is encrypted, which is not supported")
    found = list(root.iter(f"{ASSERTION}Assertion"))
    if len(found) != 1 or found[0].getparent() is not root: raise Unreadable("it does not hold exactly one assertion")
    if found[0].find(f"{SIGNATURE}Signature") is not None: location = f"./{ASSERTION}Assertion/"
    elif root.find(f"{SIGNATURE}Signature") is not None: location = "./"
    else: raise Unreadable("it is not signed")
    for certificate in known.certificates:
        try: result: Any = XMLVerifier().verify(root, x509_cert=certificate, id_attribute="ID", expect_config=SignatureConfiguration(
                location=location))
        except SignXMLException: continue
        covered = result.signed_xml
        if covered is not None and covered.tag == f"{PROTOCOL}Response": covered = covered.find(f"{ASSERTION}Assertion")
        if covered is None or covered.tag != f"{ASSERTION}Assertion": raise Unreadable("its signature covers something else")
        return covered  # type: ignore[no-any-return]
    raise Unreadable("its signature is not the provider's")


def _check_conditions(known: Authority, place: Place, assertion: etree._Element) -> None:
    """Is it the provider's word, for this cloud, now?"""
    issuer, conditions = assertion.find(f"{ASSERTION}Issuer"), assertion.find(f"{ASSERTION}Conditions")
    if issuer is None or _text(issuer) != known.entity_id: raise Unreadable("it is the word of another provider")
    if conditions is None: raise Unreadable("it does not say for whom it is")
    _check_time(conditions)
    audiences = [{_text(each) for each in restriction.iterfind(f"{ASSERTION}Audience")}
                 for restriction in conditions.iterfind(f"{ASSERTION}AudienceRestriction")]
    if not audiences or not all(place.entity_id in each for each in audiences): raise Unreadable("it is for another audience")
    statement = assertion.find(f"{ASSERTION}AuthnStatement")
    if statement is None: raise Unreadable("it does not say that the person signed in")
    if (ends := statement.get("SessionNotOnOrAfter")) and clock.parse(ends) + LEEWAY_SECONDS <= clock.now():
        raise Unreadable("the person's session is over")


def _check_time(element: etree._Element) -> None:
    """Raises Unreadable, ValueError for an instant that is none."""
    now, begins, ends = clock.now(), element.get("NotBefore"), element.get("NotOnOrAfter")
    if begins and clock.parse(begins) - LEEWAY_SECONDS > now: raise Unreadable("it is not good yet")
    if not ends or clock.parse(ends) + LEEWAY_SECONDS <= now: raise Unreadable("its time is over")


def _answered(place: Place, assertion: etree._Element) -> str:
    """The id of the question, from a confirmation that lets the bearer in here."""
    problem = Unreadable("it does not let its bearer in")
    for confirmation in assertion.iterfind(f"{ASSERTION}Subject/{ASSERTION}SubjectConfirmation"):
        data = confirmation.find(f"{ASSERTION}SubjectConfirmationData")
        if confirmation.get("Method") != BEARER or data is None: continue
        try: _check_time(data)
        except Unreadable as late:
            problem = late
            continue
        if data.get("Recipient") != place.answers_to: problem = Unreadable("it is for another recipient")
        elif asked := data.get("InResponseTo"): return asked
        else: problem = Unreadable("it answers no question")
    raise problem


def _attributes(assertion: etree._Element) -> Iterator[tuple[str, list[str]]]:
    """Under their names, and under the friendly ones that no other attribute has."""
    told = list(assertion.iterfind(f"{ASSERTION}AttributeStatement/{ASSERTION}Attribute"))
    names = {each.get("Name", "") for each in told}
    for each in told:
        values = [_text(value) for value in each.iterfind(f"{ASSERTION}AttributeValue")]
        for name in {each.get("Name", ""), each.get("FriendlyName", "")} - {""}:
            if name == each.get("Name") or name not in names: yield name, values


def assertion_of(said: Statement) -> dict[str, str]:
    """The statement under the names that mappings use: mod_auth_mellon's (MELLON_NAME_ID, MELLON_mail) and Shibboleth's (mail)."""
    found = {"MELLON_IDP": said.issuer, "Shib-Identity-Provider": said.issuer, "MELLON_NAME_ID": said.name_id, "REMOTE_USER": said.name_id}
    for name, values in said.attributes.items():
        found[f"MELLON_{name}"] = ";".join(values)
        found.setdefault(name, ";".join(values))
    return found
