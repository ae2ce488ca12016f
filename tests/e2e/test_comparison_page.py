"""The comparison of two runs in a real browser without a network: what was added, dropped and answered otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import ViewportSize, expect

from ops.comparison_page import page
from pipeline.comparison import compare
from tests.chromium import chromium

pytestmark = pytest.mark.e2e

PHONE = ViewportSize(width=390, height=800)


def result(of: str, question: str, content: str) -> dict[str, Any]:
    metadata = {"question_id": f"run/{of}", "replay_of": of, "timings": {"total": 1.5}}
    told = {"status": "completed", "question": question, "content": content, "error": None, "usage": {"tokens": 7}}
    return {**told, "metadata": metadata}


BEFORE = [
    result("call/1.5", "When does it leave?", "At ten."),
    result("call/2.5", "Who pays?", "You do. https://example.org/" + "a" * 200),
    result("call/3.5", "Is it far?", "No."),
]
AFTER = [
    result("call/1.5", "When does it leave?", "At half past ten."),
    result("call/3.5", "Is it far?", "No."),
    result("call/4.5", "And <b>gifts</b>?", "<script>document.title = 'taken'</script>"),
]


async def test_a_reader_without_a_network_finds_what_differs(tmp_path: Path) -> None:
    file = tmp_path / "diff.html"
    file.write_text(page("before", "after", compare(BEFORE, AFTER)), encoding="utf-8")
    async with chromium() as browser, await browser.new_context(offline=True, viewport=PHONE) as context:
        shown, requests = await context.new_page(), []
        shown.on("request", lambda request: requests.append(request.url))
        await shown.goto(file.as_uri())
        assert (await shown.title(), requests) == ("before → after", [file.as_uri()])
        await expect(
            shown.get_by_text("1 questions dropped, 1 added, 1 answered otherwise, 1 the same")
        ).to_be_visible()
        changed, dropped, added = (shown.locator(f"article.{kind}") for kind in ("changed", "dropped", "added"))
        await expect(changed.get_by_role("heading")).to_have_text(["When does it leave?"])
        await expect(changed.locator("ins")).to_have_text(["half past"], use_inner_text=True)
        await expect(changed.locator("del")).to_have_count(0)
        await expect(dropped.get_by_role("heading")).to_have_text(["Who pays?"])
        await expect(added.get_by_role("heading")).to_have_text(["And <b>gifts</b>?"])
        await expect(added).to_contain_text("<script>document.title = 'taken'</script>")
        await expect(shown.get_by_role("row", name="tokens 21 21")).to_be_visible()
        assert await shown.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
