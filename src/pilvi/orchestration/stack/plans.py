"""Plans of stacks from their rows; the last ones are remembered, since each task of a stack needs its plan."""
from __future__ import annotations

from collections import OrderedDict
from threading import Lock

import structlog

from pilvi.core.errors import Failure
from pilvi.orchestration.resources.tables import Stack
from pilvi.orchestration.stack.plan import Plan, plan, pseudo
from pilvi.orchestration.template import environment
from pilvi.orchestration.template.parse import EMPTY

LOG = structlog.get_logger()
REMEMBERED = 64


class Plans:
    """Callable from any thread."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], Plan] = OrderedDict()
        self._lock = Lock()

    def of(self, stack: Stack) -> Plan:
        """The stack's plan; of a stack that can't be planned any more, as much as there is (it must still be deletable)."""
        key = (stack.id, stack.traversal)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        try: found = self.make(stack)
        except Failure as failure:
            LOG.warning("stack without a plan", stack=stack.id, reason=failure.message)
            found = plan(EMPTY, stack.files or {}, environment.Environment(), pseudo(stack.id, stack.name, stack.project_id))
        with self._lock:
            self._known[key] = found
            while len(self._known) > REMEMBERED: self._known.popitem(last=False)
        return found

    def make(self, stack: Stack) -> Plan:
        """The plan of what the row says now."""
        return plan(stack.template, stack.files or {}, environment.parse(stack.environment or {}),
                    pseudo(stack.id, stack.name, stack.project_id), strict=False, facade=stack.facade, depth=stack.depth)
