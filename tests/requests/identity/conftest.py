"""Clients of an identity: an administrator, a member, a reader and nobody."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.requests.identity.cloud import Client, new_identity

from pilvi.core.http.app import Application


@pytest.fixture
def identity(tmp_path: Path) -> Iterator[Application]:
    application = new_identity(tmp_path)
    yield application
    application.close()
    application.database.close()


@pytest.fixture
def nobody(identity: Application) -> Client:
    return Client(identity)


def signed_in(nobody: Client, user: str) -> Client:
    return Client(nobody.application, nobody.sign_in(user).headers["X-Subject-Token"])


@pytest.fixture
def admin(nobody: Client) -> Client:
    return signed_in(nobody, "admin")


@pytest.fixture
def demo(nobody: Client) -> Client:
    return signed_in(nobody, "demo")


@pytest.fixture
def watcher(nobody: Client) -> Client:
    return signed_in(nobody, "watcher")
