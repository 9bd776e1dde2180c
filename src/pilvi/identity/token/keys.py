"""The keys of tokens: staged → primary → secondary, in identity's database, each encrypted with the master key of the state folder.

Every process knows the staged key before it becomes primary, so rotation refuses no token. A secondary key is dropped when no token that it
sealed can still be alive.
"""
from __future__ import annotations

from threading import Lock

from cryptography.fernet import Fernet, MultiFernet
from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from pilvi.core import clock
from pilvi.core.crypto import new_hex_id
from pilvi.core.db.session import Database
from pilvi.core.wire import Base

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
        self.read_at, self.keys = 0.0, MultiFernet([Fernet(Fernet.generate_key())])

    def current(self) -> MultiFernet:
        """The keys, primary first."""
        if clock.monotonic() - self.read_at > RELOAD_SECONDS:
            with self.lock: self._read()
        return self.keys

    def _read(self) -> None:
        with self.database.read() as db: rows = list(db.execute(select(TokenKey.rank, TokenKey.sealed, TokenKey.since)))
        rows.sort(key=lambda row: (ORDER[row.rank], -row.since))
        self.keys = MultiFernet([Fernet(self.master.decrypt(row.sealed.encode())) for row in rows])
        self.read_at = clock.monotonic()

    def prepare(self) -> None:
        """Makes the first keys, if there are none, and rotates if it is time."""
        with self.database.write() as db:
            primary = db.query(TokenKey).where(TokenKey.rank == "primary").first()
            if primary is None:
                for rank in ("primary", "staged"): self._add(db, rank)
            elif clock.now() - primary.since > self.rotation_seconds: self._rotate(db)
        with self.lock: self._read()

    def rotate(self) -> None:
        """The staged key becomes primary now."""
        with self.database.write() as db: self._rotate(db)
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
