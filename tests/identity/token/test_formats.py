"""What is in a token survives the seal; what was changed does not."""
from __future__ import annotations

from cryptography.fernet import Fernet, MultiFernet
from hypothesis import given
from hypothesis import strategies as st

from pilvi.identity.token.formats import Payload, Receipt, looks_sealed, seal, unseal

KEYS = MultiFernet([Fernet(Fernet.generate_key()), Fernet(Fernet.generate_key())])
PAYLOADS = st.builds(Payload, st.text(max_size=64), st.lists(st.sampled_from(["password", "token"])),
                     st.sampled_from(["", "project", "domain", "system"]),
                     st.text(max_size=64), st.floats(0, 4e9), st.floats(0, 4e9), st.lists(st.text(max_size=22), min_size=1, max_size=2))


@given(PAYLOADS)
def test_what_is_sealed_can_be_read(payload: Payload) -> None:
    token = seal(KEYS, payload)
    assert unseal(KEYS, token, Payload) == payload and "=" not in token
    assert looks_sealed(token) and unseal(KEYS, token, Receipt) is None
    assert unseal(MultiFernet([Fernet(Fernet.generate_key())]), token, Payload) is None


@given(st.text(max_size=200))
def test_anything_else_is_none(text: str) -> None:
    assert unseal(KEYS, text, Payload) is None


def test_a_token_is_short() -> None:
    payload = Payload("0" * 32, ["password", "token"], "project", "0" * 32, 1.8e9, 1.8e9, ["A" * 22, "B" * 22])
    assert len(seal(KEYS, payload)) < 400
