"""What the functions of a template may cost. Every value that they are given or make is paid for; texts by their length.

Functions can multiply: a list that is named a thousand times, a long file as the delimiter of a long list. A document's size is therefore
no bound for what it means, and most of the work is done in single steps of the interpreter, which let nothing else run.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilvi.orchestration.template.values import UNKNOWN, FunctionInvalid

VALUES_MOST = 500_000
"""Of all resources of a template together when it is read; of one when it is worked on. About a second's work."""
CHARACTERS_PER_VALUE = 50
TEXT_MOST = 4_194_304
"""Characters of one text."""


class Budget:
    """How much is left."""

    def __init__(self, left: int = VALUES_MOST) -> None:
        self.left = left

    def spend(self, values: int) -> None:
        """Pays. Raises FunctionInvalid when there is not enough left."""
        self.left -= values
        if self.left < 0: raise FunctionInvalid("The functions make more values than a resource may have")

    def weigh(self, value: Any) -> bool:
        """Pays for a value with all that is in it; says whether any part of it is not known yet."""
        if value is UNKNOWN: return True
        if isinstance(value, str): self.spend(1 + len(value) // CHARACTERS_PER_VALUE)
        elif isinstance(value, Mapping):
            for key in value: self.weigh(key)
            return any([self.weigh(one) for one in value.values()])
        elif isinstance(value, list): return any([self.weigh(one) for one in value])
        else: self.spend(1)
        return False


def substitute(template: Any, turn: Mapping[str, Any], budget: Budget) -> Any:
    """A repeat's template with its placeholders replaced, in keys too. A text that is nothing but a placeholder becomes its value."""
    budget.spend(1)
    if isinstance(template, str): return turn[template] if template in turn else _replaced(template, turn, budget)
    if isinstance(template, Mapping):
        return {str(substitute(key, turn, budget)): substitute(value, turn, budget) for key, value in template.items()}
    return [substitute(one, turn, budget) for one in template] if isinstance(template, list) else template


def _replaced(text: str, turn: Mapping[str, Any], budget: Budget) -> str:
    for name, value in turn.items():
        budget.spend(1 + len(text) // CHARACTERS_PER_VALUE)
        if not (times := text.count(name)): continue
        new = value if isinstance(value, str) else str(value)
        bounded(len(text) + times * (len(new) - len(name)))
        text = text.replace(name, new)
    budget.spend(len(text) // CHARACTERS_PER_VALUE)
    return text


def bounded(characters: int) -> None:
    """Raises FunctionInvalid for a text that would be too long."""
    if characters > TEXT_MOST: raise FunctionInvalid(f"the text is longer than {TEXT_MOST} characters")
