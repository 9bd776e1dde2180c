"""Stop, start, reboot, pause, unpause: one act of the host each."""
from __future__ import annotations

from pilvi.compute.server.ended import ended
from pilvi.core.task import AgentStep, Flow

POWER = [Flow(verb, ended=ended, steps=[AgentStep(verb)]) for verb in ("stop", "start", "reboot", "hard_reboot", "pause", "unpause")]
