"""How the cloud acts for a stack's owner after the request: with a trust that the owner's token made when the stack was created.

A request's own token is used while it is there (validation, preview); everything that a task does is done with a token of the trust.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet

from pilvi.core.context import Call

if TYPE_CHECKING:
    from pilvi.core.http.app import Application



def given(call: Call) -> dict[str, Any]:
    """What a new stack keeps of the request's authority. Outside any transaction."""
    assert call.application is not None
    return {"token": _box(call.application).encrypt(call.token.encode()).decode()}


def call_for(application: Application, credentials: dict[str, Any]) -> Call:
    """A call on behalf of the stack's owner."""
    return Call(token=_box(application).decrypt(credentials["token"].encode()).decode())


def _box(application: Application) -> Fernet:
    return Fernet(application.state["master_key"].encode())
