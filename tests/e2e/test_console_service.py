"""The console page on the whole service: broker, stages and gateway as a user starts them, and a real Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from ops.up import up
from pipeline.settings import Settings
from tests.chromium import chromium, console

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

NOTE = "# Schools\n\n## Money\n\nRural schools get more money from the year 2030 on.\n"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def origin(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    folder: Path = tmp_path_factory.mktemp("console")
    knowledge = folder / "knowledge"
    knowledge.mkdir()
    (knowledge / "schools.md").write_text(NOTE, "utf-8")
    settings = Settings(data_path=folder / "data", knowledge_path=knowledge, drain_timeout=5.0, batch_enabled=False)
    async with up(settings, free_ports=True, log=None) as running:
        yield running.url


@pytest_asyncio.fixture(loop_scope="module")
async def page(origin: str) -> AsyncIterator[Page]:
    async with chromium() as browser, console(browser, origin) as page:
        yield page


async def test_a_conversation_becomes_passed_sentences_a_cited_answer_and_none_found(page: Page) -> None:
    said = page.get_by_role("textbox", name="Say something")
    for text in ("Good morning, everyone.", "When do rural schools get more money?", "Who invented the telephone?"):
        await said.fill(text)
        await said.press("Enter")
    await expect(page.locator(".chunk.stored")).to_have_count(3)
    await expect(page.locator(".passed li")).to_contain_text("Good morning, everyone.")
    await expect(page.locator(".passed .reason")).not_to_be_empty()
    answered, unknown = page.locator(".question").nth(0), page.locator(".question").nth(1)
    await expect(answered.locator(".text")).to_contain_text("Rural schools get more money from the year 2030 on.")
    await answered.get_by_role("button", name="Source 1: Schools").click()
    await expect(answered.locator("blockquote")).to_have_text("Rural schools get more money from the year 2030 on.")
    await expect(answered.locator(".place")).to_contain_text("schools.md")
    await expect(unknown.locator(".stage")).to_have_text("no answer found")


async def test_reconnect_ask_now_pause_and_stop_do_what_their_buttons_say(page: Page) -> None:
    said, status = page.get_by_role("textbox", name="Say something"), page.get_by_role("status")
    await said.fill("more money for rural schools")
    await said.press("Enter")
    await expect(page.locator(".chunk.stored")).to_have_count(1)
    await page.get_by_role("button", name="Ask now").click()
    await expect(page.locator(".question .stage")).to_have_text("answered")
    await page.get_by_role("button", name="Disconnect").click()
    await page.get_by_role("button", name="Reconnect").click()
    await expect(page.get_by_role("button", name="resumed")).to_be_visible()
    await expect(page.locator(".question")).to_have_count(1)
    await page.get_by_role("button", name="Pause").click()
    await expect(status).to_contain_text("paused")
    await said.fill("Not for you.")
    await said.press("Enter")
    await expect(page.locator(".chunk.paused")).to_have_count(1)
    await page.get_by_role("button", name="Stop session").click()
    await expect(status).to_contain_text("session ended")
