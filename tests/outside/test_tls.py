"""A cloud whose doors speak TLS, and clients that insist on it: the openstack command, the SDK, Python's own, a console's WebSocket."""
from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest
import yaml
from tests.outside.clouds import Cloud
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from pilvi.run import settings, tls

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cloud(cloud_at: Callable[[str], Cloud]) -> Iterator[Cloud]:
    yield from cloud_at("tls").while_up("--simulated", "--tls")


def read(url: str, trust: ssl.SSLContext | None = None) -> bytes:
    """The body of a GET; without `trust` the system's authorities are believed."""
    with urllib.request.urlopen(url, context=trust or ssl.create_default_context(), timeout=60) as reply: return bytes(reply.read())


def addresses(cloud: Cloud) -> tuple[str, str]:
    """The APIs' and the object store's."""
    made = settings.load(cloud.state)
    return made.url, made.door_url


def test_the_command_line_and_the_sdk_insist_on_the_clouds_certificate(cloud: Cloud) -> None:
    assert [server["Status"] for server in cloud.demo.json("server", "list")] == ["ACTIVE"]
    assert all(endpoint["URL"].startswith("https://") for endpoint in cloud.admin.json("endpoint", "list"))
    demo = cloud.connect("pilvi-demo")
    demo.object_store.create_container("secret")
    demo.object_store.upload_object("secret", "word", data=b"told to one")
    assert demo.object_store.download_object("word", "secret") == b"told to one"
    cloud.demo.environment["OS_CACERT"] = "/etc/ssl/certs/ca-certificates.crt"
    mistrustful = yaml.safe_load((cloud.state / "clouds.yaml").read_text())
    for known in mistrustful["clouds"].values(): del known["cacert"]
    (cloud.state / "mistrustful.yaml").write_text(yaml.safe_dump(mistrustful))
    cloud.demo.environment["OS_CLIENT_CONFIG_FILE"] = str(cloud.state / "mistrustful.yaml")
    assert "certificate verify failed" in cloud.demo.run("server", "list", fails=True)


def test_both_doors_with_and_without_the_authority(cloud: Cloud) -> None:
    trust = ssl.create_default_context(cafile=cloud.state / "ca.pem")
    for url in addresses(cloud):
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"): read(url + "/healthcheck")
        assert read(url + "/healthcheck", trust)
        with pytest.raises(OSError): read(url.replace("https", "http") + "/healthcheck")
    links = json.loads(read(addresses(cloud)[0] + "/identity/v3", trust))["version"]["links"]
    assert links[0]["href"].startswith("https://")


def test_a_consoles_websocket_goes_through_tls_too(cloud: Cloud) -> None:
    trust = ssl.create_default_context(cafile=cloud.state / "ca.pem")
    where = addresses(cloud)[0].replace("https", "wss") + "/compute/console/socket?token=guessed"
    with pytest.raises((ConnectionClosed, InvalidStatus)), connect(where, ssl=trust) as line: line.recv()
    with pytest.raises(ssl.SSLError), connect(where, ssl=ssl.create_default_context()): pass


def test_a_renewed_certificate_needs_no_restart(cloud: Cloud) -> None:
    made = settings.load(cloud.state)
    host, _, port = made.listen.rpartition(":")
    before = ssl.get_server_certificate((host, int(port)), ca_certs=str(cloud.state / "ca.pem"))
    (made.control_directory / "keys" / "tls.pem").unlink()
    tls.prepare(made)
    until = time.monotonic() + 120
    while ssl.get_server_certificate((host, int(port)), ca_certs=str(cloud.state / "ca.pem")) == before:
        assert time.monotonic() < until, "the old certificate is still shown"
        time.sleep(0.5)
    assert cloud.admin.json("server", "list", "--all-projects")
