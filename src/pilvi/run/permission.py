"""Why a policy rule lets a user do something or not. Apart from explain.py, since it loads the manifests of all services."""
from __future__ import annotations

from pilvi.core.policy import Rules
from pilvi.identity.client import validate
from pilvi.run.furnish import Cloud
from pilvi.run.server import SERVICES
from pilvi.run.settings import Settings


def policy(settings: Settings, rule: str, user: str) -> list[str]:
    """Why a rule allows or refuses a user of clouds.yaml, part by part."""
    cloud = Cloud(settings, user, user)
    identity = validate(cloud.call.token, None)
    for service in SERVICES:
        defaults = {**service.rules, **{n: r for resource in service.resources for n, r in resource.rules(service.name).items()}}
        if rule in defaults:
            rules = Rules(defaults, settings.directory / "policy" / f"{service.name}.yaml")
            credentials = identity.credentials()
            return [f"{rule} of {service.name}, as {user} with the roles {', '.join(identity.roles)}:",
                *rules.explain(rule, credentials, credentials)]
    raise LookupError(f"No service knows the rule {rule}.")
