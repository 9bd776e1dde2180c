"""Passwords are slow to check on purpose: as many at once as there are cores; for an unknown user it takes as long as for others."""
from __future__ import annotations

import os
from threading import BoundedSemaphore

from pilvi.core.crypto import check_password, hash_password
from pilvi.core.http.app import Application

HASHING = BoundedSemaphore(os.cpu_count() or 1)
"""More at once would only slow everything else."""
CHEAPEST_ROUNDS = 4
NOBODYS = "." * 53
"""Salt and hash of a decoy, in bcrypt's letters."""


def hashed(app: Application, password: str, *, slow: bool = True) -> str:
    """The hash to store. Call it outside any transaction. `slow`: somebody chose it; long random words need no protection by cost."""
    if not slow: return hash_password(password, CHEAPEST_ROUNDS)
    with HASHING: return hash_password(password, app.config.password_rounds)


def fits(app: Application, password: str, stored: str | None, *, slow: bool = True) -> bool:
    """Is it the password of this hash? Without one the answer is no, after as long as a hash of `hashed` would take. Call it outside any
    transaction."""
    with HASHING: same = check_password(password, stored or decoy(app.config.password_rounds if slow else CHEAPEST_ROUNDS))
    return same and stored is not None


def decoy(rounds: int) -> str:
    """A hash that stands for the one that is not there."""
    return f"$2b${rounds:02}${NOBODYS}"


def outdated(app: Application, stored: str) -> bool:
    """Was it hashed at another cost than is configured now? (The cheapest one is on purpose: long random words.)"""
    cost = stored.split("$")[2:3]
    return bool(cost) and cost[0].isdigit() and int(cost[0]) not in (CHEAPEST_ROUNDS, app.config.password_rounds)
