"""What of a SAML answer is believed: assertions with each part wrong in turn, and the known ways to slip one in beside a signature."""
from __future__ import annotations

import base64
import datetime
import functools
import zlib
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from lxml import etree
from signxml.signer import XMLSigner

from pilvi.core import clock
from pilvi.core.errors import Failure
from pilvi.identity.federation import saml
from pilvi.identity.federation.trusted import NotTrusted

PLACE = saml.Place("http://cloud/metadata", "http://cloud/websso")
SAML, SAMLP = saml.ASSERTION, saml.PROTOCOL


@functools.cache
def pair(name: str) -> tuple[bytes, str]:
    """(key, certificate) of a provider, as PEM."""
    key, now, day = rsa.generate_private_key(65537, 2048), datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder().subject_name(called).issuer_name(called).public_key(key.public_key()).serial_number(
        1).not_valid_before(now - day).not_valid_after(now + day).sign(key, hashes.SHA256())
    return (key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
            made.public_bytes(serialization.Encoding.PEM).decode())


@pytest.fixture(scope="module")
def known() -> saml.Authority:
    return saml.Authority("http://idp", "http://idp/sso?tenant=1", [pair("idp")[1]])


def instant(seconds: float) -> str:
    return clock.iso(clock.now() + seconds)


def assertion(*, audience: str = PLACE.entity_id, recipient: str = PLACE.answers_to, issuer: str = "http://idp", begins: float = -5,
              ends: float = 60, asked: str = 'InResponseTo="_q"', method: str = saml.BEARER, name: str = "jo@corp", confirmed: float = 60,
              login: str = '<saml:AuthnStatement AuthnInstant="2020-01-01T00:00:00Z"/>') -> str:
    """An assertion's XML."""
    return (f'<saml:Assertion xmlns:saml="{SAML[1:-1]}" ID="_a" Version="2.0" IssueInstant="{instant(0)}">'
            f'<saml:Issuer>{issuer}</saml:Issuer><saml:Subject><saml:NameID>{name}</saml:NameID>'
            f'<saml:SubjectConfirmation Method="{method}"><saml:SubjectConfirmationData '
            f'NotOnOrAfter="{instant(confirmed)}" Recipient="{recipient}" {asked}/></saml:SubjectConfirmation></saml:Subject>'
            f'<saml:Conditions NotBefore="{instant(begins)}" NotOnOrAfter="{instant(ends)}"><saml:AudienceRestriction>'
            f"<saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>{login}<saml:AttributeStatement>"
            '<saml:Attribute Name="urn:oid:1" FriendlyName="mail"><saml:AttributeValue>jo@corp</saml:AttributeValue></saml:Attribute>'
            '<saml:Attribute Name="groups"><saml:AttributeValue>devs</saml:AttributeValue><saml:AttributeValue>ops</saml:AttributeValue>'
            "</saml:Attribute></saml:AttributeStatement></saml:Assertion>")


def signed(text: str, id: str = "_a", by: str = "idp") -> str:
    key, certificate = pair(by)
    made = XMLSigner(c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#").sign(  # type: ignore[arg-type]
        etree.fromstring(text.encode()), key=key, cert=certificate, reference_uri=id)
    return etree.tostring(made).decode()


def response(inner: str, *, status: str = saml.SUCCESS, more: str = "") -> str:
    return (f'<samlp:Response xmlns:samlp="{SAMLP[1:-1]}" ID="_r" Version="2.0" {more}><samlp:Status><samlp:StatusCode Value="{status}"/>'
            f"</samlp:Status>{inner}</samlp:Response>")


def read(known: saml.Authority, text: str) -> saml.Statement:
    return saml.read(known, PLACE, base64.b64encode(text.encode()).decode())


def test_a_good_answer(known: saml.Authority) -> None:
    for good in (response(signed(assertion())), signed(response(assertion()), "_r"), signed(response(signed(assertion())), "_r")):
        said = read(known, good)
        assert (said.name_id, said.question, said.issuer) == ("jo@corp", "_q", "http://idp")
        assert saml.assertion_of(said) == {
            "MELLON_IDP": "http://idp", "Shib-Identity-Provider": "http://idp", "MELLON_NAME_ID": "jo@corp", "REMOTE_USER": "jo@corp",
            "MELLON_urn:oid:1": "jo@corp", "urn:oid:1": "jo@corp", "MELLON_mail": "jo@corp", "mail": "jo@corp",
            "MELLON_groups": "devs;ops", "groups": "devs;ops"}


