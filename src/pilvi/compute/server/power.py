"""Stop, start, reboot, pause, unpause, suspend, resume: one act of the host each."""
from __future__ import annotations

from pilvi.compute.server.ended import ended
from pilvi.core.task import AgentStep, Flow

VERBS = ("stop", "start", "reboot", "hard_reboot", "pause", "unpause", "suspend", "resume")
POWER = [Flow(verb, ended=ended, steps=[AgentStep(verb)]) for verb in VERBS]
