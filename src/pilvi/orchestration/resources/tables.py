"""The tables of orchestration: stacks, their resources, the tasks of their convergence, events, snapshots.

A stack's and a resource's `state` is ACTION_STATUS (CREATE_COMPLETE); `busy` is the action in progress, so what the API calls
CREATE_IN_PROGRESS is busy == "CREATE".

Source: Orchestration API, "Stacks", "Stack resources", "Stack events", "Stack snapshots".
"""
from __future__ import annotations

from typing import Any

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from pilvi.core import clock
from pilvi.core.crypto import new_id
from pilvi.core.db.types import Instant, Json
from pilvi.core.wire import Base


class Stack(Base):
    """A stack; also those nested in a resource of another (`owner_resource_id`)."""
    __tablename__ = "orchestration_stacks"
    TOLD = ("id", "name", "project_id", "user_id", "state", "busy", "reason", "description", "tags", "owner_id", "created_at", "deleted_at")
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(index=True)
    project_id: Mapped[str] = mapped_column(index=True)
    user_id: Mapped[str] = mapped_column(default="")
    user_name: Mapped[str] = mapped_column(default="")
    state: Mapped[str] = mapped_column(default="INIT_COMPLETE")
    busy: Mapped[str | None]
    reason: Mapped[str] = mapped_column(Text, default="")
    template: Mapped[Any] = mapped_column(Json)
    files: Mapped[Any] = mapped_column(Json, nullable=True, default=dict)
    environment: Mapped[Any] = mapped_column(Json, nullable=True, default=dict)
    """As `Environment.stored`; the request's parameters are in it."""
    previous: Mapped[Any] = mapped_column(Json, nullable=True)
    """What a rollback goes back to: {template, files, environment, tags, timeout_minutes}; None: to nothing."""
    description: Mapped[str] = mapped_column(Text, default="")
    tags: Mapped[Any] = mapped_column(Json, nullable=True, default=list)
    disable_rollback: Mapped[bool] = mapped_column(default=True)
    timeout_minutes: Mapped[int | None]
    deadline: Mapped[float | None] = mapped_column(Instant)
    traversal: Mapped[str] = mapped_column(default="")
    """Of the convergence that counts; tasks of others are stale."""
    owner_id: Mapped[str | None] = mapped_column(index=True)
    owner_resource_id: Mapped[str | None] = mapped_column(index=True)
    root_id: Mapped[str] = mapped_column(default="", index=True)
    depth: Mapped[int] = mapped_column(default=0)
    facade: Mapped[Any] = mapped_column(Json, nullable=True)
    """Of the owner resource: {metadata, deletion_policy, update_policy}."""
    credentials: Mapped[Any] = mapped_column(Json, nullable=True)
    """How the cloud acts for the owner when no request is there; on root stacks only. Encrypted where it is secret."""
    created_at: Mapped[float] = mapped_column(Instant, default=clock.now)
    renewed_at: Mapped[float | None] = mapped_column(Instant)
    """When an update last began: the API's updated_time."""
    updated_at: Mapped[float | None] = mapped_column(Instant)
    """When the row last changed."""
    deleted_at: Mapped[float | None] = mapped_column(Instant, index=True)


class StackResource(Base):
    """A resource of a stack: one row for each real thing, so a replacement is a second row of the same name."""
    __tablename__ = "orchestration_resources"
    TOLD = ("id", "stack_id", "name", "type", "state", "physical_id")
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    stack_id: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    type: Mapped[str]
    state: Mapped[str] = mapped_column(default="INIT_COMPLETE")
    busy: Mapped[str | None]
    reason: Mapped[str] = mapped_column(Text, default="")
    physical_id: Mapped[str | None] = mapped_column(index=True)
    properties: Mapped[Any] = mapped_column(Json, nullable=True, default=dict)
    """As given by the template, resolved, when the last create or update began."""
    meta: Mapped[Any] = mapped_column(Json, nullable=True, default=dict)
    """Its metadata, as the API shows it: the template's until something wrote it."""
    template_meta: Mapped[Any] = mapped_column(Json, nullable=True, default=dict)
    data: Mapped[Any] = mapped_column(Json, nullable=True, default=dict)
    progress: Mapped[Any] = mapped_column(Json, nullable=True)
    """Of the action in progress: {action, began_at, begun, polls, changes, wanted, data}."""
    requires: Mapped[Any] = mapped_column(Json, nullable=True, default=list)
    """Ids of the rows it came after: what is deleted after it."""
    replaces: Mapped[str | None]
    replaced_by: Mapped[str | None]
    deletion_policy: Mapped[str] = mapped_column(default="Delete")
    update_policy: Mapped[Any] = mapped_column(Json, nullable=True, default=dict)
    external: Mapped[bool] = mapped_column(default=False)
    """Stands for a thing that the stack did not make (external_id)."""
    paused: Mapped[Any] = mapped_column(Json, nullable=True, default=list)
    """Hooks that wait to be cleared."""
    cleared: Mapped[Any] = mapped_column(Json, nullable=True, default=list)
    """Hooks that were cleared in this traversal."""
    created_at: Mapped[float] = mapped_column(Instant, default=clock.now)
    changed_at: Mapped[float | None] = mapped_column(Instant)
    """When its last action began or ended: the API's updated_time."""
    updated_at: Mapped[float | None] = mapped_column(Instant)


