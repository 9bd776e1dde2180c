"""The keys of tokens: staged → primary → secondary, in identity's database, each encrypted with the master key of the state folder.

Every process knows the staged key before it becomes primary; and a token that none of its keys opens makes it look whether there are
new ones. So rotation refuses no token, however often it comes. A secondary key is dropped when no token that it sealed can still be alive.
"""
from __future__ import annotations

from threading import Lock

from cryptography.fernet import Fernet, MultiFernet
from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core import clock
from pilvi.core.crypto import new_hex_id
from pilvi.core.db.session import Database
from pilvi.core.wire import Base
from pilvi.identity.token.formats import Sealed, looks_sealed, seal, unseal

RELOAD_SECONDS = 5.0
ORDER = {"primary": 0, "staged": 1, "secondary": 2}


class TokenKey(Base):
    __tablename__ = "identity_token_keys"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_hex_id)
    rank: Mapped[str]
    sealed: Mapped[str]
    since: Mapped[float] = mapped_column(default=clock.now)
    """When it got this rank."""


class Keyring:
    """The keys as this process knows them; read again every few seconds."""

    def __init__(self, database: Database, master: str, *, rotation_seconds: float, token_seconds: float) -> None:
        self.database, self.master = database, Fernet(master)
        self.rotation_seconds, self.token_seconds = rotation_seconds, token_seconds
        self.lock = Lock()
        self.read_at, self.known, self.keys = 0.0, list[str](), MultiFernet([Fernet(Fernet.generate_key())])

    def seal(self, payload: Struct) -> str:
        """A token or receipt by the primary key."""
        return seal(self.current(), payload)

    def unseal(self, text: str, kind: type[Sealed]) -> Sealed | None:
        """What is in it; None if it is not ours, of another kind, or damaged."""
        keys = self.current()
        found = unseal(keys, text, kind)
        if found is not None or not looks_sealed(text): return found
        with self.lock:
            if self.keys is keys: self._read()
        return None if self.keys is keys else unseal(self.keys, text, kind)

    def current(self) -> MultiFernet:
        """The keys, primary first."""
        if clock.monotonic() - self.read_at > RELOAD_SECONDS:
            with self.lock: self._read()
        return self.keys

    def _read(self) -> None:
        with self.database.read() as db: rows = list(db.execute(select(TokenKey.rank, TokenKey.sealed, TokenKey.since)))
        rows.sort(key=lambda row: (ORDER[row.rank], -row.since))
        known = [row.sealed for row in rows]
        if known != self.known:
            self.known, self.keys = known, MultiFernet([Fernet(self.master.decrypt(sealed.encode())) for sealed in known])
        self.read_at = clock.monotonic()

    def prepare(self) -> None:
        """Makes the first keys, if there are none, and rotates if it is time."""
        with self.database.write() as db:
            self.database.take_turns(db, "token keys")
            primary = db.query(TokenKey).where(TokenKey.rank == "primary").first()
            if primary is None:
                for rank in ("primary", "staged"): self._add(db, rank)
            elif clock.now() - primary.since > self.rotation_seconds: self._rotate(db)
        with self.lock: self._read()

    def rotate(self) -> None:
        """The staged key becomes primary now."""
        with self.database.write() as db:
            self.database.take_turns(db, "token keys")
            self._rotate(db)
        with self.lock: self._read()

    def _rotate(self, db: Session) -> None:
        now = clock.now()
        for key in db.query(TokenKey):
            if key.rank == "secondary" and now - key.since > self.token_seconds + 60: db.delete(key)
            elif key.rank == "primary": key.rank, key.since = "secondary", now
            elif key.rank == "staged": key.rank, key.since = "primary", now
        self._add(db, "staged")

    def _add(self, db: Session, rank: str) -> None:
        db.add(TokenKey(rank=rank, sealed=self.master.encrypt(Fernet.generate_key()).decode()))
        db.flush()
