"""Resource types that are one resource of a REST API: POST makes it, GET shows it, PUT changes it, DELETE ends it.

A type names the service, the path and the envelope; its properties are the body's fields. Most types of the network, volume and identity
services need no code beyond that.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pilvi.core import clock
from pilvi.core.errors import NotFound
from pilvi.orchestration.types.finders import find
from pilvi.orchestration.types.interface import Property, ResourceFailed, ResourceType, Work

CLOCK_SLACK_SECONDS = 2.0


class RestResource(ResourceType):
    """`service`, `path`, `singular`: where and in which envelope. `ready`: words of `status` that end creation (empty: it is ready at
    once); `broken`: words that mean failure."""

    service: str = ""
    path: str = ""
    singular: str = ""
    plural: str = ""
    update_method: str = "PUT"
    named: bool = True
    """Gets `physical_name` if the template names it not."""
    ready: tuple[str, ...] = ()
    broken: tuple[str, ...] = ("ERROR", "error", "DOWN_ERROR")
    status_field: str = "status"

    # -- shapes a type may change

    def body(self, work: Work) -> dict[str, Any]:
        """The inner body of the POST: the properties that were given, under their names in the API, with names of things resolved."""
        body = self.wired(work, {name: value for name, value in work.properties.items() if value is not None})
        if self.named and not body.get("name"): body["name"] = work.physical_name
        return body

    def change(self, work: Work, changes: Mapping[str, Any]) -> dict[str, Any]:
        """The inner body of the PUT. A property that was taken out of the template goes back to its default."""
        body = self.wired(work, changes)
        if self.named and "name" in body and not body["name"]: body["name"] = work.physical_name
        return body

    def wired(self, work: Work, values: Mapping[str, Any]) -> dict[str, Any]:
        """Properties as the API's fields."""
        return {rules.wire or name: resolve(work, rules, values[name]) for name, rules in self.properties.items()
                if name in values and rules.wire != ""}

    def item(self, work: Work) -> str:
        """The path of the thing."""
        return f"{self.path}/{work.physical_id}"

    # -- the life

    def create(self, work: Work) -> None:
        if work.physical_id: return
        body = self.body(work)
        found = self.made_before(work, body) if work.again else None
        made = found or self.opened(work.ask(self.service, "POST", self.path, self.wrapped(body)))
        work.physical_id = self.id_of(made)

    def created(self, work: Work) -> bool:
        if not self.ready: return True
        status = self.shown(work).get(self.status_field, "")
        if status in self.broken: raise ResourceFailed(status=status, reason="Unknown")
        return status in self.ready

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        if body := self.change(work, changes): work.ask(self.service, self.update_method, self.item(work), self.wrapped(body))

    def delete(self, work: Work) -> None:
        if not work.physical_id: self._take_orphan(work)
        if not work.physical_id: return
        try: work.ask(self.service, "DELETE", self.item(work))
        except NotFound: pass

    def deleted(self, work: Work) -> bool:
        return not work.physical_id or not self.ready or work.gone(self.service, self.item(work))

    def check(self, work: Work) -> None:
        if not work.physical_id: raise NotFound(f"{self.name} {work.name} has not been made")
        status = self.shown(work).get(self.status_field, "")
        if self.ready and status not in self.ready: raise ResourceFailed(status=status, reason="Unknown")

    def failed_needs_replacement(self, work: Work) -> bool:
        return not work.physical_id or work.gone(self.service, self.item(work))

    def attribute(self, work: Work, name: str) -> Any:
        shown = self.shown(work)
        if name == "show": return shown
        return shown.get(self.attributes[name].wire or name)

    def shown(self, work: Work) -> dict[str, Any]:
        """What the API says about it. Raises NotFound."""
        if not work.physical_id: raise NotFound(f"{self.name} {work.name} has not been made")
        return self.opened(work.ask(self.service, "GET", self.item(work)))

    # -- after a crash

    def made_before(self, work: Work, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """What an earlier call of `create` made without its id having been saved: the thing of that name that came into being since."""
        if not body.get("name"): return None
        found = work.ask(self.service, "GET", self.path, name=body["name"])[self.plural or self.singular + "s"]
        return self.fresh(work, found, body["name"])

    def fresh(self, work: Work, found: Iterable[Mapping[str, Any]], name: str) -> dict[str, Any] | None:
        """The one of that name that came into being since the operation began and is nobody's; None if there is none."""
        since = work.began_at - CLOCK_SLACK_SECONDS
        new = [one for one in found if one.get("name") == name and _born(one) >= since]
        return next((dict(one) for one in new if not work.engine or not work.engine.known(self.id_of(one))), None)

    def _take_orphan(self, work: Work) -> None:
        """Deleting what may have been made by a `create` whose outcome nobody saved."""
        if not work.again: return
        found = self.made_before(work, self.body(work))
        if found: work.physical_id = self.id_of(found)

    def id_of(self, made: Mapping[str, Any]) -> str:
        """The physical id in the API's answer."""
        return str(made["id"])

    def wrapped(self, body: dict[str, Any]) -> dict[str, Any]:
        return {self.singular: body} if self.singular else body

    def opened(self, body: Any) -> dict[str, Any]:
        found: dict[str, Any] = body[self.singular] if self.singular else body
        return found


def _born(one: Mapping[str, Any]) -> float:
    said = one.get("created_at") or one.get("created")
    return clock.parse(said) if isinstance(said, str) else clock.now()


def resolve(work: Work, rules: Property, value: Any) -> Any:
    """The value with names of things as their ids, and without the Nones of inner maps."""
    if value is None: return None
    if rules.refers and isinstance(value, str) and value: return find(work.call, rules.refers, value)
    if isinstance(value, list) and rules.item: return [resolve(work, rules.item, one) for one in value]
    if isinstance(value, dict) and rules.keys is not None:
        return {inner.wire or name: resolve(work, inner, value[name]) for name, inner in rules.keys.items()
                if inner.wire != "" and value.get(name) is not None}
    return value
