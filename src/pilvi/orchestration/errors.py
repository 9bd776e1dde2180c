"""The failures of orchestration. `code` is the name that Heat's error body gives as `error.type`."""
from __future__ import annotations

from pilvi.core.errors import Conflict, Failure, Forbidden, Invalid, NotFound


class TemplateInvalid(Invalid):
    """{reason}"""
    code = "StackValidationFailed"


class VersionInvalid(Invalid):
    """The template version is invalid: "heat_template_version: {version}". "heat_template_version" should be one of: {known}"""
    code = "InvalidTemplateVersion"


class DependencyCycle(Invalid):
    """Circular dependency found: {cycle}"""
    code = "CircularDependencyException"


class ParameterMissing(Invalid):
    """The Parameter ({name}) was not provided."""
    code = "UserParameterMissing"


class ParameterUnknown(Invalid):
    """The Parameter ({name}) was not defined in template."""
    code = "UnknownUserParameter"


class ParameterInvalid(Invalid):
    """Parameter '{name}' is invalid: {reason}"""
    code = "StackValidationFailed"


class ParameterImmutable(Invalid):
    """The following parameters are immutable and may not be updated: {names}"""
    code = "ImmutableParameterModified"


class StackUnknown(NotFound):
    """The Stack ({name}) could not be found."""
    code = "EntityNotFound"


class StackExists(Conflict):
    """The Stack ({name}) already exists."""
    code = "StackExists"


class ResourceUnknown(NotFound):
    """The Resource ({name}) could not be found in Stack {stack}."""
    code = "EntityNotFound"


class ResourceNotAvailable(NotFound):
    """The Resource ({name}) is not available."""
    code = "ResourceNotAvailable"


class EntityUnknown(NotFound):
    """The {entity} ({name}) could not be found."""
    code = "EntityNotFound"


class TypeUnavailable(Failure):
    """HEAT-E99001 Service {service} is not available for resource type {name}, reason: {service} endpoint is not in service catalog."""
    status = 400
    code = "ResourceTypeUnavailable"


class ActionInProgress(Conflict):
    """Stack {name} already has an action ({action}) in progress."""
    code = "ActionInProgress"


class ActionUnsupported(Invalid):
    """{action} is not supported for {what}."""
    code = "NotSupported"


class TooManyResources(Forbidden):
    """You have reached the maximum resources per stack, {most}."""
    code = "RequestLimitExceeded"


class StackLimit(Forbidden):
    """{reason}"""
    code = "RequestLimitExceeded"


class RequestInvalid(Invalid):
    """{reason}"""
    code = "HTTPBadRequest"


class AccessRefused(Forbidden):
    """Access was denied to this resource."""
    code = "Forbidden"
