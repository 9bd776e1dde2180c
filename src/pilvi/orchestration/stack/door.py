"""What Heat's own types may ask of the engine: nested stacks, signal URLs, other resources' metadata. Outside transactions.

Source: types/interface.py, `Engine`.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sqlalchemy import ColumnElement, select, update

from pilvi.core.errors import NotFound
from pilvi.core.state import WrongState
from pilvi.orchestration.errors import StackUnknown
from pilvi.orchestration.resources.tables import Stack, StackResource
from pilvi.orchestration.stack import converge, credentials, live, signals, wish
from pilvi.orchestration.stack.outputs import output_of
from pilvi.orchestration.stack.plan import Plan, plan, pseudo
from pilvi.orchestration.stack.states import status
from pilvi.orchestration.types.interface import Child, Member, Work

if TYPE_CHECKING:
    from pilvi.core.http.app import Application


class Door:
    """The engine as types see it."""

    def __init__(self, application: Application) -> None:
        self.application, self.database = application, application.database

    def known(self, physical_id: str) -> bool:
        """Does a resource of any stack have this physical id?"""
        with self.database.read() as db:
            return db.execute(select(StackResource.id).where(StackResource.physical_id == physical_id).limit(1)).first() is not None

    # -- nested stacks

    def make_child(self, work: Work, child: Child) -> str:
        """The id of the stack nested in the resource; made if it is not there."""
        found = self._child(work)
        if found is not None: return found.id
        with self.database.read() as db:
            parent, row = self._owner(db, work)
        name = child_name(work)
        stack_id = work.resource_id  # one child for each resource row, so a second make finds the first
        planned = self._plan(parent, row, child, stack_id, name)
        with self.database.write() as db:
            if db.get(Stack, stack_id) is not None: return stack_id
            converge.check_size(db, parent.root_id or parent.id, stack_id, len(planned.resources))
            wish.create(db, planned, id=stack_id, name=name, project_id=parent.project_id, user_id=parent.user_id,
                        user_name=parent.user_name, owner_id=parent.id, owner_resource_id=row.id, root_id=parent.root_id or parent.id,
                        depth=parent.depth + 1,
                        facade=_facade(row), disable_rollback=True, timeout_minutes=parent.timeout_minutes, tags=parent.tags)
        return stack_id

    def update_child(self, work: Work, child: Child) -> None:
        """Begins to converge the nested stack to the new template."""
        found = self._child(work)
        if found is None: raise NotFound(f"The nested stack of {work.name} is gone")
        with self.database.read() as db:
            parent, row = self._owner(db, work)
        planned = self._plan(parent, row, child, found.id, found.name)
        with self.database.write() as db:
            stack = db.get(Stack, found.id, populate_existing=True)
            assert stack is not None
            fine = stack.state.endswith("_COMPLETE") or stack.busy
            if fine and wish.same(stack, planned, _facade(row)): return
            converge.check_size(db, parent.root_id or parent.id, stack.id, len(planned.resources))
            action = "ROLLBACK" if parent.busy == "ROLLBACK" and stack.busy in ("CREATE", "UPDATE") else "UPDATE"
            wish.change(db, stack, planned, action=action, facade=_facade(row), tags=parent.tags)

    def act_on_child(self, work: Work, action: str) -> None:
        """Begins DELETE, SUSPEND, RESUME or CHECK of the nested stack; one that is gone is no error."""
        found = self._child(work)
        if found is None or found.busy == action: return
        with self.database.write() as db:
            stack = db.get(Stack, found.id, populate_existing=True)
            assert stack is not None
            try: converge.begin(db, stack, action, {})
            except WrongState:
                if action == "DELETE": raise

    def child_status(self, work: Work) -> tuple[str, str | None, str] | None:
        """(state, busy, reason) of the nested stack; None if it is gone."""
        found = self._child(work)
        return None if found is None else (found.state, found.busy, found.reason)

    def child_output(self, work: Work, name: str) -> Any:
        """An output of the nested stack. Raises NotFound, and TemplateInvalid for one that can't be resolved."""
        found = self._child(work)
        if found is None: raise NotFound(f"The nested stack of {work.name} is gone")
        return output_of(self.application, work.call, found, name)

    def members(self, work: Work) -> list[Member]:
        """The resources of the nested stack, by name."""
        found = self._child(work)
        if found is None: return []
        planned = self.application.state["plans"].of(found)
        with self.database.read() as db: rows = live.current_rows(db, found.id)
        return [Member(row.id, name, status(row.state, row.busy), row.physical_id, live.kind_of(planned, row).reference(
            live.work_of(self.application, work.call, found, planned, row)), row.created_at) for name, row in sorted(rows.items())]

    def member_attribute(self, work: Work, member: str, attribute: str | None, path: list[Any]) -> Any:
        """An attribute of one of them; of all without a name."""
        found = self._child(work)
        if found is None: raise NotFound(f"The nested stack of {work.name} is gone")
        planned = self.application.state["plans"].of(found)
        with self.database.read() as db: rows = live.current_rows(db, found.id, [member])
        return live.LiveScope(self.application, work.call, found, planned, rows).attribute(member, attribute, path)

    def _child(self, work: Work) -> Stack | None:
        with self.database.read() as db:
            return db.scalar(select(Stack).where(Stack.owner_resource_id == work.resource_id, Stack.deleted_at.is_(None)))

    def _owner(self, db: Any, work: Work) -> tuple[Stack, StackResource]:
        parent, row = db.get(Stack, work.stack_id), db.get(StackResource, work.resource_id)
        if parent is None or row is None: raise StackUnknown(name=work.stack_id)
        return parent, row

    def _plan(self, parent: Stack, row: StackResource, child: Child, stack_id: str, name: str) -> Plan:
        environment = dataclasses.replace(child.environment, parameters=dict(child.parameters))
        return plan(child.template, parent.files or {}, environment, pseudo(stack_id, name, parent.project_id), facade=_facade(row),
                    depth=parent.depth + 1)

    # -- signals and others' resources

    def signal_url(self, work: Work, kind: str = "signal") -> str:
        """A URL that needs nothing but a POST: "signal", "waitcondition" (cfn, PUT)."""
        settings = self.application.state["settings"]
        base = settings.guest_url + self.application.service.mount
        return signals.url(base, self.application.grant_key, work.project_id, work.stack_name, work.stack_id, work.name, kind)

    def sibling(self, work: Work, reference: str) -> Work | None:
        """Another resource of the same project, by its physical id; for types that act on others."""
        return self._other(StackResource.physical_id == reference, Stack.project_id == work.project_id)

    def named(self, work: Work, name: str) -> Work | None:
        """Another resource of the same stack, by its name."""
        return self._other(StackResource.name == unquote(name), Stack.id == work.stack_id, StackResource.replaced_by.is_(None))

    def _other(self, *conditions: ColumnElement[bool]) -> Work | None:
        with self.database.read() as db:
            found = db.execute(select(StackResource, Stack).join(Stack, Stack.id == StackResource.stack_id).where(
                *conditions, Stack.deleted_at.is_(None)).limit(1)).first()
            if found is None: return None
            row, stack = found
            root = stack if stack.root_id in ("", stack.id) else db.get(Stack, stack.root_id)
        call = credentials.call_for(self.application, root.credentials if root is not None else None)
        return live.work_of(self.application, call, stack, self.application.state["plans"].of(stack), row)

    def write_data(self, resource_id: str, changes: Mapping[str, Any]) -> None:
        """Changes what another resource remembers."""
        with self.database.write() as db:
            row = db.get(StackResource, resource_id, populate_existing=True)
            if row is not None: row.data = {**(row.data or {}), **changes}

    def write_metadata(self, resource_id: str, metadata: Mapping[str, Any]) -> None:
        """Replaces a resource's metadata."""
        with self.database.write() as db:
            db.execute(update(StackResource).where(StackResource.id == resource_id).values(meta=dict(metadata)))

    def wake(self, resource_id: str) -> None:
        """Something happened that the resource may be waiting for: ask it now."""
        with self.database.write() as db: converge.wake(db, resource_id)


def child_name(work: Work) -> str:
    """A nested stack's name: OWNER-RESOURCE-SUFFIX."""
    return f"{work.stack_name}-{work.name}-{work.resource_id.replace('-', '')[:12]}"


def _facade(row: StackResource) -> dict[str, Any]:
    return {"metadata": row.template_meta or {}, "deletion_policy": row.deletion_policy, "update_policy": row.update_policy or {}}
