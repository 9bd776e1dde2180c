"""Options of network."""
from __future__ import annotations

from msgspec import Struct

from pilvi.core.http.app import Application


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """See each field."""
    tenant_mtu: int = 1442
    """The largest packet on a tunnelled network, in bytes: 1500 less Geneve over IPv4 (58)."""
    provider_mtu: int = 1500
    """The largest packet on a provider network, in bytes."""
    physical_networks: tuple[str, ...] = ("external",)
    """The provider networks that hosts can reach, by name."""
    dns_servers: tuple[str, ...] = ()
    """What guests are told to ask when their subnet names no servers; IP addresses."""
    resync_seconds: float = 60.0
    """How often the backend is compared with the database even if nothing changed, in seconds."""


def config_of(application: Application | None) -> Config:
    """The options in force."""
    assert application is not None and isinstance(application.config, Config)
    return application.config
