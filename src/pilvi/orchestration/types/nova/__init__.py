"""Resource types of the compute service."""
_HERE = "pilvi.orchestration.types.nova"
NOVA = {
    "OS::Nova::Flavor": f"{_HERE}.flavor:Flavor",
    "OS::Nova::HostAggregate": f"{_HERE}.host_aggregate:HostAggregate",
    "OS::Nova::KeyPair": f"{_HERE}.key_pair:KeyPair",
    "OS::Nova::Quota": f"{_HERE}.quota:Quota",
    "OS::Nova::Server": f"{_HERE}.server:Server",
    "OS::Nova::ServerGroup": f"{_HERE}.server_group:ServerGroup",
}
