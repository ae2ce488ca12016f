"""A real Chromium for tests of the console page, and the page in it, watched for errors and foreign requests."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run", "--disable-quic"),
]
CONNECTED = re.compile(r"\bconnected")  # and not "disconnected"
MISSING = "the console page is tested in Chromium: install it (Debian: apt-get install chromium)"


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The machine's own Chromium; where there is none the test is skipped, in CI failed."""
    path = shutil.which("chromium") or shutil.which("/usr/bin/chromium")
    if path is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(MISSING)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()


@asynccontextmanager
async def console(browser: Browser, origin: str) -> AsyncIterator[Page]:
    """The console, connected; at the end nothing was asked of another host and no error stands in the browser's log."""
    page = await browser.new_page(locale="en-GB")
    page.set_default_timeout(10_000)
    wrong: list[str] = []
    page.on("console", lambda entry: wrong.append(entry.text) if entry.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(origin) else wrong.append(request.url))
    await page.goto(origin)
    await expect(page.get_by_role("status")).to_contain_text(CONNECTED)
    yield page
    await page.close()
    assert wrong == []
