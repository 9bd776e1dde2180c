"""Resource types of the network service."""
NEUTRON = {
    "OS::Neutron::Net": "pilvi.orchestration.types.neutron.net:Net",
}