class StackTask(Base):
    """What is to be done with one resource in a traversal; released when `waiting` is 0, done no sooner than `due_at`."""
    __tablename__ = "orchestration_tasks"
    id: Mapped[str] = mapped_column(primary_key=True)
    stack_id: Mapped[str] = mapped_column(index=True)
    traversal: Mapped[str]
    kind: Mapped[str]
    """update (create, change or replace by the template), cleanup, suspend, resume, check, snapshot"""
    name: Mapped[str] = mapped_column(default="")
    resource_id: Mapped[str | None] = mapped_column(index=True)
    """The row; an `update` learns it when it begins."""
    waiting: Mapped[int] = mapped_column(default=0)
    followers: Mapped[Any] = mapped_column(Json, nullable=True, default=list)
    due_at: Mapped[float] = mapped_column(Instant, default=0.0, index=True)
    """NEVER while it waits."""
    stale: Mapped[bool] = mapped_column(default=False)
    """The stack has moved on: what was begun is carried to its end, for `give_up_at` at most, and moves nothing else."""
    give_up_at: Mapped[float | None] = mapped_column(Instant)
    claimed_by: Mapped[str | None]
    lease_until: Mapped[float] = mapped_column(Instant, default=0.0)
    attempt: Mapped[int] = mapped_column(default=0)


class StackEvent(Base):
    """Something that happened to a stack or to one of its resources."""
    __tablename__ = "orchestration_events"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True, default=new_id)
    stack_id: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    physical_id: Mapped[str | None]
    status: Mapped[str]
    """CREATE_IN_PROGRESS and so on."""
    reason: Mapped[str] = mapped_column(Text, default="")
    type: Mapped[str]
    properties: Mapped[Any] = mapped_column(Json, nullable=True)
    at: Mapped[float] = mapped_column(Instant, default=clock.now)


class StackSnapshot(Base):
    """What is needed to bring a stack back to how it was."""
    __tablename__ = "orchestration_snapshots"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    stack_id: Mapped[str] = mapped_column(index=True)
    project_id: Mapped[str]
    name: Mapped[str | None]
    status: Mapped[str] = mapped_column(default="IN_PROGRESS")
    reason: Mapped[str | None] = mapped_column(Text)
    data: Mapped[Any] = mapped_column(Json, nullable=True, default=dict)
    created_at: Mapped[float] = mapped_column(Instant, default=clock.now)


class SoftwareConfig(Base):
    """Text for a server to carry out, with what goes in and comes out."""
    __tablename__ = "orchestration_software_configs"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(index=True)
    name: Mapped[str] = mapped_column(default="")
    group: Mapped[str] = mapped_column("config_group", default="Heat::Ungrouped")
    config: Mapped[Any] = mapped_column(Json, nullable=True)
    inputs: Mapped[Any] = mapped_column(Json, nullable=True, default=list)
    outputs: Mapped[Any] = mapped_column(Json, nullable=True, default=list)
    options: Mapped[Any] = mapped_column(Json, nullable=True, default=dict)
    created_at: Mapped[float] = mapped_column(Instant, default=clock.now)


class SoftwareDeployment(Base):
    """A config given to a server, and what became of it."""
    __tablename__ = "orchestration_software_deployments"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    project_id: Mapped[str] = mapped_column(index=True)
    config_id: Mapped[str] = mapped_column(index=True)
    server_id: Mapped[str] = mapped_column(index=True)
    action: Mapped[str | None]
    status: Mapped[str | None]
    status_reason: Mapped[str | None] = mapped_column(Text)
    input_values: Mapped[Any] = mapped_column(Json, nullable=True, default=dict)
    output_values: Mapped[Any] = mapped_column(Json, nullable=True)
    number: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[float] = mapped_column(Instant, default=clock.now)
    updated_at: Mapped[float | None] = mapped_column(Instant)


NEVER = 9e15
