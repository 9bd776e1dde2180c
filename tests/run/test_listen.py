"""Where the control process listens."""
from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest
from tests.run.conftest import free_port

from pilvi.run.listen import sockets
from pilvi.run.settings import Settings


def addresses(settings: Settings, ahead: int = 0) -> list[tuple[str, int]]:
    with ExitStack() as stack:
        return [stack.enter_context(one).getsockname()[:2] for one in sockets(settings, ahead)]


def test_a_simulated_cloud_listens_where_it_was_told() -> None:
    port = free_port()
    assert addresses(Settings(state="/s", listen=f"127.0.0.1:{port}", simulated=True)) == [("127.0.0.1", port)]
    assert addresses(Settings(state="/s", listen=f"127.0.0.1:{port}", simulated=True), 1) == [("127.0.0.1", port + 1)]


def test_guests_reach_the_apis_at_the_gateway_which_is_not_there_yet() -> None:
    port = free_port()
    settings = Settings(state="/s", listen=f"127.0.0.1:{port}", external_cidr="10.255.255.0/24")
    assert addresses(settings) == [("127.0.0.1", port), ("10.255.255.1", port)]
    assert settings.guest_url == f"http://10.255.255.1:{port}" and settings.url == f"http://127.0.0.1:{port}"


def test_an_address_for_all_needs_no_second() -> None:
    port = free_port()
    assert addresses(Settings(state="/s", listen=f"0.0.0.0:{port}")) == [("0.0.0.0", port)]


def test_a_taken_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(state="/s", listen=f"127.0.0.1:{taken.getsockname()[1]}", simulated=True)
        with pytest.raises(OSError, match=r"cannot listen on 127.0.0.1 port \d+: Address already in use"): sockets(settings)
