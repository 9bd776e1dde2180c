"""How the agent asks the APIs: with its own token and the task's grant, again while they are away, with a new token when one is refused."""
from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from pilvi.core import clock
from pilvi.core.context import Call
from pilvi.core.errand import Errand
from pilvi.core.errors import Unauthenticated, Unavailable
from pilvi.identity.client import Tokens

Answer = TypeVar("Answer")
PAUSE_SECONDS = 1.0


class Apis:
    """The APIs as one agent reaches them."""

    def __init__(self, tokens: Tokens, patience_seconds: float) -> None:
        self.tokens, self.patience_seconds = tokens, patience_seconds

    def ask(self, errand: Errand, question: Callable[[Call], Answer]) -> Answer:
        """The answer to a question that is asked on behalf of a task. Raises what the API said, Unavailable after the patience is over."""
        until = clock.monotonic() + self.patience_seconds
        while True:
            try:
                token, _ = self.tokens.current()
                return question(Call(token=token, grant_text=errand.grant, request_id=errand.facts.get("request_id") or "req-agent",
                                     global_request_id=errand.facts.get("request_id") or ""))
            except Unauthenticated:
                self.tokens.forget()
                if clock.monotonic() > until: raise
            except Unavailable:
                if clock.monotonic() > until: raise
            time.sleep(PAUSE_SECONDS)
