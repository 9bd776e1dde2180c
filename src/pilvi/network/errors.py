"""The failures of network. The class names are the `type` of Neutron's error bodies, the docstrings its messages; clients look at both."""
from __future__ import annotations

from pilvi.core.errors import Conflict, Invalid, NotFound, PreconditionFailed


class InvalidInput(Invalid):
    """Invalid input for operation: {error_message}."""


class BadRequest(Invalid):
    """Bad {resource} request: {msg}."""


class RevisionNumberConstraintFailed(PreconditionFailed):
    """Constrained to {expected}, but current revision is {current}"""


class NetworkNotFound(NotFound):
    """Network {id} could not be found."""


class SubnetNotFound(NotFound):
    """Subnet {id} could not be found."""


class PortNotFound(NotFound):
    """Port {id} could not be found."""


class RouterNotFound(NotFound):
    """Router {id} could not be found"""


class FloatingIPNotFound(NotFound):
    """Floating IP {id} could not be found"""


class SecurityGroupNotFound(NotFound):
    """Security group {id} does not exist"""


class SecurityGroupRuleNotFound(NotFound):
    """Security group rule {id} does not exist"""


class RbacPolicyNotFound(NotFound):
    """RBAC policy with ID {id} not found"""


class SubnetPoolNotFound(NotFound):
    """Subnet pool {id} could not be found."""


class AddressScopeNotFound(NotFound):
    """Address scope {id} could not be found"""


class ExtensionNotFound(NotFound):
    """Extension with alias {id} does not exist"""


class TagNotFound(NotFound):
    """Tag {tag} could not be found."""


class AgentNotFound(NotFound):
    """Agent {id} could not be found."""


class TenantQuotaNotFound(NotFound):
    """Quota for tenant {id} could not be found."""


class NetworkInUse(Conflict):
    """Unable to complete operation on network {net_id}. There are one or more ports still in use on the network, id for these ports is: {ports}."""  # noqa: E501


class SubnetInUse(Conflict):
    """Unable to complete operation on subnet {subnet_id}: {reason}."""


class InvalidSharedSetting(Conflict):
    """Unable to reconfigure sharing settings for network {network}. Multiple tenants are using it."""


class ExternalNetworkInUse(Conflict):
    """External network {net_id} cannot be updated to be made non-external, since it has existing gateway ports."""


class FlatNetworkInUse(Conflict):
    """Unable to create the flat network. Physical network {physical_network} is in use."""


class VlanIdInUse(Conflict):
    """Unable to create the network. The VLAN {vlan_id} on physical network {physical_network} is in use."""


class DuplicatePolicy(Conflict):
    """An RBAC policy already exists with those values."""
    code = "RbacPolicyExists"


class RbacPolicyInUse(Conflict):
    """RBAC policy on object {object_id} cannot be removed because other objects depend on it. Details: {details}"""


class NetworkMTUSubnetConflict(Conflict):
    """Request would set an MTU of {mtu}, less than the {least} that IPv{version} needs."""


class OverlappingAllocationPools(Conflict):
    """Found overlapping allocation pools: {pool_1} {pool_2} for subnet {subnet_cidr}."""


class OutOfBoundsAllocationPool(Invalid):
    """The allocation pool {pool} spans beyond the subnet cidr {subnet_cidr}."""


class InvalidAllocationPool(Invalid):
    """The allocation pool {pool} is not valid."""


class GatewayConflictWithAllocationPools(Conflict):
    """Gateway ip {ip_address} conflicts with allocation pool {pool}."""


class GatewayIpInUse(Conflict):
    """Current gateway ip {ip_address} already in use by port {port_id}. Unable to update."""


class DNSNameServersExhausted(Invalid):
    """Unable to complete operation for {subnet_id}. The number of DNS nameservers exceeds the limit {quota}."""


class HostRoutesExhausted(Invalid):
    """Unable to complete operation for {subnet_id}. The number of host routes exceeds the limit {quota}."""


class EmptySubnetPoolPrefixList(Invalid):
    """Empty subnet pool prefix list."""


class PrefixVersionMismatch(Invalid):
    """Cannot mix IPv4 and IPv6 prefixes in a subnet pool."""


class IllegalSubnetPoolPrefixBounds(Invalid):
    """Illegal prefix bounds: {prefix_type}={prefixlen}, {base_prefix_type}={base_prefixlen}."""


class IllegalSubnetPoolPrefixUpdate(Invalid):
    """Illegal update to prefixes: {new_prefixes} does not hold all of {old_prefixes}."""


class IllegalSubnetPoolAssociationToAddressScope(Invalid):
    """Illegal subnetpool association: subnetpool {subnetpool_id} cannot be associated with address scope {address_scope_id}."""


class AddressScopePrefixConflict(Conflict):
    """Failed to associate address scope: subnetpools within an address scope must have unique prefixes."""


class AddressScopeInUse(Conflict):
    """Unable to complete operation on address scope {address_scope_id}. There are one or more subnet pools in use on the address scope."""


class AddressScopeUpdateError(Invalid):
    """Unable to update address scope {address_scope_id} : {reason}"""


class SubnetPoolDeleteError(Conflict):
    """Unable to delete subnet pool: {reason}."""


class SubnetAllocationError(Conflict):
    """Failed to allocate subnet: {reason}."""


class MinPrefixSubnetAllocationError(Invalid):
    """Unable to allocate subnet with prefix length {prefixlen}, minimum allowed prefix is {min_prefixlen}."""


class MaxPrefixSubnetAllocationError(Invalid):
    """Unable to allocate subnet with prefix length {prefixlen}, maximum allowed prefix is {max_prefixlen}."""


