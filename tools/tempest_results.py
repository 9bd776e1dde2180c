"""Turns a subunit stream (standard input) into lines of JSON: {"id", "status", "reason", "seconds"}. Runs in Tempest's environment.

Statuses: success, fail, skip. A failed set-up of a class is a result of its own, with the class in its id.
"""
from __future__ import annotations

import json
import sys
from typing import Any

import subunit  # type: ignore[import-not-found, unused-ignore]
from testtools import StreamToDict  # type: ignore[import-not-found, unused-ignore]

WORDS = {"success": "success", "skip": "skip", "xfail": "success", "uxsuccess": "fail", "fail": "fail"}


def tell(test: dict[str, Any]) -> None:
    """One test's end; a list of what there is comes first."""
    if test["status"] == "exists": return
    texts = {name: part.as_text() for name, part in test["details"].items()}
    reason = texts.get("reason") or next((text for name, text in texts.items() if name.startswith("traceback")), "")
    begun, ended = test["timestamps"]
    line = {"id": test["id"], "status": WORDS.get(test["status"], "fail"), "reason": reason,
            "seconds": (ended - begun).total_seconds() if begun and ended else 0.0}
    print(json.dumps(line))


if __name__ == "__main__":
    results = StreamToDict(tell)
    results.startTestRun()
    subunit.ByteStreamToStreamResult(sys.stdin.buffer, non_subunit_name="stdout").run(results)
    results.stopTestRun()
