"""Join files: what is in them, who may read them, and which clouds cannot give any."""
from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from pilvi.run import join, settings
from pilvi.run.settings import Settings

GROWN = Settings(state="/nowhere", listen="10.0.0.1:5000", bus_url="nats://bus:word@10.0.0.1:4222", network_listen="10.0.0.1:6642",
                 tunnel_address="10.1.0.1")
TICKET = join.Join(host="second", user="pilvi-host-second", password="word", url="http://127.0.0.1:5000", bus_url="nats://127.0.0.1:4222",
                   region="RegionOne")


class Asked:
    """A cloud that has nothing yet, and keeps what it is asked."""

    def __init__(self, of: Settings) -> None:
        self.settings, self.requests = of, list[tuple[str, str]]()

    def find(self, service: str, path: str, plural: str, name: str) -> Any:
        return None if plural == "users" else {"id": f"id-of-{plural}"}

    def ask(self, service: str, method: str, path: str, body: Any = None) -> Any:
        self.requests.append((method, path))
        return {"user": {"id": "u", **(body or {}).get("user", {})}}


def test_a_host_gets_a_user_of_its_own_with_the_narrow_role() -> None:
    cloud: Any = Asked(GROWN)
    made = join.add(cloud, "second")
    assert (made.user, made.url, made.bus_url) == ("pilvi-host-second", "http://10.0.0.1:5000", GROWN.bus_url)
    assert len(made.password) >= 20
    assert cloud.requests == [("POST", "/v3/users"), ("PUT", "/v3/projects/id-of-projects/users/u/roles/id-of-roles")]


@pytest.mark.parametrize(("change", "word"), [
    ({"bus_url": ""}, "--bus-url"), ({"network_listen": ""}, "--network-listen"), ({"tunnel_address": ""}, "--tunnel-address"),
    ({"listen": "127.0.0.1:5000"}, "--listen"), ({"control": False}, "is a host itself")])
def test_a_cloud_that_others_cannot_reach_says_what_is_missing(change: dict[str, Any], word: str) -> None:
    cloud: Any = SimpleNamespace(settings=replace(GROWN, **change))
    with pytest.raises(join.NotReady, match=word): join.add(cloud, "second")


def test_a_name_that_the_bus_cannot_carry_is_refused() -> None:
    cloud: Any = SimpleNamespace(settings=GROWN)
    with pytest.raises(join.NotReady, match="no name for a host"): join.add(cloud, "second host")


def test_the_file_is_a_secret_and_makes_a_machine_a_host(tmp_path: Path) -> None:
    join.write(TICKET, tmp_path / "ticket.json")
    assert (tmp_path / "ticket.json").stat().st_mode & 0o777 == 0o600
    made = join.accept(join.read(tmp_path / "ticket.json"), tmp_path / "host", "10.1.0.2")
    assert (made.control, made.host_name, made.url, made.tunnel_address) == (False, "second", TICKET.url, "10.1.0.2")
    assert join.credentials(made) == ("pilvi-host-second", "word")
    assert (tmp_path / "host" / "join.json").stat().st_mode & 0o777 == 0o600
    assert join.accept(TICKET, tmp_path / "host").tunnel_address == "127.0.0.1"


def test_what_is_no_join_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ticket.json").write_text("{}")
    with pytest.raises(msgspec.ValidationError): join.read(tmp_path / "ticket.json")


@pytest.mark.parametrize(("url", "mode"), [("", 0o644), ("nats://10.0.0.1:4222", 0o644), ("nats://bus:word@10.0.0.1:4222", 0o640)])
def test_settings_with_passwords_are_not_for_everybody(tmp_path: Path, url: str, mode: int) -> None:
    wish = Settings(state=str(tmp_path), bus_url=url)
    settings.save(wish)
    assert settings.load(tmp_path) == wish
    assert (tmp_path / "cloud.json").stat().st_mode & 0o777 == mode


def test_a_host_believes_what_the_clouds_certificates_are_signed_by(tmp_path: Path) -> None:
    cloud: Any = Asked(replace(GROWN, state=str(tmp_path), tls=True))
    assert join.add(cloud, "second").authority == ""
    cloud.settings.authority_path.write_text("an authority")
    made = join.add(cloud, "second")
    assert (made.url, made.authority) == ("https://10.0.0.1:5000", "an authority")
    host = join.accept(replace(made, url="https://127.0.0.1:5000"), tmp_path / "host")
    assert host.authority_path.read_text() == "an authority" and host.url == "https://127.0.0.1:5000"
    join.accept(TICKET, tmp_path / "host")
    assert not host.authority_path.exists()