class SubnetPoolQuotaExceeded(Conflict):
    """Per-tenant subnet pool prefix quota exceeded."""


class NetworkSubnetPoolAffinityError(Invalid):
    """Subnets hosted on the same network must be allocated from the same subnet pool."""


class IpAddressGenerationFailure(Conflict):
    """No more IP addresses available on network {net_id}."""


class IpAddressAlreadyAllocated(Conflict):
    """IP address {ip} already allocated in subnet {subnet_id}."""


class InvalidIpForNetwork(Invalid):
    """IP address {ip_address} is not a valid IP for any of the subnets on the specified network."""


class InvalidIpForSubnet(Invalid):
    """IP address {ip_address} is not a valid IP for the specified subnet."""


class MacAddressInUse(Conflict):
    """Unable to complete operation for network {net_id}. The mac address {mac} is in use."""


class PortBound(Conflict):
    """Unable to complete operation on port {port_id}, port is already bound, port type: {vif_type}, old_mac {old_mac}, new_mac {new_mac}."""  # noqa: E501


class ServicePortInUse(Conflict):
    """Port {port_id} cannot be deleted directly via the port API: {reason}."""


class PortInUse(Conflict):
    """Unable to complete operation on port {port_id} for network {net_id}. Port already has an attached device {device_id}."""


class DeviceIDNotOwnedByTenant(Conflict):
    """The following device_id {device_id} is not owned by your tenant or matches another tenants router."""


class PortSecurityPortHasSecurityGroup(Conflict):
    """Port has security group associated. Cannot disable port security or IP address until security group is removed."""


class PortSecurityAndIPRequiredForSecurityGroups(Conflict):
    """Port security must be enabled and port must have an IP address in order to use security groups."""
    status = 400


class AddressPairAndPortSecurityRequired(Conflict):
    """Port Security must be enabled in order to have allowed address pairs on a port."""


class RouterInUse(Conflict):
    """Router {router_id} still has ports"""


class RouterInterfaceNotFound(NotFound):
    """Router {router_id} does not have an interface with id {port_id}"""


class RouterInterfaceNotFoundForSubnet(NotFound):
    """Router {router_id} has no interface on subnet {subnet_id}"""


class RouterInterfaceInUseByFloatingIP(Conflict):
    """Router interface for subnet {subnet_id} on router {router_id} cannot be deleted, as it is required by one or more floating IPs."""


class RouterInterfaceInUseByRoute(Conflict):
    """Router interface for subnet {subnet_id} on router {router_id} cannot be deleted, as it is required by one or more routes."""


class RouterExternalGatewayInUseByFloatingIp(Conflict):
    """Gateway cannot be updated for router {router_id}, since a gateway to external network {net_id} is required by one or more floating IPs."""  # noqa: E501


class InvalidRoutes(Invalid):
    """Invalid format for routes: {routes}, {reason}"""


class RoutesExhausted(Invalid):
    """Unable to complete operation for {router_id}. The number of routes exceeds the maximum {quota}."""


class ExternalGatewayForFloatingIPNotFound(NotFound):
    """External network {external_network_id} is not reachable from subnet {subnet_id}.  Therefore, cannot associate Port {port_id} with a Floating IP."""  # noqa: E501


class FloatingIPPortAlreadyAssociated(Conflict):
    """Cannot associate floating IP {floating_ip_address} ({fip_id}) with port {port_id} using fixed IP {fixed_ip}, as that fixed IP already has a floating IP on external network {net_id}."""  # noqa: E501


class SecurityGroupInUse(Conflict):
    """Security Group {id} {reason}."""


class SecurityGroupConflict(Conflict):
    """Cannot apply both stateful and stateless security groups on the same port at the same time."""


class SecurityGroupCannotRemoveDefault(Conflict):
    """Insufficient rights for removing default security group."""


class SecurityGroupCannotUpdateDefault(Conflict):
    """Updating default security group not allowed."""


class SecurityGroupDefaultAlreadyExists(Conflict):
    """Default security group already exists."""


class SecurityGroupRuleExists(Conflict):
    """Security group rule already exists. Rule id is {rule_id}."""


class SecurityGroupInvalidPortRange(Invalid):
    """For TCP/UDP protocols, port_range_min must be <= port_range_max"""


class SecurityGroupInvalidPortValue(Invalid):
    """Invalid value for port {port}"""


class SecurityGroupInvalidIcmpValue(Invalid):
    """Invalid value for ICMP {field} ({attr}) {value}. It must be 0 to 255."""


class SecurityGroupMissingIcmpType(Invalid):
    """ICMP code (port-range-max) {value} is provided but ICMP type (port-range-min) is missing."""


class SecurityGroupProtocolRequiredWithPorts(Invalid):
    """Must also specify protocol if port range is given."""


class SecurityGroupRemoteGroupAndRemoteIpPrefix(Invalid):
    """Only remote_ip_prefix or remote_group_id may be provided."""


class SecurityGroupRuleParameterConflict(Invalid):
    """Conflicting value ethertype {ethertype} for CIDR {cidr}"""


class SecurityGroupRuleInvalidProtocol(Invalid):
    """Security group rule protocol {protocol} not supported. Only protocol values {values} and integer representations [0 to 255] are supported."""  # noqa: E501


class SecurityGroupProtocolEthertypeConflict(Invalid):
    """Conflicting ethertype {ethertype} and protocol {protocol}."""
    code = "SecurityGroupEthertypeConflictWithProtocol"


class InvalidQuotaValue(Invalid):
    """Quota value for {kind} is lower than what is in use: {used}."""
