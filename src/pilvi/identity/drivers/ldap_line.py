"""Connections to the LDAP servers of a domain: opened with limits on time, kept for the next question, never following a referral.

Source: RFC 4511 (LDAP), RFC 4513 (bind, StartTLS).
"""
from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Literal
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import LDAPException
from msgspec import Struct

from pilvi.identity.drivers.interface import Unanswered

CONNECT_SECONDS, ANSWER_SECONDS = 4, 8
IDLE = 4
"""So many connections are kept open."""
WRONG = {"invalidCredentials", "inappropriateAuthentication", "constraintViolation", "unwillingToPerform", "noSuchObject",
         "insufficientAccessRights", "invalidDNSyntax", "strongerAuthRequired"}
"""A server's ways to say that this name and password open nothing."""
CHECKS = {"demand": ssl.CERT_REQUIRED, "allow": ssl.CERT_OPTIONAL, "never": ssl.CERT_NONE}


class Access(Struct, frozen=True):
    """How the servers are reached: the first address that answers is taken."""
    urls: list[str]
    user: str | None = None
    password: str | None = None
    use_tls: bool = False
    tls_cacertfile: str | None = None
    tls_cacertdir: str | None = None
    tls_req_cert: Literal["demand", "allow", "never"] = "demand"


class Lines:
    """The connections of one directory."""

    def __init__(self, access: Access) -> None:
        self.access, self.lock = access, Lock()
        self.idle: list[ldap3.Connection] = []

    @contextmanager
    def one(self) -> Iterator[ldap3.Connection]:
        """A connection with the rights of the domain's own account. Raises Unanswered."""
        with self.lock: line = self.idle.pop() if self.idle else None
        if line is None:
            line = self._open(self.access.user, self.access.password)
            if line is None: raise Unanswered("the server does not take the name and password of the domain's configuration")
        whole = False
        try:
            yield line
            whole = True
        except LDAPException as failure: raise Unanswered(f"the connection broke ({_brief(failure)})") from failure
        finally:
            with self.lock: keep = whole and len(self.idle) < IDLE
            if keep: self.idle.append(line)
            else: _end(line)

    def refresh(self) -> None:
        """Drops what is idle: a server that was started anew knows none of it."""
        with self.lock: idle, self.idle = self.idle, []
        for line in idle: _end(line)

    def opens(self, dn: str, password: str) -> bool:
        """Does the server take this name and password? Raises Unanswered."""
        line = self._open(dn, password)
        if line is not None: _end(line)
        return line is not None

    def _open(self, dn: str | None, password: str | None) -> ldap3.Connection | None:
        """A new connection with these rights; None if they are refused. Raises Unanswered."""
        failure: Exception | None = None
        for url in self.access.urls:
            try: return self._try(url, dn, password)
            except (LDAPException, OSError, ValueError) as broken: failure = broken
        raise Unanswered(f"no server can be reached ({_brief(failure)})")

    def _try(self, url: str, dn: str | None, password: str | None) -> ldap3.Connection | None:
        parts = urlsplit(url.strip())
        if parts.scheme not in ("ldap", "ldaps") or not parts.hostname: raise ValueError(f"{url[:80]} is no ldap address")
        secure = parts.scheme == "ldaps"
        server = ldap3.Server(parts.hostname, parts.port or (636 if secure else 389), use_ssl=secure, get_info=ldap3.NONE,
                              tls=self._tls(), connect_timeout=CONNECT_SECONDS)
        line = ldap3.Connection(server, dn or None, password or None, auto_referrals=False, read_only=True, check_names=False,
                                receive_timeout=ANSWER_SECONDS, return_empty_attributes=False)
        try:
            line.open(read_server_info=False)
            if self.access.use_tls and not secure and not line.start_tls(read_server_info=False):
                raise ValueError("the server refuses TLS")
            if line.bind(read_server_info=False): return line
            said = str(line.result["description"])
        except BaseException:
            _end(line)
            raise
        _end(line)
        if said in WRONG: return None
        raise ValueError(f"the server says {said}")

    def _tls(self) -> ldap3.Tls:
        given: dict[str, Any] = {"ca_certs_file": self.access.tls_cacertfile, "ca_certs_path": self.access.tls_cacertdir}
        return ldap3.Tls(validate=CHECKS[self.access.tls_req_cert], version=ssl.PROTOCOL_TLS_CLIENT, **given)


def _brief(failure: Exception | None) -> str:
    return " ".join(str(failure).split())[:200]


def _end(line: ldap3.Connection) -> None:
    try: line.unbind()
    except (LDAPException, OSError): pass
