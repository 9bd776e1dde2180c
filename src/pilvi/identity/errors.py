"""The failures of identity."""
from __future__ import annotations

from pilvi.core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated, Unavailable


class LoginRefused(Unauthenticated):
    """The request you have made requires authentication."""


class PasswordExpired(Unauthenticated):
    """The password is expired and needs to be changed for user: {id}."""


class PasswordUnfit(Invalid):
    """The password does not meet the requirements: {reason}."""


class PasswordReused(Invalid):
    """The new password cannot be identical to a previous password. The total number which includes the new one is {count}."""


class PasswordTooYoung(Invalid):
    """Cannot change password before minimum age of {days} days is met."""


class PasswordFixed(Invalid):
    """You cannot change your password at this time, because an administrator has locked it."""


class OptionUnknown(Invalid):
    """The user option {name} is not known or has a wrong value."""


class TokenNotFound(NotFound):
    """This is not a recognized Fernet token."""


class ScopeRefused(Unauthenticated):
    """User has no access to the {kind} that the token is to be scoped to."""


class TrustRolesGone(Forbidden):
    """The trustor no longer has the roles of this trust."""


GONE = (LoginRefused, ScopeRefused, TrustRolesGone)
"""What is wrong with a token whose user, scope or roles are no longer there."""


class ProjectNotFound(NotFound):
    """Could not find project: {id}."""


class DomainNotFound(NotFound):
    """Could not find domain: {id}."""


class UserNotFound(NotFound):
    """Could not find user: {id}."""


class RoleNotFound(NotFound):
    """Could not find role: {id}."""


class GroupNotFound(NotFound):
    """Could not find group: {id}."""


class TagNotFound(NotFound):
    """Could not find project tag: {tag}."""


class UserNotInGroup(NotFound):
    """User {user_id} is not found in group {group_id}."""


class RoleNotImplied(NotFound):
    """Role {prior_id} does not imply role {implied_id}."""


class RoleNotImpliable(Forbidden):
    """Role {role} cannot be an implied role here."""


class RoleOfOtherDomain(Forbidden):
    """Role {role_id} belongs to another domain than what it is to be given on."""


class AssignmentNotFound(NotFound):
    """Could not find role assignment with role: {role_id}, user or group: {actor_id}, project, domain or system: {target_id}."""


class ServiceNotFound(NotFound):
    """Could not find service: {id}."""


class EndpointNotFound(NotFound):
    """Could not find endpoint: {id}."""


class RegionNotFound(NotFound):
    """Could not find region: {id}."""


class NameTaken(Conflict):
    """Conflict occurred attempting to store {what} - Duplicate entry found with name {name}."""


class DomainEnabled(Forbidden):
    """Cannot delete a domain that is enabled, please disable it first."""


class DefaultDomain(Forbidden):
    """The default domain cannot be deleted."""


class TreeTooDeep(Forbidden):
    """Max hierarchy depth reached: a domain and its projects have at most {deepest} levels."""


class HasChildren(Forbidden):
    """Cannot delete project {id} since it has projects below it; delete those first."""


class ServiceUnknown(Invalid):
    """Could not find service: {id}."""


class RegionUnknown(Invalid):
    """Could not find region: {id}."""


class RegionInUse(Forbidden):
    """Unable to delete region {id} because it or its child regions have associated endpoints."""


class UrlInvalid(Invalid):
    """The endpoint's url {url} cannot be filled in: $(project_id)s, $(tenant_id)s and $(user_id)s are known."""


class AccessRuleNotFound(NotFound):
    """Could not find access rule: {id}."""


class AccessRuleIncomplete(Invalid):
    """An access rule needs a service, a path and a method, or the id of an earlier one."""


class ApplicationCredentialNotFound(NotFound):
    """Could not find application credential: {id}."""


class TrustNotFound(NotFound):
    """Could not find trust: {id}."""


class TrustRefused(Forbidden):
    """{reason}"""


class TrustInvalid(Invalid):
    """{reason}"""


class TrustUsedUp(NotFound):
    """Unable to consume trust {id}: it has no uses left."""


class CredentialNotFound(NotFound):
    """Could not find credential: {id}."""


class PolicyNotFound(NotFound):
    """Could not find policy: {id}."""


class EndpointGroupNotFound(NotFound):
    """Could not find endpoint group: {id}."""


class IdentityProviderNotFound(NotFound):
    """Could not find identity provider: {id}."""


class ProtocolNotFound(NotFound):
    """Could not find federated protocol: {id}."""


class MappingNotFound(NotFound):
    """Could not find mapping: {id}."""


class ServiceProviderNotFound(NotFound):
    """Could not find service provider: {id}."""


class RegisteredLimitNotFound(NotFound):
    """Could not find registered limit: {id}."""


class LimitNotFound(NotFound):
    """Could not find limit: {id}."""


class ConsumerNotFound(NotFound):
    """Could not find consumer: {id}."""


class RequestTokenNotFound(NotFound):
    """Could not find request token: {id}."""


class AccessTokenNotFound(NotFound):
    """Could not find access token: {id}."""


class LimitInvalid(Forbidden):
    """Invalid resource limit: {reason}."""


class LimitInUse(Forbidden):
    """Unable to change or delete registered limit {id} because there are project limits associated with it."""


class NoRegisteredLimit(Forbidden):
    """Unable to create a limit for {resource} that has no corresponding registered limit."""


class DomainConfigNotFound(NotFound):
    """Could not find a configuration of domain {id}."""


class DomainConfigInvalid(Invalid):
    """Invalid domain specific configuration: {reason}."""


class RemoteIdTaken(Conflict):
    """Duplicate remote ID: {id} is that of the identity provider {provider} already."""


class DirectoryAway(Unavailable):
    """The directory of domain {id} does not answer now. Try again in a moment."""


class DirectoryReadOnly(Forbidden):
    """LDAP does not support write operations"""


class AcrossDirectories(Forbidden):
    """Group membership across backend boundaries is not allowed. Group in question is {group_id}, user is {user_id}."""
