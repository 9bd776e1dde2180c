"""Plugging and unplugging volumes and network cards, and the power switch."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilvi.compute.agent import boot
from pilvi.compute.agent.node import Node
from pilvi.compute.drivers.interface import Disk, Hypervisor, Nic
from pilvi.core.errand import Errand
from pilvi.network import client as network
from pilvi.volume import client as volume


def plug_volume(node: Node, errand: Errand) -> None:
    """Connects the reserved attachment to this host and plugs the disk."""
    facts = errand.facts
    connection = boot.connect(node, errand, facts["attachment_id"], facts["device"])
    disk = Disk(id=facts["volume_id"], device=facts["device"].removeprefix("/dev/"), connection=connection, serial=facts["volume_id"][:20])
    node.drivers[errand.host].attach_disk(errand.subject_id, disk)
    node.apis.ask(errand, lambda call: volume.complete(call, facts["attachment_id"]))


def unplug_volume(node: Node, errand: Errand) -> None:
    """Unplugs the disk; returns when the guest has let go."""
    node.drivers[errand.host].detach_disk(errand.subject_id, errand.facts["volume_id"])


def plug_interface(node: Node, errand: Errand) -> dict[str, Any]:
    """Binds the port to this host and plugs the card."""
    port = node.apis.ask(errand, lambda call: network.update_port(call, errand.facts["port_id"], {"binding:host_id": errand.host}))
    net = node.apis.ask(errand, lambda call: network.show_network(call, port["network_id"]))
    plugged = boot.info_of(port, net["name"], net.get("mtu") or 1500, boot.subnets_of(node, errand, [port]))
    node.write_metadata(errand.subject_id, boot.metadata_of(errand, [plugged]))
    node.serve_metadata(port["network_id"])
    nic = Nic(port_id=port["id"], mac=port["mac_address"], mtu=net.get("mtu") or 1500,
              binding={"vif_type": port["binding:vif_type"], "vif_details": port["binding:vif_details"]})
    node.drivers[errand.host].attach_nic(errand.subject_id, nic)
    boot.wait_up(node, errand, port["id"])
    return {"nic": plugged}


def unplug_interface(node: Node, errand: Errand) -> None:
    """Unplugs the card and removes its tap."""
    node.drivers[errand.host].detach_nic(errand.subject_id, errand.facts["port_id"])


def power(act: Callable[[Node, Hypervisor, str], None]) -> Callable[[Node, Errand], None]:
    """An act that is one call of the driver."""
    return lambda node, errand: act(node, node.drivers[errand.host], errand.subject_id)


def _start(node: Node, driver: Hypervisor, id: str) -> None:
    with node.boots: driver.start(id)


def _resume(node: Node, driver: Hypervisor, id: str) -> None:
    with node.boots: driver.resume(id)


def _hard_reboot(node: Node, driver: Hypervisor, id: str) -> None:
    """A reset; a machine that is off or paused runs again afterwards."""
    state = driver.power().get(id)
    if state in ("stopped", "crashed"): _start(node, driver, id)
    else:
        if state == "paused": driver.unpause(id)
        driver.reboot(id, hard=True, grace_seconds=node.grace_seconds)


stop = power(lambda node, driver, id: driver.stop(id, node.grace_seconds))
start = power(_start)
reboot = power(lambda node, driver, id: driver.reboot(id, hard=False, grace_seconds=node.grace_seconds))
hard_reboot = power(_hard_reboot)
pause = power(lambda node, driver, id: driver.pause(id))
unpause = power(lambda node, driver, id: driver.unpause(id))
suspend = power(lambda node, driver, id: driver.suspend(id))
resume = power(_resume)
