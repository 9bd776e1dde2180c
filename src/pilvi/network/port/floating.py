"""The tie between a floating IP and a port's address: which router makes it, when it goes."""
from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from pilvi.core import clock
from pilvi.network import errors
from pilvi.network.resources.standard import bump
from pilvi.network.resources.tables import Allocation, FloatingIp, Port, Router, Subnet


def router_between(db: Session, subnet_id: str, external_network_id: str, port_id: str) -> str:
    """The router that joins the subnet to the external network; the one that is the subnet's gateway first.
    Raises ExternalGatewayForFloatingIPNotFound."""
    on_subnet = select(Allocation.port_id).where(Allocation.subnet_id == subnet_id)
    found = db.execute(select(Router.id, Allocation.ip_address).join(Port, Port.device_id == Router.id)
                       .join(Allocation, Allocation.port_id == Port.id)
                       .where(Port.id.in_(on_subnet), Port.device_owner == "network:router_interface", Allocation.subnet_id == subnet_id,
                              Router.gateway_network_id == external_network_id).order_by(Router.created_at)).all()
    if not found:
        raise errors.ExternalGatewayForFloatingIPNotFound(external_network_id=external_network_id, subnet_id=subnet_id, port_id=port_id)
    gateway = db.scalar(select(Subnet.gateway_ip).where(Subnet.id == subnet_id))
    return next((router_id for router_id, address in found if address == gateway), found[0][0])


def detach(db: Session, port_id: str, addresses: Sequence[str] | None = None) -> None:
    """Frees the floating IPs of a port, or only those of some of its addresses."""
    for floating in db.query(FloatingIp).where(FloatingIp.port_id == port_id):
        if addresses is None or floating.fixed_ip_address in addresses: clear(floating)


def clear(floating: FloatingIp) -> None:
    """The floating IP leads nowhere."""
    floating.port_id = floating.fixed_ip_address = floating.router_id = None
    floating.status, floating.updated_at = "DOWN", clock.now()
    bump(floating)
