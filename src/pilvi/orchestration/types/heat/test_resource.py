"""OS::Heat::TestResource: does nothing, for as long and with the outcome that it is told."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.core import clock
from pilvi.core.errors import Failure
from pilvi.orchestration.types.interface import Attribute, Replace, ResourceType, Work, boolean, integer, map_of, number, string


class TestResource(ResourceType):
    """Everything it does can be slowed down (wait_secs, action_wait_secs) and made to fail."""
    __test__ = False
    name = "OS::Heat::TestResource"
    description = "A resource which stores the string value that was provided."
    local = True
    properties = {
        "value": string("The input string to be stored.", default="test_string", update=True),
        "fail": boolean("Value which can be set to fail the resource operation to test failure scenarios.", default=False, update=True),
        "update_replace": boolean("Value which can be set to trigger update replace for the particular resource.", default=False,
                                  update=True),
        "update_replace_value": string("Some value that can be stored but can not be updated."),
        "wait_secs": number("Seconds to wait after an action (-1 is infinite).", default=0, update=True),
        "action_wait_secs": map_of({
            "create": number("Seconds to wait after a create. Defaults to the global wait_secs."),
            "update": number("Seconds to wait after an update. Defaults to the global wait_secs."),
            "delete": number("Seconds to wait after a delete. Defaults to the global wait_secs."),
        }, "Options for simulating waiting.", update=True),
        "constraint_prop_secs": number("Seconds to wait while validating; kept for templates that name it.", default=0, update=True),
        "client_name": string("Client to poll.", default="", update=True),
        "entity_name": string("Client entity to poll.", default="", update=True),
        "attr_wait_secs": integer("Number value for timeout during resolving output value.", default=0, update=True),
    }
    attributes = {"output": Attribute("The string that was stored. This value is also available by referencing the resource.")}

    def create(self, work: Work) -> None:
        work.physical_id = work.physical_name
        work.data["value"] = work.properties["value"]

    def created(self, work: Work) -> bool:
        return self._over(work, "create", work.properties)

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        now = {**work.properties, **changes}
        if now["update_replace"]: raise Replace()
        work.data["value"] = now["value"]

    def updated(self, work: Work, changes: Mapping[str, Any]) -> bool:
        return self._over(work, "update", {**work.properties, **changes})

    def deleted(self, work: Work) -> bool:
        return self._over(work, "delete", work.properties)

    def needs_replacement(self, work: Work, changes: Mapping[str, Any]) -> bool:
        return bool(changes.get("update_replace"))

    def _over(self, work: Work, action: str, properties: Mapping[str, Any]) -> bool:
        """Has the wait ended? Raises if it is to fail."""
        seconds = (properties["action_wait_secs"] or {}).get(action)
        if seconds is None: seconds = properties["wait_secs"]
        if seconds < 0 or clock.now() < work.began_at + seconds: return False
        if properties["fail"] and action != "delete": raise TestResourceFailed(f"Test Resource failed {work.name}")
        return True

    def reference(self, work: Work) -> Any:
        return work.physical_id or work.physical_name

    def attribute(self, work: Work, name: str) -> Any:
        return work.data.get("value", "")


class TestResourceFailed(Failure):
    """Test Resource failed {name}"""
    code = "ValueError"
