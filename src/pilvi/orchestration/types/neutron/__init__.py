"""Resource types of the network service."""
_HERE = "pilvi.orchestration.types.neutron"
NEUTRON = {
    "OS::Neutron::AddressScope": f"{_HERE}.subnet_pool:AddressScope",
    "OS::Neutron::ExtraRouteSet": f"{_HERE}.extra_route_set:ExtraRouteSet",
    "OS::Neutron::FloatingIP": f"{_HERE}.floating_ip:FloatingIP",
    "OS::Neutron::FloatingIPAssociation": f"{_HERE}.floating_ip:FloatingIPAssociation",
    "OS::Neutron::Net": f"{_HERE}.net:Net",
    "OS::Neutron::Port": f"{_HERE}.port:Port",
    "OS::Neutron::ProviderNet": f"{_HERE}.provider_net:ProviderNet",
    "OS::Neutron::Quota": f"{_HERE}.quota:Quota",
    "OS::Neutron::RBACPolicy": f"{_HERE}.rbac_policy:RBACPolicy",
    "OS::Neutron::Router": f"{_HERE}.router:Router",
    "OS::Neutron::RouterGateway": f"{_HERE}.router:RouterGateway",
    "OS::Neutron::RouterInterface": f"{_HERE}.router:RouterInterface",
    "OS::Neutron::SecurityGroup": f"{_HERE}.security_group:SecurityGroup",
    "OS::Neutron::SecurityGroupRule": f"{_HERE}.security_group_rule:SecurityGroupRule",
    "OS::Neutron::Subnet": f"{_HERE}.subnet:Subnet",
    "OS::Neutron::SubnetPool": f"{_HERE}.subnet_pool:SubnetPool",
}
