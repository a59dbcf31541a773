"""Windows of a browser for tests, and what is wrong with what they show.

    from tests.browser.windows import open_window, violations

    with open_window(browser, served.endpoint) as window:
        window.page.goto("/console/images")
        assert violations(window.page) == []

A browser lasts for a file of tests (``browser`` in conftest.py), and each test has a window of its own, without cookies
of others. Whatever a page complains of in the browser's console fails the test that opened it: an error of its script,
a file that is not there, what its Content-Security-Policy forbids. So does a request to anybody but the Kiln that it
came from.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.tools import needs

AXE = Path(__file__).parent / "axe" / "axe.min.js"
_PATIENCE_MS = 300_000  #: A page is there in 0.1 s; a machine on which everything else is tested may take its time.
_COMPLAINTS = frozenset({"error", "warning", "assert"})
_OWN_SCHEMES = ("about:", "data:", "blob:")


@contextmanager
def open_browser() -> Iterator[Any]:
    """Chromium as Debian has it; where it is missing the test is skipped, or fails in CI."""
    needs("chromium")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a fifth of a second, for few of the tests.

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        yield opened
        opened.close()


@dataclass
class Window:
    """One page of a browser, and what was complained of meanwhile."""

    page: Any  #: Playwright's Page; its paths begin at the Kiln that it stands before.
    origin: str
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)  #: The addresses of all requests, in their order.

    def listen(self) -> None:
        """Hear what the page says from now on."""
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error of a script: {error}"))
        self.page.on("request", self._see)

    def forget(self, part: str) -> None:
        """Take out the complaints that have *part* in them, which the test has caused. There must be one."""
        self.page.evaluate("0")  # Whatever was said before has arrived when this is answered.
        rest = [said for said in self.complaints if part not in said]
        assert rest != self.complaints, f"no complaint has {part!r}: {self.complaints}"
        self.complaints[:] = rest

    def check(self) -> None:
        """Raises AssertionError if anything was complained of."""
        if self.complaints:
            raise AssertionError("\n".join(self.complaints))

    def _hear(self, said: Any) -> None:
        if said.type in _COMPLAINTS:
            self.complaints.append(f"{said.type} at {said.location.get('url', '')}: {said.text}")

    def _see(self, request: Any) -> None:
        self.asked.append(request.url)
        if not request.url.startswith((self.origin + "/", *_OWN_SCHEMES)):
            self.complaints.append(f"asked somebody else: {request.url}")


@contextmanager
def open_window(browser: Any, origin: str, **context: Any) -> Iterator[Window]:
    """A window before *origin*, ``http://HOST:PORT``; *context* as Playwright's ``new_context`` has it.

    ``color_scheme="dark"``, ``java_script_enabled=False``, ``locale="zh-CN"``, ``viewport={"width": 400, …}``. At the
    end nothing may have been complained of.
    """
    opened = browser.new_context(base_url=origin, **context)
    try:
        opened.set_default_timeout(_PATIENCE_MS)
        window = Window(opened.new_page(), origin)
        window.listen()
        yield window
        if not window.page.is_closed():
            window.page.evaluate("0")
        window.check()
    finally:
        opened.close()


def violations(page: Any, *rules: str) -> list[str]:
    """What axe finds on *page* as it is now, by all rules or by these: a line for each element, and what to do."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    options = {"resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
    found = page.evaluate("options => axe.run(document, options)", options)["violations"]
    return [
        f"{rule['id']}: {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]
