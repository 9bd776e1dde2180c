"""TLS of the cloud's doors: a small authority of its own and a certificate by it, or a certificate that was given.

    DIR/ca.pem                        what clients are to believe (also named in DIR/clouds.yaml)
    DIR/control/keys/authority.pem    key and certificate of the own authority
    DIR/control/keys/tls.pem          key and certificates of the doors

The own certificate names every address that the cloud listens on; it lives VALID_DAYS and is made anew RENEW_DAYS before its end, while the
cloud is up. A given one is copied at each `pilvi up`, also while the cloud is up: new connections then see it. Key and certificate are one
file each, so that nobody ever reads halves that do not fit.
"""
from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import ssl
import tempfile
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pilvi.core.crypto import secret_file
from pilvi.run.settings import Settings

LOG = structlog.get_logger()
AUTHORITY_DAYS, VALID_DAYS, RENEW_DAYS, FOREIGN_DAYS = 3650, 90, 30, 365
WATCH_SECONDS = 5.0
DAY = datetime.timedelta(days=1)
Pair = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]


class CertificateUnfit(Exception):
    """Why a given certificate cannot be used."""


def prepare(settings: Settings) -> None:
    """Makes, renews or copies what the doors need; nothing without TLS. Repeatable. Raises CertificateUnfit, OSError."""
    if not settings.tls: return
    if settings.certificate:
        _take(settings)
        authority = Path(settings.authority).read_bytes() if settings.authority else b""
    else:
        renew(settings)
        authority = _pem(_authority(settings)[1])
    path = settings.authority_path
    if not authority: path.unlink(missing_ok=True)
    elif not path.exists() or path.read_bytes() != authority: _write(path, authority, 0o644)


def renew(settings: Settings) -> None:
    """Makes the own certificate if there is none, if it ends soon, or if it lacks one of the cloud's addresses."""
    path = _path(settings)
    known = x509.load_pem_x509_certificate(path.read_bytes()) if path.exists() else None
    had, wanted = names_of(known) if known else set(), names(settings)
    now = datetime.datetime.now(datetime.UTC)
    if known and wanted <= had and known.not_valid_after_utc - now > RENEW_DAYS * DAY: return
    key, certificate = _signed(_authority(settings), sorted(wanted | had), VALID_DAYS)  # one file may serve several control processes
    _write(path, _private(key) + _pem(certificate), 0o600, settings)


def issue(settings: Settings, names: list[str], folder: Path) -> tuple[Path, Path]:
    """A certificate of the own authority for another server of this cloud (a broker, a database): its files, certificate and key.
    Nobody renews it by itself."""
    key, certificate = _signed(_authority(settings), names, FOREIGN_DAYS)
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{names[0]}.crt", folder / f"{names[0]}.key"
    _write(made[0], _pem(certificate), 0o644)
    _write(made[1], _private(key), 0o600)
    return made


def names(settings: Settings) -> set[str]:
    """The names and addresses by which clients call this cloud's doors."""
    places = {urlsplit(url).hostname or "" for url in (settings.url, settings.guest_url, f"//{settings.listen}")}
    return (places - {""}) | {"localhost", "127.0.0.1", "::1", socket.gethostname()}


def names_of(certificate: x509.Certificate) -> set[str]:
    """The names and addresses in a certificate."""
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))}


class Door:
    """The certificate of this process's doors, as it is now: looked at every few seconds, so that a new one needs no restart."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.seen = 0
        self.look()

    def look(self) -> None:
        """Renews the own certificate if it is time, and shows what is in the file to whoever connects from now on."""
        if not self.settings.certificate: renew(self.settings)
        path = _path(self.settings)
        changed = path.stat().st_mtime_ns
        if changed == self.seen: return
        self.context.load_cert_chain(path)
        self.seen = changed
        LOG.info("certificate in use", until=x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.isoformat())


def _path(settings: Settings) -> Path:
    return settings.control_directory / "keys" / "tls.pem"


def _take(settings: Settings) -> None:
    """Copies the given certificate and its key, if they fit each other."""
    try: pem = Path(settings.key).read_bytes().rstrip() + b"\n" + Path(settings.certificate).read_bytes()
    except OSError as failure: raise CertificateUnfit(f"{failure.filename}: {failure.strerror}") from None
    path = _path(settings)
    if path.exists() and path.read_bytes() == pem: return
    with tempfile.NamedTemporaryFile(dir=path.parent) as file:
        file.write(pem)
        file.flush()
        try: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file.name, password="")  # never asks on the terminal
        except (ssl.SSLError, OSError) as failure:
            raise CertificateUnfit(f"{settings.certificate} and {settings.key} cannot be used ({failure})") from None
    host, known = urlsplit(settings.url).hostname or "", names_of(x509.load_pem_x509_certificate(pem))
    if not {host, f"*.{host.partition('.')[2]}"} & known:
        raise CertificateUnfit(f"{settings.certificate} is for {', '.join(sorted(known))}, but clients call this cloud {host}: give "
                               "--public-url https://NAME:PORT with a name of the certificate")
    _write(path, pem, 0o600, settings)


def _authority(settings: Settings) -> Pair:
    """The own authority; made once."""
    path = settings.control_directory / "keys" / "authority.pem"
    made = secret_file(path, lambda: _new_authority(settings)).encode()
    if os.getuid() == 0: os.chown(path, settings.control_uid, settings.control_uid)
    key = serialization.load_pem_private_key(made, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key, x509.load_pem_x509_certificate(made)


def _new_authority(settings: Settings) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Authority of {settings.cloud_id} {os.urandom(4).hex()}")])
    usage = x509.KeyUsage(digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
                          key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False)
    builder = _builder(name, name, key, AUTHORITY_DAYS).add_extension(x509.BasicConstraints(True, 0), critical=True)
    certificate = builder.add_extension(usage, critical=True).sign(key, hashes.SHA256())
    return (_private(key) + _pem(certificate)).decode()


def _signed(authority: Pair, names: list[str], days: int) -> Pair:
    """A key, and a certificate for a server of these names."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority[0].public_key())
    builder = _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])]), authority[1].subject, key, days)
    builder = builder.add_extension(x509.SubjectAlternativeName(list(_general(names))), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(False, None), critical=True).add_extension(issuer, critical=False)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return key, builder.sign(authority[0], hashes.SHA256())


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number(), now - DAY, now + days * DAY)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _general(names: Iterable[str]) -> Iterable[x509.GeneralName]:
    for name in names:
        try: yield x509.IPAddress(ipaddress.ip_address(name))
        except ValueError: yield x509.DNSName(name)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, content: bytes, mode: int, settings: Settings | None = None) -> None:
    """Whole or not at all; with settings it belongs to the control process."""
    descriptor, beside = tempfile.mkstemp(prefix=".", dir=path.parent)
    with os.fdopen(descriptor, "wb") as file: file.write(content)
    if settings and os.getuid() == 0: os.chown(beside, settings.control_uid, settings.control_uid)
    os.chmod(beside, mode)
    os.rename(beside, path)
