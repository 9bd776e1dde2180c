"""The doors' certificates: who signs them, whom they name, when they are renewed, and which ones are refused."""
from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from msgspec.structs import replace
from tests.run.conftest import Here

from pilvi.run import lifecycle, settings, tls
from pilvi.run.settings import Settings


@pytest.fixture
def cloud(tmp_path: Path) -> Settings:
    """A cloud of this name with TLS; nothing of it runs."""
    made = Settings(state=str(tmp_path), listen="10.0.0.9:5000", simulated=True, unprivileged=False, tls=True)
    settings.prepare(made)
    return made


def certificate(cloud: Settings) -> x509.Certificate:
    return x509.load_pem_x509_certificate((cloud.control_directory / "keys" / "tls.pem").read_bytes())


def test_an_own_authority_signs_for_all_addresses(cloud: Settings) -> None:
    tls.prepare(cloud)
    authority = x509.load_pem_x509_certificate(cloud.authority_path.read_bytes())
    certificate(cloud).verify_directly_issued_by(authority)
    assert {"10.0.0.9", "127.0.0.1", "localhost", socket.gethostname()} <= tls.names_of(certificate(cloud))
    secrets = [cloud.control_directory / "keys" / name for name in ("tls.pem", "authority.pem")]
    assert [path.stat().st_mode & 0o777 for path in (*secrets, cloud.authority_path)] == [0o600, 0o600, 0o644]
    assert b"PRIVATE" not in cloud.authority_path.read_bytes()


def test_real_guests_reach_the_door_at_the_gateway(tmp_path: Path) -> None:
    real = Settings(state=str(tmp_path), listen="127.0.0.1:5000", external_cidr="10.255.255.0/24", tls=True, public_url="")
    assert real.guest_url == "https://10.255.255.1:5000" and "10.255.255.1" in tls.names(real)


def test_it_stays_until_its_end_comes_near_or_an_address_is_added(cloud: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    tls.prepare(cloud)
    authority, first = cloud.authority_path.read_bytes(), certificate(cloud).serial_number
    tls.prepare(cloud)
    assert certificate(cloud).serial_number == first
    tls.prepare(replace(cloud, listen="10.0.0.10:5000"))
    assert certificate(cloud).serial_number != first and {"10.0.0.9", "10.0.0.10"} <= tls.names_of(certificate(cloud))
    second = certificate(cloud).serial_number
    monkeypatch.setattr(tls, "RENEW_DAYS", tls.VALID_DAYS + 1)
    tls.prepare(cloud)
    assert certificate(cloud).serial_number != second
    assert cloud.authority_path.read_bytes() == authority


def test_a_new_certificate_is_shown_without_a_restart(cloud: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    tls.prepare(cloud)
    door = tls.Door(cloud)
    trust = ssl.create_default_context(cafile=cloud.authority_path)

    def shown() -> int:
        """The serial number that a client sees that believes the authority."""
        ours, theirs = socket.socketpair()
        server = threading.Thread(target=lambda: door.context.wrap_socket(theirs, server_side=True).recv(1))
        server.start()
        with trust.wrap_socket(ours, server_hostname="10.0.0.9") as line:
            line.send(b"x")
            seen = line.getpeercert(binary_form=True)
            server.join()
        theirs.close()
        assert seen
        return x509.load_der_x509_certificate(seen).serial_number

    first = shown()
    door.look()
    assert shown() == first == certificate(cloud).serial_number
    monkeypatch.setattr(tls, "RENEW_DAYS", tls.VALID_DAYS + 1)
    door.look()
    assert shown() == certificate(cloud).serial_number != first
    assert door.context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.fixture
def given(cloud: Settings, tmp_path: Path) -> Callable[..., Settings]:
    """The cloud with a certificate for these names, signed by an authority elsewhere."""
    elsewhere = replace(cloud, state=str(tmp_path / "elsewhere"))
    settings.prepare(elsewhere)
    tls.prepare(elsewhere)

    def make(*names: str) -> Settings:
        files = tls.issue(elsewhere, list(names), tmp_path / "given")
        return replace(cloud, certificate=str(files[0]), key=str(files[1]), authority=str(elsewhere.authority_path))

    return make


def test_a_given_certificate_is_copied_and_taken_anew_when_it_changes(given: Callable[..., Settings]) -> None:
    cloud = given("10.0.0.9")
    tls.prepare(cloud)
    first = certificate(cloud).serial_number
    assert cloud.authority_path.read_bytes() == Path(cloud.authority).read_bytes()
    given("10.0.0.9")
    tls.prepare(cloud)
    assert certificate(cloud).serial_number != first
    tls.prepare(replace(cloud, authority=""))
    assert not cloud.authority_path.exists()


def test_a_given_certificate_has_to_fit(given: Callable[..., Settings], tmp_path: Path) -> None:
    tls.prepare(replace(given("*.example"), public_url="https://cloud.example:5000"))
    with pytest.raises(tls.CertificateUnfit, match=r"is for other\.example, but clients call this cloud 10\.0\.0\.9"):
        tls.prepare(given("other.example"))
    foreign = given("10.0.0.9")
    key = given("stranger").key
    with pytest.raises(tls.CertificateUnfit, match="cannot be used"): tls.prepare(replace(foreign, key=key))
    with pytest.raises(tls.CertificateUnfit, match="No such file"): tls.prepare(replace(foreign, key=str(tmp_path / "none")))
    encrypted = tmp_path / "encrypted.key"
    secret = serialization.load_pem_private_key(Path(foreign.key).read_bytes(), None)
    encrypted.write_bytes(secret.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                               serialization.BestAvailableEncryption(b"word")))
    with pytest.raises(tls.CertificateUnfit): tls.prepare(replace(foreign, key=str(encrypted)))


def test_without_tls_nothing_is_made(cloud: Settings) -> None:
    tls.prepare(replace(cloud, tls=False))
    assert not cloud.authority_path.exists() and list((cloud.control_directory / "keys").iterdir()) == []


def test_half_of_what_is_needed_is_refused(here: Callable[[str], Here], tmp_path: Path) -> None:
    assert "belong together" in here("half").run("up", "--simulated", "--certificate", str(tmp_path / "c.pem"), status=2)


def test_clients_are_told_what_to_believe_only_where_there_is_tls(cloud: Settings) -> None:
    tls.prepare(cloud)
    cloud.passwords_path.write_text('{"admin": "a", "demo": "d"}')
    for made, wanted in ((cloud, str(cloud.authority_path)), (replace(cloud, tls=False), None)):
        lifecycle.write_clouds(made)
        told = yaml.safe_load((cloud.directory / "clouds.yaml").read_text())["clouds"]["pilvi-demo"]
        assert told.get("cacert") == wanted and told["auth"]["auth_url"].startswith("https:" if wanted else "http:")
