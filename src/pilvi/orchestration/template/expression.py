"""yaql expressions, with bounds on what they may cost: a program that `core/apart.py` runs.

Source: Template Guide, "yaql"; the yaql library.
"""
from __future__ import annotations

import math
import resource
import sys
import time
from typing import Any, BinaryIO

import msgspec
import yaql  # type: ignore[import-untyped]
from yaql.language.exceptions import YaqlException  # type: ignore[import-untyped]

EXPRESSION_CHARACTERS_MOST = 4096
SECONDS_MOST, MEMORY_MOST = 1, 512 * 2**20
"""Of the processor, and a part of a second more; and of memory in bytes."""
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


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answers [expression, data] by [true, value] or [false, why not], line by line. The kernel ends it when one takes too long."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MOST, MEMORY_MOST))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in questions:
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + SECONDS_MOST, resource.RLIM_INFINITY))
        expression, data = msgspec.json.decode(line)
        try: answer = msgspec.json.encode([True, evaluate(expression, data)])
        except (ValueError, TypeError, OverflowError, RecursionError) as failure: answer = msgspec.json.encode([False, str(failure)])
        answers.write(answer + b"\n")
        answers.flush()


if __name__ == "__main__": serve(sys.stdin.buffer, sys.stdout.buffer)
