"""Resource types of the identity service, for administrators."""
_HERE = "pilvi.orchestration.types.keystone"
KEYSTONE = {
    "OS::Keystone::Domain": f"{_HERE}.project:Domain",
    "OS::Keystone::Endpoint": f"{_HERE}.catalogue:Endpoint",
    "OS::Keystone::Group": f"{_HERE}.user:Group",
    "OS::Keystone::GroupRoleAssignment": f"{_HERE}.role_assignment:GroupRoleAssignment",
    "OS::Keystone::Project": f"{_HERE}.project:Project",
    "OS::Keystone::Region": f"{_HERE}.catalogue:Region",
    "OS::Keystone::Role": f"{_HERE}.role:Role",
    "OS::Keystone::Service": f"{_HERE}.catalogue:Service",
    "OS::Keystone::User": f"{_HERE}.user:User",
    "OS::Keystone::UserRoleAssignment": f"{_HERE}.role_assignment:UserRoleAssignment",
}
