"""Rebuilding: the server gets a new root disk of an image and keeps all else: its id, host, cards, volumes. One that was off stays off."""
from __future__ import annotations

from pilvi.compute.server.ended import ended
from pilvi.core.task import AgentStep, Flow

ANEW = [AgentStep("fetch_new_image"), AgentStep("rebuild_machine")]
REBUILD = [Flow("rebuild", ended=ended, steps=[*ANEW, AgentStep("start")]), Flow("rebuild_stopped", ended=ended, steps=[*ANEW])]
