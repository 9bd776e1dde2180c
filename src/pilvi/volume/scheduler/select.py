"""Which host gets a new volume. Pure: hosts in, a name or the reason for none out."""
from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

MIB_PER_GIB = 1024
OVERSUBSCRIPTION = 20.0
"""Volumes grow as they are written, so more is promised than there is (Cinder's default ratio)."""


class Host(Struct, frozen=True, kw_only=True):
    """What is known of a host. `promised_gib`: the sizes of its volumes together; `free_mib`: what its disk really has left."""
    name: str
    backend: str
    total_mib: int
    free_mib: int
    reserve_mib: int
    promised_gib: int
    silent: bool = False
    disabled: bool = False


def fits(host: Host, size_gib: int) -> str | None:
    """None if the volume may go there, else why not."""
    if host.silent: return "its agent is silent"
    if host.disabled: return "it is disabled"
    if host.free_mib < host.reserve_mib: return f"only {host.free_mib} MiB are free, {host.reserve_mib} MiB are kept"
    if (host.promised_gib + size_gib) * MIB_PER_GIB > host.total_mib * OVERSUBSCRIPTION:
        return f"{host.promised_gib} GiB are promised already on {host.total_mib // MIB_PER_GIB} GiB"
    return None


def choose(hosts: Sequence[Host], size_gib: int, only: str | None = None) -> tuple[str | None, str]:
    """(the host with the most room, "") or (None, why). `only`: the one on which the volume's source lies."""
    asked = [host for host in hosts if only is None or host.name == only]
    if not asked: return None, f"host {only} is unknown" if only else "No host with a volume agent has reported."
    refused = {host.name: reason for host in asked if (reason := fits(host, size_gib))}
    free = [host for host in asked if host.name not in refused]
    if not free: return None, "; ".join(f"{name}: {reason}" for name, reason in sorted(refused.items())[:5])
    return min(free, key=lambda host: (-host.free_mib, host.promised_gib, host.name)).name, ""
