"""Keys for the southbound database when hosts are on other machines: an authority of this cloud, one certificate for the server, one for
hosts.

Both ends prove themselves (mutual TLS). All hosts share a certificate: it lets a host in, it does not tell hosts apart. """
from __future__ import annotations

import datetime
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VALID_DAYS = 3650


def make(directory: Path) -> None:
    """Make what is missing of authority and certificates in this directory."""
    if all((directory / name).exists() for name in ("ca.pem", "server.key", "server.pem", "host.key", "host.pem")): return
    authority_key, authority = _certificate("Pilvi network authority", None, None)
    _write(directory / "ca.pem", authority.public_bytes(serialization.Encoding.PEM))
    for name in ("server", "host"):
        key, certificate = _certificate(f"Pilvi network {name}", authority, authority_key)
        _write(directory / f"{name}.key", key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        _write(directory / f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM))


def options(directory: Path) -> list[str]:
    """The command line options with which the southbound's server uses its keys."""
    return [f"--private-key={directory}/server.key", f"--certificate={directory}/server.pem", f"--ca-cert={directory}/ca.pem"]


def for_hosts(directory: Path) -> dict[str, str]:
    """What a host needs: {"private_key", "certificate", "authority"} in PEM."""
    return {name: (directory / file).read_text() for name, file in (
        ("private_key", "host.key"), ("certificate", "host.pem"), ("authority", "ca.pem"))}


def install(directory: Path, tls: dict[str, str]) -> list[str]:
    """Write a host's keys and return the command line options with which ovn-controller uses them."""
    for name, text in tls.items(): _write(directory / f"{name}.pem", text.encode())
    return [
        f"--private-key={directory}/private_key.pem", f"--certificate={directory}/certificate.pem", f"--ca-cert={directory}/authority.pem"]


def _certificate(
        name: str, issuer: x509.Certificate | None, issuer_key: ec.EllipticCurvePrivateKey | None,
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(
        issuer.subject if issuer else subject, subject, key.public_key(), x509.random_serial_number(),
        now - datetime.timedelta(days=1), now + datetime.timedelta(days=VALID_DAYS))
    builder = builder.add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    return key, builder.sign(issuer_key or key, hashes.SHA256())


def _write(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file: file.write(content)
    partial.rename(path)