@pytest.mark.parametrize("wrong", [
    {"audience": "http://other"}, {"recipient": "http://other"}, {"issuer": "http://other"}, {"begins": 300}, {"ends": -300},
    {"confirmed": -300}, {"asked": ""}, {"method": "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"}, {"name": ""}, {"login": ""},
    {"login": '<saml:AuthnStatement SessionNotOnOrAfter="2020-01-01T00:00:00Z"/>'},
    {"login": '<saml:AuthnStatement SessionNotOnOrAfter="soon"/>'}], ids=str)
def test_a_signed_answer_with_something_wrong(known: saml.Authority, wrong: dict[str, str]) -> None:
    with pytest.raises(Failure) as told: read(known, response(signed(assertion(**wrong))))  # type: ignore[arg-type]
    assert told.value.status == 401


def test_signatures(known: saml.Authority) -> None:
    good = response(signed(assertion()))
    forged = assertion(name="admin").replace('"_a"', '"_forged"')
    bad = {
        "none": response(assertion()),
        "another's": response(signed(assertion(), by="other")),
        "changed": good.replace("<saml:NameID>jo@corp", "<saml:NameID>admin"),
        "wrapped beside": good.replace("<saml:Assertion", forged + "<saml:Assertion", 1),
        "wrapped below": response(forged.replace("</saml:Assertion>", signed(assertion()) + "</saml:Assertion>")),
        "put into extensions": response(f"<samlp:Extensions>{signed(assertion())}</samlp:Extensions>{forged}"),
        "the same id twice": response(signed(assertion()) + assertion(name="admin")),
        "signature moved": response(assertion(name="admin").replace(
            "<saml:Subject>", signed(assertion())[signed(assertion()).index("<ds:Signature"):].partition("</ds:Signature>")[0]
            + "</ds:Signature><saml:Subject>", 1)),
        "of an empty part": response(assertion(name="admin") + signed("<x ID='_x'/>", "_x"))}
    for way, text in bad.items():
        with pytest.raises(Failure) as told: read(known, text)
        assert told.value.status == 401, way


def test_a_comment_does_not_cut_a_name(known: saml.Authority) -> None:
    """Canonical XML leaves comments out, so the signature holds; the name must not end there."""
    text = response(signed(assertion(name="admin@corp.evil")))
    assert read(known, text.replace("admin@corp.evil", "admin@corp<!-- -->.evil")).name_id == "admin@corp.evil"


def test_what_is_no_answer(known: saml.Authority) -> None:
    inner = signed(assertion())
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(f'<!ENTITY {"abcdefgh"[i + 1]} "{("&" + "abcdefgh"[i] + ";") * 10}">'
                                                         for i in range(7)) + "]>"
    outside = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    for text in (bomb + response(inner).replace("jo@corp", "&h;"), outside + response(assertion(name="&a;")), outside + response(inner),
                 response(inner, status="urn:oasis:names:tc:SAML:2.0:status:Responder"), response(inner, more='Destination="http://other"'),
                 response(f'<saml:EncryptedAssertion xmlns:saml="{SAML[1:-1]}"/>'), inner, "", "<", "x" * 300_000):
        with pytest.raises(Failure) as told: read(known, text)
        assert told.value.status == 401 and "root:" not in told.value.message
    with pytest.raises(Failure): saml.read(known, PLACE, "%%%")


def test_the_question(known: saml.Authority) -> None:
    address = saml.question(known, saml.Place("http://cloud/a&b", PLACE.answers_to), "_q", "_q")
    query = parse_qs(urlsplit(address).query)
    assert address.startswith("http://idp/sso?") and query["tenant"] == ["1"] and query["RelayState"] == ["_q"]
    asked = etree.fromstring(zlib.decompress(base64.b64decode(query["SAMLRequest"][0]), -15))
    assert asked.get("ID") == "_q" and asked.get("AssertionConsumerServiceURL") == PLACE.answers_to
    assert asked.findtext(f"{SAML}Issuer") == "http://cloud/a&b"


def test_metadata_files(tmp_path: Path) -> None:
    path = tmp_path / "acme.xml"
    for text in ("", "<x/>", saml.metadata(PLACE).decode(), "<!DOCTYPE x []>" + saml.metadata(PLACE).decode().partition("\n")[2]):
        path.write_text(text)
        with pytest.raises(NotTrusted): saml.authority(path)
    with pytest.raises(NotTrusted): saml.authority(tmp_path / "none.xml")
