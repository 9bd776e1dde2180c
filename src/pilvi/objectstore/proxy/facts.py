"""What is known of accounts and containers: asked of the store, remembered for a moment, forgotten when something is changed through here.

Another proxy's change (an ACL, a quota) is seen after REMEMBERED_SECONDS at most. Counts are as old as that too; whoever needs them
exactly (quotas) asks afresh.
"""
from __future__ import annotations

from pilvi.core import clock
from pilvi.objectstore.node.interface import AccountStat, ContainerStat, NoAccount, NoContainer, Store
from pilvi.objectstore.proxy.message import Request

REMEMBERED_SECONDS = 2.0
MOST = 10_000
Key = tuple[str, str | None]


class Facts:
    """The memory of one process."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.remembered: dict[Key, tuple[float, AccountStat | ContainerStat]] = {}

    async def account(self, request: Request, account: str, *, fresh: bool = False) -> AccountStat | None:
        """The account, None if there is none."""
        found = None if fresh else self._recall(request, (account, None))
        if isinstance(found, AccountStat): return found
        try: stat = await self.store.account_stat(account)
        except NoAccount: return None
        self._remember(request, (account, None), stat)
        return stat

    async def container(self, request: Request, account: str, container: str, *, fresh: bool = False) -> ContainerStat | None:
        """The container, None if there is none."""
        found = None if fresh else self._recall(request, (account, container))
        if isinstance(found, ContainerStat): return found
        try: stat = await self.store.container_stat(account, container)
        except (NoContainer, NoAccount): return None
        self._remember(request, (account, container), stat)
        return stat

    def forget(self, request: Request, account: str, container: str | None = None) -> None:
        """It was changed."""
        self.remembered.pop((account, container), None)
        request.known.pop((account, container), None)

    def _recall(self, request: Request, key: Key) -> AccountStat | ContainerStat | None:
        if key in request.known: return request.known[key]  # type: ignore[no-any-return]
        until, stat = self.remembered.get(key, (0.0, None))
        return stat if until > clock.monotonic() else None

    def _remember(self, request: Request, key: Key, stat: AccountStat | ContainerStat) -> None:
        if len(self.remembered) >= MOST: self.remembered.clear()
        self.remembered[key] = clock.monotonic() + REMEMBERED_SECONDS, stat
        request.known[key] = stat
