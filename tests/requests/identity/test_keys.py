"""Token keys change under load, in two processes with one database: nobody is refused wrongly."""
from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from cryptography.fernet import Fernet
from tests.requests.identity.cloud import Client

from pilvi.core.db.session import Database
from pilvi.core.http.app import Application
from pilvi.identity.config import Config
from pilvi.identity.service import SERVICE
from pilvi.identity.token.keys import Keyring, TokenKey

ROTATIONS, CLIENTS, KEPT = 20, 4, 20
REFUSED = {401, 403, 404}


@pytest.fixture
def neighbour(identity: Application, tmp_path: Path) -> Iterator[Application]:
    """Another process over the same database."""
    made = Application(SERVICE, database=Database(identity.database.url), config=Config(password_rounds=4))
    made.state["master_key"] = identity.state["master_key"]
    assert SERVICE.start is not None
    SERVICE.start(made)
    yield made
    made.close()
    made.database.close()


def test_rotation_under_load_refuses_nobody(identity: Application, neighbour: Application, nobody: Client) -> None:
    first = str(nobody.sign_in("demo").headers["X-Subject-Token"])
    done = Event()

    def use(number: int) -> list[int]:
        """What a client meets that gets its tokens at one process and shows them at the other, old ones too."""
        here, there = (identity, neighbour) if number % 2 else (neighbour, identity)
        tokens, met = [first], []
        while not done.is_set():
            reply = Client(here).rescope(tokens[-1], {"project": {"id": "home"}})
            met.append(reply.status)
            if reply.status == 201: tokens.append(str(reply.headers["X-Subject-Token"]))
            met += [Client(there, token).validated(token).status for token in (tokens[-1], tokens[max(0, len(tokens) - KEPT)])]
        return met

    with ThreadPoolExecutor(CLIENTS) as pool:
        loads = [pool.submit(use, number) for number in range(CLIENTS)]
        try:
            for number in range(ROTATIONS):
                (identity, neighbour)[number % 2].state["keyring"].rotate()
                done.wait(0.05)
        finally: done.set()
        met = [status for load in loads for status in load.result()]
    assert not REFUSED & set(met), {status: met.count(status) for status in set(met)}
    assert met.count(200) > CLIENTS


def test_a_token_by_a_key_that_was_made_meanwhile_is_read(identity: Application, neighbour: Application, nobody: Client) -> None:
    for _ in range(3): neighbour.state["keyring"].rotate()
    token = str(Client(neighbour).sign_in("demo").headers["X-Subject-Token"])
    assert nobody.alive(token)


def test_what_is_no_token_costs_no_look_at_the_keys(identity: Application, nobody: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    keyring: Keyring = identity.state["keyring"]
    monkeypatch.setattr(keyring, "_read", lambda: looks.append(1))
    for text in ("garbage", "x" * 5000, "gAAAAA" + "x" * 5000): assert not nobody.alive(text)
    assert not looks
    assert not nobody.alive(Fernet(Fernet.generate_key()).encrypt(b"forged").decode().rstrip("="))
    assert len(looks) <= 2


def test_keys_leave_when_no_token_of_theirs_can_be_alive(identity: Application) -> None:
    short = Keyring(identity.database, identity.state["master_key"], rotation_seconds=1e9, token_seconds=-61)
    for _ in range(4): short.rotate()
    with identity.database.read() as db: ranks = sorted(key.rank for key in db.query(TokenKey))
    assert ranks == ["primary", "secondary", "staged"]
