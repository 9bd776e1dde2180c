"""The durable tasks of volume.

Source: none; the mechanism is core/task.py.
"""
from __future__ import annotations

from pilvi.core.task import TaskColumns
from pilvi.core.wire import Base


class VolumeTask(TaskColumns, Base):
    __tablename__ = "volume_tasks"
