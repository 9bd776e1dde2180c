"""The failures of identity."""
from __future__ import annotations

from pilvi.core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated


class LoginRefused(Unauthenticated):
    """The request you have made requires authentication."""


class TokenNotFound(NotFound):
    """This is not a recognized Fernet token."""


class ScopeRefused(Unauthenticated):
    """User has no access to the {kind} that the token is to be scoped to."""


class ProjectNotFound(NotFound):
    """Could not find project: {id}."""


class DomainNotFound(NotFound):
    """Could not find domain: {id}."""


class UserNotFound(NotFound):
    """Could not find user: {id}."""


class RoleNotFound(NotFound):
    """Could not find role: {id}."""


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


class HasChildren(Forbidden):
    """Cannot delete project {id} since it has projects below it; delete those first."""


class ServiceUnknown(Invalid):
    """Could not find service: {id}."""


class WrongPassword(Unauthenticated):
    """The original password is not right."""
