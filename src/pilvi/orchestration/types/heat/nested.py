"""Types that are stacks themselves: a template of the user's, groups, auto scaling.

The child's life is the resource's: it is made, changed, suspended and deleted with it, and wakes it when it has come to an end.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.core.errors import NotFound
from pilvi.orchestration.types.interface import Child, Engine, Place, ResourceFailed, ResourceType, Work


def engine_of(work: Work) -> Engine:
    """The engine; it is always there while a stack is worked on."""
    assert work.engine is not None
    return work.engine


class NestedType(ResourceType):
    """`child` says which stack the properties mean."""

    always_update = True
    longest_wait_seconds = 5.0  # a child that has ended wakes its owner

    def child(self, name: str, properties: Mapping[str, Any], place: Place, data: Mapping[str, Any]) -> Child:
        """The nested stack as it is wanted. Pure. `data`: what the resource remembers; empty before it is there."""
        raise NotImplementedError

    def wanted(self, work: Work) -> Child:
        """`child` of a resource at work."""
        assert work.place is not None
        return self.child(work.name, work.properties, work.place, work.data)

    def create(self, work: Work) -> None:
        work.physical_id = engine_of(work).make_child(work, self.wanted(work))

    def created(self, work: Work) -> bool:
        return self.settled(work)

    def update(self, work: Work, changes: Mapping[str, Any]) -> None:
        engine_of(work).update_child(work, self.wanted(work))

    def updated(self, work: Work, changes: Mapping[str, Any]) -> bool:
        return self.settled(work)

    def delete(self, work: Work) -> None:
        engine_of(work).act_on_child(work, "DELETE")

    def deleted(self, work: Work) -> bool:
        found = engine_of(work).child_status(work)
        if found is None: return True
        state, busy, reason = found
        if not busy and state.endswith("_FAILED"): raise ResourceFailed(reason)
        return False

    def check(self, work: Work) -> None:
        engine_of(work).act_on_child(work, "CHECK")

    def checked(self, work: Work) -> bool:
        return self.settled(work)

    def suspend(self, work: Work) -> None:
        engine_of(work).act_on_child(work, "SUSPEND")

    def suspended(self, work: Work) -> bool:
        return self.settled(work)

    def resume(self, work: Work) -> None:
        engine_of(work).act_on_child(work, "RESUME")

    def resumed(self, work: Work) -> bool:
        return self.settled(work)

    def settled(self, work: Work) -> bool:
        """Has the child come to a good end? Raises ResourceFailed for a bad one."""
        found = engine_of(work).child_status(work)
        if found is None: raise NotFound(f"The nested stack of {work.name} is gone")
        state, busy, reason = found
        if busy: return False
        if state.endswith("_FAILED"): raise ResourceFailed(reason)
        return True

    def failed_needs_replacement(self, work: Work) -> bool:
        return engine_of(work).child_status(work) is None

    def reference(self, work: Work) -> Any:
        return work.data.get("reference") or work.physical_id or work.physical_name
