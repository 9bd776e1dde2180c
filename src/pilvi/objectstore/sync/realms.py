"""The realms file: clouds that trust each other, each with its address; and the signature by which they know each other.

    [us]                                an upstream container-sync-realms.conf may be used as it is
    key = …                             the realm's secret, the same in all its clouds; key2: another that is taken, while keys change
    cluster_dallas = https://host/v1/
"""
from __future__ import annotations

import configparser
import hashlib
import hmac
from pathlib import Path
from typing import NamedTuple


class Realm(NamedTuple):
    """`clusters`: {name in capitals: address}"""
    key: str
    key2: str
    clusters: dict[str, str]


class UnknownTarget(ValueError):
    """What is wrong with an X-Container-Sync-To."""


class Realms:
    """The file, read anew when it has changed. "" or no file: there are no realms."""

    def __init__(self, path: str) -> None:
        self._path, self._seen = Path(path), 0
        self._wanted = bool(path)
        self._realms: dict[str, Realm] = {}

    def all(self) -> dict[str, Realm]:
        """{name in capitals: realm}"""
        if not self._wanted: return {}
        try: changed = self._path.stat().st_mtime_ns
        except FileNotFoundError: return {}
        if changed != self._seen:
            self._realms, self._seen = parse(self._path.read_text()), changed
        return self._realms

    def named(self, name: str) -> Realm | None:
        """One, whatever its case."""
        return self.all().get(name.upper())

    def target(self, wish: str) -> tuple[str, str, str]:
        """(address of the other container, realm, its key) of //realm/cluster/account/container. Raises UnknownTarget."""
        parts = wish[2:].split("/")
        if not wish.startswith("//") or len(parts) != 4 or not all(parts):
            raise UnknownTarget(f"Invalid X-Container-Sync-To format {wish!r}")
        name, cluster, account, container = parts
        realm = self.named(name)
        if realm is None or not realm.key: raise UnknownTarget(f"No realm key for {name!r}")
        if cluster.upper() not in realm.clusters: raise UnknownTarget(f"No cluster endpoint for {name!r} {cluster!r}")
        return f"{realm.clusters[cluster.upper()].rstrip('/')}/{account}/{container}", name.upper(), realm.key


def parse(text: str) -> dict[str, Realm]:
    """The realms of a file. Raises configparser.Error."""
    found = configparser.ConfigParser(interpolation=None)
    found.read_string(text)
    return {name.upper(): Realm(found[name].get("key", ""), found[name].get("key2", ""), {
        option[len("cluster_"):].upper(): value for option, value in found[name].items() if option.startswith("cluster_")})
        for name in found.sections()}


def signature(method: str, path: str, timestamp: str, nonce: str, realm_key: str, user_key: str) -> str:
    """What the sender shows, in hex. `path` is percent-encoded; `user_key` is the container's X-Container-Sync-Key."""
    text = "\n".join((method, path, timestamp, nonce, user_key))
    return hmac.new(realm_key.encode(), text.encode("utf-8", "surrogateescape"), hashlib.sha1).hexdigest()
