"""People before a real browser (Debian's Chromium), on the dashboard of a cloud."""
from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import yaml
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.outside.clouds import Cloud

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
PATIENCE_MS = 60_000


def chromium_browser() -> Iterator[Browser]:
    """A browser, for as long as the caller wants it; what is expected of its pages is waited for."""
    assert CHROMIUM, "apt-get install chromium"
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=PATIENCE_MS)
        yield browser
        browser.close()


class User:
    """Somebody before a browser of their own. `broken` collects what a page should never say."""

    def __init__(self, cloud: Cloud, chromium: Browser, name: str, **options: Any) -> None:
        self.auth = yaml.safe_load((cloud.state / "clouds.yaml").read_text())["clouds"][name]["auth"]
        self.root = self.auth["auth_url"].partition("/identity")[0]
        self.context = chromium.new_context(locale="en-GB", viewport={"width": 1360, "height": 900}, **options)
        self.context.set_default_timeout(PATIENCE_MS)
        self.page: Page = self.context.new_page()
        self.broken: list[str] = []
        self.page.on("pageerror", lambda failure: self.broken.append(str(failure)))
        self.page.on("console", lambda line: self.broken.append(line.text) if "Content Security Policy" in line.text else None)

    def sign_in(self, password: str = "") -> None:
        self.page.goto(self.root + "/")
        self.page.get_by_label("User", exact=True).fill(self.auth["username"])
        self.page.get_by_label("Password", exact=True).fill(password or self.auth["password"])
        self.page.get_by_role("button", name="Sign in").click()

    def go(self, link: str) -> None:
        self.page.get_by_role("navigation", name="Navigation").get_by_role("link", name=link, exact=True).click()

    def row(self, text: str) -> Any:
        return self.page.get_by_role("row").filter(has_text=text)

    def dialog(self) -> Any:
        return self.page.get_by_role("dialog")
