"""Users of the configuration beside identity's: GET /auth/v1.0 with X-Auth-User and X-Auth-Key, for clients that know no other.

A user of account `test` is `test:tester`, with groups: `.admin` owns AUTH_test, `.reseller_admin` everything. Accounts' own ACLs
(X-Account-Access-Control) are answered here. Tokens live in this process.
Source: upstream's tempauth middleware, its documentation.
"""
from __future__ import annotations

import hmac
import secrets

import msgspec

from pilvi.core import clock
from pilvi.core.context import Identity
from pilvi.objectstore.errors import Refused
from pilvi.objectstore.proxy import acl
from pilvi.objectstore.proxy.message import PLAIN, Handler, Request, Response, answer
from pilvi.objectstore.proxy.world import World

PREFIX = "AUTH_"
TOKEN_PREFIX = "AUTH_tk"
TOKEN_SECONDS = 86400.0
READING = ("GET", "HEAD")
ACCESS = "x-account-access-control"
KEPT_AS = "x-account-sysmeta-core-access-control"
SERVICE_GROUP = "service"


class TempAuth:
    """Middleware."""

    def __init__(self, application: Handler, world: World) -> None:
        self.application, self.world = application, world
        self.users = {name: (entry.split()[0], tuple(entry.split()[1:])) for name, entry in world.config.tempauth_users.items()}
        self.service_prefix = world.config.service_prefix
        self.tokens: dict[str, tuple[str, float]] = {}
        """{token: (user, when it ends)}"""
        if self.users: world.info["tempauth"] = {"account_acls": True}

    @classmethod
    def of(cls, world: World, application: Handler) -> TempAuth | None:
        """The world's, for links that check its users' keys themselves; None: it has no users."""
        return cls(application, world) if world.config.tempauth_users else None

    async def __call__(self, request: Request) -> Response:
        if not self.users: return await self.application(request)
        if request.path.startswith("/auth/"): return self._log_in(request)
        token = request.headers.get("x-auth-token") or request.headers.get("x-storage-token", "")
        user = self.user_of(token)
        if request.authorize is not None: return await self._account_acl(request)
        if user is None:
            if not token.startswith(TOKEN_PREFIX) and (token or not self._ours(request)): return await self.application(request)
            if token and not self._ours(request): return await self.application(request)
        self.admit(request, user)
        return await self._account_acl(request)

    def admit(self, request: Request, user: str | None) -> None:
        """The request is this user's."""
        if user is not None:
            request.identity, request.groups = Identity(user, user, project_id=user.partition(":")[0]), self.groups_of(user)
        request.authorize, request.deny = self.authorize, self.deny

    def _ours(self, request: Request) -> bool:
        """Is the account one of our users'? Others' belong to identity's projects."""
        account = request.parts[1] or ""
        return any(account in (PREFIX + name.partition(":")[0], self.service_prefix + name.partition(":")[0]) for name in self.users)

    def user_of(self, token: str) -> str | None:
        """Whose token this is."""
        user, until = self.tokens.get(token, ("", 0.0))
        return user if until > clock.now() else None

    def groups_of(self, user: str) -> tuple[str, ...]:
        """The groups of a user, its account's own among them."""
        account = user.partition(":")[0]
        given = self.users[user][1]
        owned = (PREFIX + account, self.service_prefix + account) if ".admin" in given else ()
        return (account, user, *(group for group in given if group != ".admin"), *owned)

    def _log_in(self, request: Request) -> Response:
        if request.method != "GET": raise Refused(405, headers={"allow": "GET"})
        headers = request.headers
        user = headers.get("x-auth-user") or headers.get("x-storage-user", "")
        key = headers.get("x-auth-key") or headers.get("x-storage-pass", "")
        password, _ = self.users.get(user, ("", ()))
        if not password or not hmac.compare_digest(password.encode(), key.encode("utf-8", "surrogateescape")):
            raise Refused(401, headers={"www-authenticate": f'Swift realm="{user.partition(":")[0] or "unknown"}"'})
        now = clock.now()
        self.tokens = {token: entry for token, entry in self.tokens.items() if entry[1] > now}
        token = next((token for token, entry in self.tokens.items() if entry[0] == user and entry[1] > now + 3600), None)
        if token is None:
            token = TOKEN_PREFIX + secrets.token_hex(16)
            self.tokens[token] = user, now + TOKEN_SECONDS
        request.owner = True
        return answer(200, b"", headers={"x-auth-token": token, "x-storage-token": token, "x-auth-token-expires": str(int(TOKEN_SECONDS)),
                                         "x-storage-url": f"{request.base}/v1/{PREFIX}{user.partition(':')[0]}"})

    async def _account_acl(self, request: Request) -> Response:
        """X-Account-Access-Control is kept as system metadata."""
        _, account, container, _ = request.parts
        if not account or container: return await self.application(request)
        given = request.headers.pop(ACCESS, None)
        if given is not None and request.method in ("PUT", "POST"):
            if problem := acl.account_problem(given): raise Refused(400, f"X-Account-Access-Control invalid: {problem}", PLAIN)
            lists = acl.parse_account(given) or {}
            request.headers[KEPT_AS] = msgspec.json.encode({k: v for k, v in sorted(lists.items()) if v}).decode() if lists else ""
        response = await self.application(request)
        if response.headers.get(KEPT_AS): response.headers[ACCESS] = response.headers[KEPT_AS]
        return response

    async def authorize(self, request: Request) -> None:
        """Raises Refused unless the user may do this."""
        _, account, container, name = request.parts
        if not account: raise Refused(404)
        groups = request.groups
        if ".reseller_admin" in groups:
            request.owner = request.reseller = True
            return
        if account in groups and (container or request.method not in ("PUT", "DELETE")):
            if account.startswith(self.service_prefix):
                service = self.user_of(request.headers.get("x-service-token", ""))
                if service is None or SERVICE_GROUP not in self.groups_of(service): raise self.deny(request)
            request.owner = True
            return
        if request.method == "OPTIONS": return
        referrers, names = acl.parse(request.acl)
        if acl.referrer_allowed(request.headers.get("referer"), referrers) and (name or ".rlistings" in names): return
        if any(group in names for group in groups): return
        await self._by_account_acl(request, account, container)

    async def _by_account_acl(self, request: Request, account: str, container: str | None) -> None:
        stat = await self.world.facts.account(request, account) if request.groups else None
        lists = acl.parse_account(stat.metadata.get(KEPT_AS)) if stat else None
        for group in (*request.groups, "*") if lists else ():
            assert lists is not None
            if group in lists.get("admin", ()):
                request.owner = True
                return
            if group in lists.get("read-write", ()) and (container or request.method in READING): return
            if group in lists.get("read-only", ()) and request.method in READING: return
        raise self.deny(request)

    def deny(self, request: Request) -> Refused:
        """401 for who is nobody, 403 for who may not."""
        if request.groups: return Refused(403)
        return Refused(401, headers={"www-authenticate": f'Swift realm="{request.parts[1] or "unknown"}"'})
