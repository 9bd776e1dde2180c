"""Types that Heat has and this cloud has no service for: {name: the service it would need}. They are known, so that a template that uses
one is told which service is missing, and not listed.
"""
from __future__ import annotations

from collections.abc import Iterator

from pilvi.orchestration.types.interface import ResourceType

BY_SERVICE = {
    "barbican": "Barbican:CertificateContainer GenericContainer Order RSAContainer Secret",
    "blazar": "Blazar:Host Lease",
    "cinder encryption": "Cinder:EncryptedVolumeType",
    "cinder quality of service": "Cinder:QoSAssociation QoSSpecs",
    "designate": "Designate:RecordSet Zone",
    "glance web-download": "Glance:WebImage",
    "ironic": "Ironic:Port",
    "magnum": "Magnum:Cluster ClusterTemplate",
    "manila": "Manila:SecurityService Share ShareNetwork ShareType",
    "mistral": "Mistral:CronTrigger ExternalResource Workflow",
    "neutron firewall": "Neutron:Firewall FirewallPolicy FirewallRule",
    "neutron l2-gateway": "Neutron:L2Gateway L2GatewayConnection NetworkGateway",
    "neutron metering": "Neutron:MeteringLabel MeteringRule",
    "neutron port forwarding": "Neutron:FloatingIPPortForward",
    "neutron quality of service": "Neutron:QoSBandwidthLimitRule QoSDscpMarkingRule QoSMinimumBandwidthRule QoSMinimumPacketRateRule "
                                  "QoSPolicy",
    "neutron segments": "Neutron:Segment",
    "neutron service function chaining": "Neutron:FlowClassifier PortChain PortPair PortPairGroup",
    "neutron tap-as-a-service": "Neutron:TaaS::TapFlow TaaS::TapService",
    "neutron trunk": "Neutron:Trunk",
    "neutron vpn": "Neutron:IKEPolicy IPsecPolicy IPsecSiteConnection VPNService",
    "octavia": "Octavia:AvailabilityZone AvailabilityZoneProfile Flavor FlavorProfile HealthMonitor L7Policy L7Rule Listener LoadBalancer "
               "Pool PoolMember Quota",
    "octavia alarms": "Aodh:LBMemberHealthAlarm",
    "prometheus alarms": "Aodh:PrometheusAlarm",
    "trove": "Trove:Cluster Instance",
    "zaqar": "Zaqar:MistralTrigger Queue SignedQueueURL Subscription",
    "zun": "Zun:Container",
}
"""{what is missing: "Project:Type Type …"}"""


def _types() -> Iterator[tuple[str, type[ResourceType]]]:
    for service, words in BY_SERVICE.items():
        project, _, kinds = words.partition(":")
        for kind in kinds.split():
            name = f"OS::{project}::{kind}"
            yield name, type(kind.rpartition(":")[2], (ResourceType,), {"name": name, "requires_service": service})


MISSING = dict(_types())
"""{name: class}"""


def __getattr__(word: str) -> type[ResourceType]:
    """The class at an address of the map below."""
    name = word.replace("__", "::")
    if name not in MISSING: raise AttributeError(word)
    return MISSING[name]


UNAVAILABLE = {name: f"{__name__}:{name.replace('::', '__')}" for name in MISSING}
