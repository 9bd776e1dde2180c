"""`pilvi object-ring …` and `pilvi object-node`: the object store's devices and nodes from the command line."""
from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import typer
from rich import filesize
from rich.console import Console
from rich.table import Table

from pilvi.objectstore.cluster import administer
from pilvi.objectstore.cluster.options import StorageOptions
from pilvi.objectstore.config import Config
from pilvi.objectstore.ring.build import TooFewDevices
from pilvi.run import object_node
from pilvi.run.settings import Settings

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 150)


def directory(settings: Settings) -> Path:
    """Where the cloud keeps its objects."""
    return settings.control_directory / "objects"


def show(settings: Settings) -> None:
    """Each ring's devices, balance and dispersion."""
    for name, (ring, found) in administer.reports(directory(settings)).items():
        out.print(f"[bold]{name}[/]  version {ring.version}, {ring.partitions} partitions, {ring.replicas:g} replicas, overload "
                  f"{ring.overload:g} (for full dispersion {found.required_overload:.2f}); balance {found.balance} %, too close "
                  f"{found.dispersion} %{' at ' + found.worst_tier if found.worst_tier else ''}")
        table = Table("region", "zone", "node", "device", "weight", "partitions", "address", box=None, pad_edge=False, header_style="bold")
        for one in ring.devices:
            if one is not None:
                held = str(found.parts.get(one.id, 0))
                table.add_row(str(one.region), str(one.zone), one.node, one.name, f"{one.weight:g}", held, one.url)
        out.print(table)


def health(told: dict[str, Any]) -> None:
    """What GET /recon told."""
    table = Table("node", "device", "region", "zone", "state", "size", "free", "to be told", "put aside", box=None, pad_edge=False,
                  header_style="bold")
    for one in told["devices"]:
        place = [one["node"], one["device"], str(one["region"]), str(one["zone"])]
        if not one["mounted"]: table.add_row(*place, "[red]away[/]")
        else: table.add_row(*place, f"refiling {', '.join(one['refiling'])}" if one["refiling"] else "up", filesize.decimal(one["bytes"]),
                            filesize.decimal(one["free_bytes"]), str(one["pending"]), str(one["quarantined"]))
    out.print(table)
    for policy, found in told.get("dispersion", {}).items():
        out.print(f"{policy}: {found['objects']} objects, {found['found']} of {found['wanted']} copies in place ({found['per_cent']} %), "
                  f"{found['strays']} elsewhere")


def devices_of(words: list[str]) -> dict[str, float]:
    """{name: weight} of words `NAME[:WEIGHT]`. Raises ValueError."""
    pairs = (word.partition(":") for word in words)
    return {name: float(weight or 100) for name, _, weight in pairs}


def rebalance(settings: Settings, ring: str) -> None:
    """Makes new rings and says what moves."""
    try: moved = administer.rebalance(directory(settings), ring)
    except TooFewDevices: raise typer.BadParameter("there are fewer devices than replicas") from None
    for name, copies in moved.items(): out.print(f"{name}: {copies} copies of partitions are new or move")


def options_of(settings: Settings) -> StorageOptions:
    """The storage part of the cloud's configuration."""
    path = settings.directory / "config.toml"
    given = tomllib.loads(path.read_text()) if path.exists() else {}
    return msgspec.convert(given.get("objectstore", {}), Config).storage


def write_node_file(settings: Settings, name: str, listen: str, target: Path) -> None:
    """The file with which a node joins, for its eyes only."""
    target.touch(0o600)
    target.chmod(0o600)
    target.write_bytes(administer.node_file(directory(settings), name, listen, options_of(settings)))


def run_node(folder: Path, join: Path | None) -> None:
    """The node's process, in the foreground."""
    try:
        if join: administer.accept(folder, join.read_bytes())
        object_node.main(folder)
    except (FileNotFoundError, msgspec.DecodeError) as failure: raise typer.BadParameter(f"this folder is no node yet: {failure}") from None
