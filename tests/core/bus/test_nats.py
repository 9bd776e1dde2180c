"""What only NATS has: users, TLS, and a broker that carries less than we would."""
from __future__ import annotations

import datetime
import ipaddress
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.contract.bus_worlds import NATS_SERVER, eventually, kill
from tests.outside.clouds import free_port

from pilvi.core.bus.interface import BusTimeout, MessageTooLarge
from pilvi.core.bus.nats import NatsBus

pytestmark = pytest.mark.skipif(not Path(NATS_SERVER).exists(), reason="nats-server is not installed")
StartServer = Callable[[str], int]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    servers: list[subprocess.Popen[bytes]] = []

    def start(settings: str) -> int:
        port = free_port()
        (tmp_path / "nats.conf").write_text(f'listen: "127.0.0.1:{port}"\n{settings}\n')
        servers.append(subprocess.Popen([NATS_SERVER, "-c", str(tmp_path / "nats.conf"), "-l", str(tmp_path / "log")]))
        return port
    yield start
    for server in servers: kill(server)


def write_certificate(folder: Path) -> None:
    """A self-signed certificate for 127.0.0.1, both as server's and as authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pilvi test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
                   .not_valid_after(now + datetime.timedelta(days=1))
                   .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
                   .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256()))
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


def asked_of_itself(bus: NatsBus) -> bool:
    bus.serve("echo", {"echo": lambda args, message: args})
    bus.start()
    return bus.call("echo", "echo", {"n": 1}, deadline_seconds=20) == {"n": 1}


def test_a_user_and_tls_are_asked_for_and_given(start_server: StartServer, tmp_path: Path) -> None:
    write_certificate(tmp_path)
    port = start_server(f'tls {{ cert_file: "{tmp_path}/cert.pem", key_file: "{tmp_path}/key.pem" }}\n'
                        'authorization { user: agent, password: secret }')
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    bus = NatsBus([f"tls://agent:secret@127.0.0.1:{port}"], name="agent", tls=context)
    assert asked_of_itself(bus)
    bus.close()


def test_a_refused_user_keeps_trying_and_says_so_without_the_password(start_server: StartServer) -> None:
    port = start_server("authorization { user: agent, password: secret }")
    bus = NatsBus([f"nats://agent:wrong-password@127.0.0.1:{port}"], name="agent")
    bus.start()
    eventually(lambda: "uthorization" in (bus.health() or ""))
    assert "wrong-password" not in (bus.health() or "") and f"127.0.0.1:{port}" in (bus.health() or "")
    with pytest.raises(BusTimeout): bus.call("echo", "echo", {}, deadline_seconds=0.2)
    bus.close()


def test_a_strange_certificate_is_refused(start_server: StartServer, tmp_path: Path) -> None:
    write_certificate(tmp_path)
    port = start_server(f'tls {{ cert_file: "{tmp_path}/cert.pem", key_file: "{tmp_path}/key.pem" }}')
    bus = NatsBus([f"tls://127.0.0.1:{port}"], name="agent", tls=ssl.create_default_context())
    bus.start()
    eventually(lambda: "certificate" in (bus.health() or "").lower())
    bus.close()


def test_the_brokers_limit_is_ours(start_server: StartServer) -> None:
    port = start_server("")
    bus = NatsBus([f"nats://127.0.0.1:{port}"], name="agent")
    assert asked_of_itself(bus)
    with pytest.raises(MessageTooLarge, match="at most 983040"): bus.call("echo", "echo", {"x": bytes(1_000_000)}, deadline_seconds=5)
    bus.close()


def test_a_bus_that_never_connected_or_started_can_be_closed() -> None:
    for start in (False, True):
        bus = NatsBus([f"nats://127.0.0.1:{free_port()}"], name="agent")
        if start: bus.start()
        bus.close(0.1)
        assert bus.health() is not None
