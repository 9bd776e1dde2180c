"""yaql expressions, with bounds on what they may cost: a program that `core/apart.py` runs.

Source: Template Guide, "yaql"; the yaql library.
"""
from __future__ import annotations

from typing import Any

import yaql  # type: ignore[import-untyped]
from yaql.language.exceptions import YaqlException  # type: ignore[import-untyped]

from pilvi.core.apart import serve

EXPRESSION_CHARACTERS_MOST = 4096
ENGINE = yaql.YaqlFactory().create(options={
    "yaql.limitIterators": 10_000, "yaql.memoryQuota": 1_000_000, "yaql.convertTuplesToLists": True, "yaql.convertSetsToLists": True,
    "yaql.convertInputData": True, "yaql.convertOutputData": True})
CONTEXT = yaql.create_context()


def evaluate(expression: str, data: Any) -> Any:
    """What the expression makes of `$.data`. Raises ValueError."""
    if len(expression) > EXPRESSION_CHARACTERS_MOST: raise ValueError("The expression is too long")
    try: return ENGINE(expression).evaluate(data={"data": data}, context=CONTEXT.create_child_context())
    except (YaqlException, TypeError, ValueError, KeyError, IndexError, ArithmeticError, AttributeError, RecursionError,
            MemoryError) as failure:
        raise ValueError(str(failure)) from None


if __name__ == "__main__": serve(lambda question: evaluate(*question))
