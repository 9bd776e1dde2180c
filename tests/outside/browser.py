"""A headless Chromium, driven over its own debugging protocol: enough to open a page and ask it things."""
from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

PROGRAM = shutil.which("chromium")


class Page:
    """A page that was opened."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket, self.number = socket, 0

    def ask(self, method: str, **values: Any) -> Any:
        """One command of the protocol."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": values}))
        while True:
            answer = json.loads(self.socket.recv(60))
            if answer.get("id") == self.number: return answer["result"]

    def value(self, script: str) -> Any:
        """What an expression is in the page."""
        return self.ask("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def wait(self, script: str, seconds: float = 60) -> Any:
        """The expression's value, once it is true."""
        until = time.monotonic() + seconds
        while not (found := self.value(script)):
            assert time.monotonic() < until, f"{script} did not come true: {self.value('document.body.innerText')}"
            time.sleep(0.3)
        return found


@contextmanager
def page(url: str, profile: Path) -> Iterator[Page]:
    """Opens the address in a browser of its own."""
    assert PROGRAM
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    command = [PROGRAM, "--headless=new", *root, "--disable-gpu", "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as browser:
        try:
            assert browser.stderr
            address = next(found[1] for line in browser.stderr if (found := re.search(r"listening on ws://([^/]+)/", line)))
            with urllib.request.urlopen(f"http://{address}/json/list") as answer: target = json.load(answer)[0]["webSocketDebuggerUrl"]
            with connect(target, max_size=None) as socket:
                opened = Page(socket)
                opened.ask("Page.navigate", url=url)
                yield opened
        finally:
            browser.terminate()
            browser.communicate(timeout=30)
