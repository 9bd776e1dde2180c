"""Why a policy rule lets a user do something or not. Apart from explain.py, since it loads the manifests of all services."""
from __future__ import annotations

import json
from typing import Any

from pilvi.core.context import Identity
from pilvi.core.policy import Rules
from pilvi.identity.client import validate
from pilvi.run.furnish import Cloud
from pilvi.run.server import SERVICES
from pilvi.run.settings import Settings


def policy(settings: Settings, rule: str, user: str) -> list[str]:
    """Why a rule allows or refuses somebody, part by part: a user of clouds.yaml, or any USER@PROJECT (names or ids).
    Raises LookupError for a rule or a person that does not exist."""
    for service in SERVICES:
        defaults = {**service.rules, **{n: r for resource in service.resources for n, r in resource.rules(service.name).items()}}
        if rule in defaults:
            identity = _somebody(settings, user)
            rules = Rules(defaults, settings.directory / "policy" / f"{service.name}.yaml")
            credentials = identity.credentials()
            return [f"{rule} of {service.name}, as {user} with the roles {', '.join(identity.roles)}:",
                *rules.explain(rule, credentials, credentials)]
    raise LookupError(f"No service knows the rule {rule}.")


def _somebody(settings: Settings, user: str) -> Identity:
    """Who a user would be: with a token of its own where its password is known here, else as an administrator sees its roles."""
    if user in json.loads(settings.passwords_path.read_text()): return validate(Cloud(settings, user, user).call.token, None)
    name, _, place = user.partition("@")
    cloud = Cloud(settings, "admin", "admin")
    found, project = _find(cloud, "user", name), _find(cloud, "project", place)
    query = {"user.id": found["id"], "scope.project.id": project["id"], "effective": "1", "include_names": "1"}
    rows = cloud.ask("identity", "GET", "/v3/role_assignments", **query)["role_assignments"]
    if not rows: raise LookupError(f"{found['name']} has no role in {project['name']}.")
    roles = tuple(sorted({row["role"]["name"] for row in rows}))
    return Identity(user_id=found["id"], user_name=found["name"], user_domain_id=found["domain_id"], project_id=project["id"],
                    project_name=project["name"], project_domain_id=project["domain_id"], roles=roles)


def _find(cloud: Cloud, kind: str, name: str) -> dict[str, Any]:
    """A user or project by name or id. Raises LookupError."""
    rows: list[dict[str, Any]] = cloud.ask("identity", "GET", f"/v3/{kind}s")[f"{kind}s"]
    found = [row for row in rows if name in (row["id"], row["name"])]
    if not found: raise LookupError(f"There is no {kind} {name}.")
    if len(found) > 1: raise LookupError(f"{len(found)} {kind}s are called {name}; use an id.")
    return found[0]
