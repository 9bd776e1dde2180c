"""Rules for passwords: how often one may be wrong, how long it holds, which ones may follow it, and when a user has been away too long.

Source: Keystone's security compliance (its options have other names there); Identity API v3, "Users" (options that exempt a user).
"""
from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import delete, select, update

from pilvi.core import clock
from pilvi.core.crypto import check_password
from pilvi.core.http.app import Application
from pilvi.identity import errors
from pilvi.identity.resources.user import PasswordHistory, User, check_regex
from pilvi.identity.token import passwords

DAY = 86_400.0


def locked(app: Application, user: User | None) -> bool:
    """Has the user been wrong too often, not long ago?"""
    most: int = app.config.lockout_attempts
    if user is None or not most or user.options.get("ignore_lockout_failure_attempts"): return False
    return user.failed_attempts >= most and bool(clock.now() - (user.failed_at or 0.0) < app.config.lockout_seconds)


def count_failure(app: Application, user: User | None) -> None:
    """Remembers a wrong password; a lock that has run out begins a new count."""
    if user is None or not app.config.lockout_attempts: return
    now = clock.now()
    over = user.failed_attempts >= app.config.lockout_attempts
    with app.database.write() as db:
        db.execute(update(User).where(User.id == user.id).values(failed_attempts=1 if over else User.failed_attempts + 1, failed_at=now))


def check_user(app: Application, user: User) -> None:
    """After the right password: may it still be used? Raises PasswordExpired, LoginRefused (locked out by idleness)."""
    now = clock.now()
    idle = now - (user.last_active_at or user.password_created_at)
    if app.config.idle_days and idle > app.config.idle_days * DAY and not user.options.get("ignore_user_inactivity"):
        raise errors.LoginRefused()
    if user.password_expires_at is not None and user.password_expires_at <= now and not user.options.get("ignore_password_expiry"):
        raise errors.PasswordExpired(id=user.id)


def record_success(app: Application, user: User, password: str) -> None:
    """Forgets earlier failures, remembers the day, and hashes the password anew if its cost is no longer the configured one."""
    changes: dict[str, object] = {}
    if user.failed_attempts: changes |= {"failed_attempts": 0, "failed_at": None}
    today = clock.now()
    if app.config.idle_days and _day(user.last_active_at or 0.0) != _day(today): changes["last_active_at"] = today
    if passwords.outdated(app, user.password or ""): changes["password"] = passwords.hashed(app, password)
    if not changes: return
    with app.database.write() as db:
        db.execute(update(User).where(User.id == user.id, User.password == user.password).values(**changes))


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def check_change(app: Application, user: User, password: str) -> None:
    """A user's own change: not too soon, and not to an earlier one. Slow: outside any transaction.
    Raises PasswordUnfit, PasswordReused, PasswordTooYoung."""
    if user.options.get("lock_password"): raise errors.PasswordFixed()
    check_regex(app, password)
    age, least = clock.now() - user.password_created_at, app.config.password_minimum_days * DAY
    if age < least and not user.must_change: raise errors.PasswordTooYoung(days=f"{app.config.password_minimum_days:g}")
    if app.config.remembered_passwords < 1: return
    with app.database.read() as db:
        query = select(PasswordHistory.hashed).where(PasswordHistory.user_id == user.id).order_by(PasswordHistory.created_at.desc())
        earlier = list(db.scalars(query.limit(app.config.remembered_passwords - 1)))
    if any(check_password(password, each) for each in [user.password or "", *earlier] if each):
        raise errors.PasswordReused(count=app.config.remembered_passwords)


def trim_history(app: Application) -> None:
    """Forgets passwords that nobody asks for any more."""
    with app.database.write() as db:
        if app.config.remembered_passwords < 2:
            db.execute(delete(PasswordHistory))
            return
        for user_id in db.scalars(select(PasswordHistory.user_id).distinct()).all():
            kept = select(PasswordHistory.id).where(PasswordHistory.user_id == user_id).order_by(
                PasswordHistory.created_at.desc()).limit(app.config.remembered_passwords - 1)
            db.execute(delete(PasswordHistory).where(PasswordHistory.user_id == user_id, PasswordHistory.id.not_in(kept)))
