"""Who a token of identity speaks for, and what it opens: a project's account to its operators, and what container ACLs grant.

An account is AUTH_<project id>; SERVICE_<project id> needs the token of a service beside the user's. ACLs name users as `project:user`
(ids, or names in the default domain; `*` for any), and roles.
Source: upstream's keystoneauth middleware, its documentation.
"""
from __future__ import annotations

import asyncio

from pilvi.core.context import ANONYMOUS, Identity
from pilvi.core.errors import Failure, Unauthenticated
from pilvi.core.http.auth import within
from pilvi.objectstore.errors import Refused
from pilvi.objectstore.proxy import acl
from pilvi.objectstore.proxy.message import Handler, Request, Response
from pilvi.objectstore.proxy.world import World

PREFIX = "AUTH_"
READING = ("GET", "HEAD")
DEFAULT_DOMAIN = "default"


class Keystone:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application, self.world, self.config = application, world, world.config
        self.authenticator = world.application.authenticator

    async def __call__(self, request: Request) -> Response:
        if request.authorize is not None: return await self.application(request)
        request.identity = await self._identify(request.headers.get("x-auth-token") or request.headers.get("x-storage-token", ""))
        self.check_rules(request)
        request.authorize, request.deny = self.authorize, self.deny
        return await self.application(request)

    def check_rules(self, request: Request) -> None:
        """An application credential may be good for some requests only. Raises Refused."""
        rules = request.identity.delegation.access_rules if request.identity.delegation else None
        if rules is not None and not within(rules, ("object-store",), request.method, request.path): raise Refused(401)

    async def _identify(self, token: str) -> Identity:
        """ANONYMOUS for a token that is not valid: what is public stays so."""
        if not token: return ANONYMOUS
        if (known := self.authenticator.remembered(token)) is not None: return known
        loop = asyncio.get_running_loop()
        try: return await loop.run_in_executor(self.world.application.threads, self.authenticator.identify, token, "http")
        except Unauthenticated: return ANONYMOUS
        except Failure: raise Refused(503) from None

    async def authorize(self, request: Request) -> None:
        """Raises Refused unless the caller may do this."""
        _, account, container, name = request.parts
        if not account: raise Refused(404)
        identity, roles = request.identity, {role.lower() for role in request.identity.roles}
        if self.config.reseller_role.lower() in roles:
            request.owner = request.reseller = True
            return
        if request.method == "OPTIONS" or self._public(request, name): return
        project = identity.project_id
        own = project is not None and account in (PREFIX + project, self.config.service_prefix + project)
        if own and roles & {role.lower() for role in self.config.operator_roles}:
            if account.startswith(self.config.service_prefix) and not await self._from_service(request): raise self.deny(request)
            if container or request.method not in ("PUT", "DELETE"):
                request.owner = True
                return
        if own and request.method in READING and roles & {role.lower() for role in self.config.reader_roles} \
                and not account.startswith(self.config.service_prefix): return
        if self._named(request, roles): return
        raise self.deny(request)

    def _public(self, request: Request, name: str | None) -> bool:
        referrers, names = acl.parse(request.acl)
        return acl.referrer_allowed(request.headers.get("referer"), referrers) and bool(name or ".rlistings" in names)

    def _named(self, request: Request, roles: set[str]) -> bool:
        identity = request.identity
        if identity is ANONYMOUS: return False
        _, names = acl.parse(request.acl)
        projects, users = {identity.project_id, "*"}, {identity.user_id, "*"}
        if identity.user_domain_id == DEFAULT_DOMAIN and identity.project_domain_id == DEFAULT_DOMAIN:
            projects |= {identity.project_name}
            users |= {identity.user_name}
        return any(f"{project}:{user}" in names for project in projects for user in users) or any(name.lower() in roles for name in names)

    async def _from_service(self, request: Request) -> bool:
        service = await self._identify(request.headers.get("x-service-token", ""))
        return "service" in service.roles or "admin" in service.roles

    def deny(self, request: Request) -> Refused:
        """401 for who is nobody, 403 for who may not."""
        if request.identity is not ANONYMOUS: return Refused(403)
        return Refused(401, headers={"www-authenticate": f'Keystone uri="{self.world.application.identity_url}"'})
