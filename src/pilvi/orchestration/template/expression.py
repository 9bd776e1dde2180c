"""yaql expressions, with bounds on what they may cost. Loaded when a template first has one.

Source: Template Guide, "yaql"; the yaql library.
"""
from __future__ import annotations

from typing import Any

import yaql  # type: ignore[import-untyped]
from yaql.language.exceptions import YaqlException  # type: ignore[import-untyped]

from pilvi.orchestration.template import expression_pattern

EXPRESSION_CHARACTERS_MOST = 4096
ENGINE = yaql.YaqlFactory().create(options={
    "yaql.limitIterators": 10_000, "yaql.memoryQuota": 1_000_000, "yaql.convertTuplesToLists": True, "yaql.convertSetsToLists": True,
    "yaql.convertInputData": True, "yaql.convertOutputData": True})
CONTEXT = yaql.create_context(regex=False)
expression_pattern.register(CONTEXT)


def evaluate(expression: str, data: Any) -> Any:
    """What the expression makes of `$.data`. Raises ValueError."""
    if len(expression) > EXPRESSION_CHARACTERS_MOST: raise ValueError("The expression is too long")
    try: return ENGINE(expression).evaluate(data={"data": data}, context=CONTEXT.create_child_context())
    except (YaqlException, TypeError, ValueError, KeyError, IndexError, ZeroDivisionError, AttributeError, RecursionError) as failure:
        raise ValueError(f"Bad expression {expression[:80]!r}: {str(failure)[:200]}") from None
