"""The way out of a host: the external network's gateway address on the external bridge, and translation to the host's own address beyond.

What changes on the host is one nft table of this cloud and the kernel's forwarding switch, which the last cloud on the machine puts back.
"""
from __future__ import annotations

import ipaddress
import os
from pathlib import Path

from pilvi.network.drivers.ovn.commands import run, succeeds

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
TABLE_PREFIX = "pilvi_"


def open_uplink(bridge: str, tag: str, cidr: str, gateway: str) -> None:
    """Give the bridge the gateway's address and translate what leaves. May be repeated."""
    prefix = ipaddress.ip_network(cidr).prefixlen
    run(["ip", "address", "replace", f"{gateway}/{prefix}", "dev", bridge])
    run(["ip", "link", "set", bridge, "up"])
    table = f"{TABLE_PREFIX}{tag}"
    # Declared, deleted and made again in one transaction: right whatever was there before, without a moment without it.
    run(["nft", "-f", "-"], stdin=f"""
table ip {table}
delete table ip {table}
table ip {table} {{
    chain outward {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {cidr} ip daddr != {cidr} oifname != "{bridge}" masquerade
    }}
}}
""")
    memory = _memory()
    if not memory.exists():
        memory.parent.mkdir(mode=0o755, exist_ok=True)
        memory.write_text(FORWARDING.read_text())
    FORWARDING.write_text("1\n")


def close_uplink(tag: str) -> None:
    """Undo it (the address goes with the bridge). May be repeated."""
    succeeds(["nft", "delete", "table", "ip", f"{TABLE_PREFIX}{tag}"])
    memory = _memory()
    if not memory.exists() or f"table ip {TABLE_PREFIX}" in run(["nft", "list", "tables", "ip"]): return
    FORWARDING.write_text(memory.read_text())
    memory.unlink()


def is_open(tag: str) -> bool:
    """Whether this cloud's translation is in place."""
    return succeeds(["nft", "list", "table", "ip", f"{TABLE_PREFIX}{tag}"])


def _memory() -> Path:
    # The switch belongs to a network namespace, and its former value is worth remembering until the machine restarts.
    return Path("/run/pilvi") / f"ip_forward.{os.stat('/proc/self/ns/net').st_ino}"
