"""A real browser for tests of pages: pages that note what they ask for, and pictures of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, TimeoutError, sync_playwright

# Chromium keeps to itself: the machine may have no network, and needs none.
QUIET: Final = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
SIZES: Final = {"desktop": (1440, 900), "phone": (390, 844)}
PATIENCE_MS: Final = 40_000
# Of every plot of a page: its width, how far what it draws goes beyond its figure (or, where it
# scrolls, beyond itself), and the size of its smallest text, in pixels of the screen.
DRAWN: Final = """[...document.querySelectorAll('svg.plot, svg.drawn')].map(svg => {
    const box = svg.matches('.drawn') ? svg : svg.closest('figure')
    const b = box.getBoundingClientRect(), view = svg.viewBox.baseVal
    const scale = view && view.width ? svg.clientWidth / view.width : 1
    const parts = [...svg.querySelectorAll('text, rect, line, path, circle')].filter(
        one => getComputedStyle(one).display != 'none').map(one => one.getBoundingClientRect())
    const beyond = Math.max(...parts.map(
        p => Math.max(b.left - p.left, b.top - p.top, p.right - b.right, p.bottom - b.bottom)))
    const texts = [...svg.querySelectorAll('text')].map(
        one => parseFloat(getComputedStyle(one).fontSize) * scale)
    return [svg.clientWidth, beyond, Math.min(...texts)]
})"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium for a block; skip without one, fail if required."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        if os.environ.get("OPENMM_REQUIRE_DATA") == "1":
            pytest.fail("no Chromium is installed: apt-get install chromium")
        pytest.skip("no Chromium is installed")
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found, args=QUIET)
        try:
            yield started
        finally:
            started.close()


class Visitor:
    """One browser window, what it complained of, and where it asked for something."""

    def __init__(self, browser: Browser, size: str = "desktop", scheme: str = "dark") -> None:
        width, height = SIZES[size]
        self.name = f"{scheme}-{size}"
        self.width = width
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self._context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda asked: self.asked.append(asked.url))

    def _hear(self, told: ConsoleMessage) -> None:
        if told.type == "error":
            self.complaints.append(told.text)

    def log_in(self, url: str, path: str, token: str) -> None:
        """Open a page, which leads to the login first."""
        self.page.goto(url + path)
        self.page.fill("#token", token)
        self.page.click("button[type=submit]")
        self.page.wait_for_url(f"{url}{path}")

    def text(self, key: str) -> str:
        """Return what is shown under a name."""
        return self.page.locator(f'[data-k="{key}"]').first.inner_text()

    def shows(self, key: str, text: str) -> None:
        """Wait until something is shown under a name."""
        self.page.wait_for_function(
            "([key, text]) => document.querySelector(`[data-k='${key}']`)?.textContent === text",
            arg=[key, text],
        )

    def cells(self, table: str) -> list[list[str]]:
        """Return the texts of a table."""
        found: list[list[str]] = self.page.evaluate(
            "(name) => [...document.querySelectorAll(`[data-rows='${name}'] tr`)]"
            ".map(row => [...row.cells].map(cell => cell.textContent))", table,
        )  # fmt: skip
        return found

    def rows(self, table: str, least: int = 1) -> None:
        """Wait until a table has rows."""
        self.page.wait_for_function(
            "([name, least]) => document.querySelectorAll(`[data-rows='${name}'] tr`).length"
            " >= least", arg=[table, least],
        )  # fmt: skip

    def confirm(self, action: str) -> None:
        """Press the button of a dialog that carries an action out, and wait for its end."""
        self.page.click(f"[data-confirm={action}]")
        try:
            self.page.wait_for_selector(".q-dialog", state="detached")
        except TimeoutError:
            told = self.page.locator(".q-dialog").first.inner_text()
            raise AssertionError(f"{action}: the dialog stays: {told[-600:]}") from None

    def fits(self) -> bool:
        """Tell whether nothing sticks out at the side."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth") <= self.width)

    def shoot(self, folder: Path, name: str, *, whole: bool = True) -> None:
        """Keep a picture: in `folder`, or where OPENMM_SHOTS says."""
        kept = Path(os.environ.get("OPENMM_SHOTS") or folder)
        kept.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=kept / f"{name}-{self.name}.png", full_page=whole)

    def close(self) -> None:
        """Close the window."""
        self._context.close()
