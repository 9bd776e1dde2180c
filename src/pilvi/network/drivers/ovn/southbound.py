"""The hosts that joined, as OVN's southbound database knows them (table Chassis). Read only."""
from __future__ import annotations

from collections import defaultdict
from typing import Any

from msgspec import Struct

from pilvi.network.drivers.ovn.replica import Replica

COLUMNS = {"Chassis": ("name", "other_config", "external_ids")}


class Chassis(Struct, frozen=True):
    """A host. `options` is what its agent wrote into ovn-cms-options, which OVN passes on unread."""
    host: str
    datapath: str
    physical_networks: tuple[str, ...]
    options: dict[str, str]


class Southbound:
    """A live view of the hosts."""

    def __init__(self, remote: str, schema_path: str) -> None:
        self.replica = Replica("southbound", remote, schema_path, COLUMNS, lambda event, row, before: None)

    def chassis(self) -> dict[str, Chassis]:
        """All hosts, by name."""
        return self.replica.call(lambda database: {row.name: _chassis(row) for row in database.tables["Chassis"].rows.values()})

    def gateways(self) -> dict[str, tuple[str, ...]]:
        """{physical network: the hosts that reach it, sorted}"""
        found: dict[str, list[str]] = defaultdict(list)
        for chassis in self.chassis().values():
            for network in chassis.physical_networks: found[network].append(chassis.host)
        return {network: tuple(sorted(hosts)) for network, hosts in found.items()}


def _chassis(row: Any) -> Chassis:
    settings = {**row.external_ids, **row.other_config}
    pairs = (part.partition("=") for part in settings.get("ovn-cms-options", "").split(","))
    return Chassis(
        row.name, settings.get("datapath-type") or "system",
        tuple(mapping.partition(":")[0] for mapping in settings.get("ovn-bridge-mappings", "").split(",") if mapping),
        {name: value for name, _, value in pairs if name})
