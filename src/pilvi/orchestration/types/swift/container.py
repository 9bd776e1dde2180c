"""OS::Swift::Container: a container for objects.

Source: Template Guide, "OS::Swift::Container"; Object Storage API, "Containers".
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from pilvi.core.errors import Conflict, NotFound
from pilvi.core.http.client import Reply, send
from pilvi.orchestration.types.interface import MAP, SHOW, Attribute, ResourceType, Work, boolean, map_of, string

AT_ONCE = 100
"""How many objects a turn of the purge removes: a turn must not hold the engine's thread for long."""


class NotEmpty(Conflict):
    """Deleting non-empty container ({id}) when PurgeOnDelete is False"""


class Container(ResourceType):
    """Its physical id is its name."""
    name = "OS::Swift::Container"
    description = "A container for objects."
    requires_service = "objectstore"
    first_wait_seconds = 0.05
    properties = {
        "name": string("Its name."),
        "X-Container-Read": string("Who may read it."),
        "X-Container-Write": string("Who may write into it."),
        "X-Container-Meta": map_of(None, "Words kept with it.", default={}),
        "X-Account-Meta": map_of(None, "Words kept with the account.", default={}),
        "PurgeOnDelete": boolean("Do its objects go with it? Otherwise one that is not empty stays.", default=False, update=True,
                                 since="2015.1"),
    }
    attributes = {
        "DomainName": Attribute("The name of the object store's machine."),
        "WebsiteURL": Attribute("The container's URL."),
        "RootURL": Attribute("The account's URL."),
        "ObjectCount": Attribute("How many objects it holds.", "integer"),
        "BytesUsed": Attribute("How many bytes they have.", "integer"),
        "HeadContainer": Attribute("All that the API says about it.", MAP),
        "show": SHOW,
    }

    def create(self, work: Work) -> None:
        if work.physical_id: return
        container = work.properties["name"] or work.physical_name
        told = {name: work.properties[name] for name in ("X-Container-Read", "X-Container-Write") if work.properties[name] is not None}
        _ask(work, "PUT", container, headers={**told, **_words("X-Container-Meta-", work.properties["X-Container-Meta"])})
        work.physical_id = container
        if words := _words("X-Account-Meta-", work.properties["X-Account-Meta"]): _ask(work, "POST", headers=words)

    def check(self, work: Work) -> None:
        self._head(work)

    def delete(self, work: Work) -> None:
        if not work.physical_id or work.properties["PurgeOnDelete"]: return
        if self._objects(work, 1): raise NotEmpty(id=work.physical_id)

    def deleted(self, work: Work) -> bool:
        if not work.physical_id: return True
        if work.properties["PurgeOnDelete"]:
            for one in (found := self._objects(work, AT_ONCE)): _gone(work, f"{work.physical_id}/{one['name']}")
            if len(found) == AT_ONCE: return False
        return _gone(work, work.physical_id)

    def attribute(self, work: Work, name: str) -> Any:
        root = f"{work.application.state['settings'].door_url}{_account(work)}"
        if name == "DomainName": return urlsplit(root).hostname
        if name == "RootURL": return root
        if name == "WebsiteURL": return f"{root}/{work.physical_id}"
        head = self._head(work)
        if name == "ObjectCount": return int(head["x-container-object-count"])
        return int(head["x-container-bytes-used"]) if name == "BytesUsed" else dict(head)

    def _head(self, work: Work) -> Mapping[str, str]:
        if not work.physical_id: raise NotFound(f"{self.name} {work.name} has not been made")
        return _ask(work, "HEAD", work.physical_id).headers

    def _objects(self, work: Work, most: int) -> list[dict[str, Any]]:
        try: found: list[dict[str, Any]] = _ask(work, "GET", work.physical_id or "", query={"format": "json", "limit": most}).json()
        except NotFound: return []
        return found or []


def _account(work: Work) -> str:
    return f"/v1/AUTH_{work.project_id}"


def _ask(work: Work, method: str, path: str = "", *, headers: dict[str, str] | None = None, query: dict[str, Any] | None = None) -> Reply:
    """One request below the project's account. Raises the Failure of its status."""
    target = f"{_account(work)}/{quote(path)}" if path else _account(work)
    return send(work.call, "objectstore", method, target, query=query, headers=headers)


def _gone(work: Work, path: str) -> bool:
    """Ends it; True. A container that has got new objects meanwhile is asked for again: False."""
    try: _ask(work, "DELETE", path)
    except NotFound: pass
    except Conflict: return False
    return True


def _words(prefix: str, words: Mapping[str, Any] | None) -> dict[str, str]:
    return {prefix + name: str(value) for name, value in (words or {}).items()}
