"""The console page in a real Chromium: real sockets, and the messages that the real client's view makes of records."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from tests.chromium import CONNECTED, chromium, console
from tests.played_gateway import PlayedGateway, serving
from topics.messages import Begin, Done, Piece, Verdict

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def gateway() -> PlayedGateway:
    return PlayedGateway()


@pytest_asyncio.fixture(loop_scope="module")
async def origin(gateway: PlayedGateway) -> AsyncIterator[str]:
    async with serving(gateway) as origin:
        yield origin


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, origin: str) -> AsyncIterator[Page]:
    async with console(browser, origin) as page:
        yield page


SOURCES = [
    {
        "n": 1,
        "title": "Opening hours",
        "heading": "Summer",
        "file": "hours.md",
        "lines": "L3-L4",
        "text": "Open until nine.",
    }
]


def line(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Say something")


async def say(page: Page, text: str) -> None:
    await line(page).fill(text)
    await line(page).press("Enter")


async def test_a_typed_line_goes_out_as_interims_and_one_final_chunk_of_the_same_segment(
    page: Page, gateway: PlayedGateway
) -> None:
    await line(page).fill("When does")
    await gateway.came(text="When does", is_final=False)
    await expect(page.locator(".chunk.interim")).to_contain_text("When does")
    await say(page, "When does it open?")
    [final] = await gateway.came(text="When does it open?", is_final=True)
    assert {frame["segment_id"] for frame in gateway.frames} == {final["segment_id"]}
    assert len({frame["id"] for frame in gateway.frames}) == len(gateway.frames)
    await expect(page.locator(".chunk")).to_have_count(1)
    await expect(page.locator(".chunk.final.stored .mark")).to_have_attribute("aria-label", "stored")


async def test_an_answer_streams_and_its_citation_opens_the_passage(page: Page, gateway: PlayedGateway) -> None:
    question = page.locator(".question")
    await gateway.write(7, Begin(question="When does it close?", attempt=100))
    await expect(question.locator(".stage")).to_have_text("searching")
    await gateway.write(7, Piece(attempt=100, index=0, text="It closes "))
    await expect(question.locator(".text")).to_contain_text("It closes")
    await gateway.write(7, Piece(attempt=100, index=1, text="at nine [1].\n\n[1] Opening hours (hours.md#L3-L4)"))
    await gateway.write(7, Done(attempt=100, index=2, why="ok", provider="local", sources=SOURCES))
    await expect(question.locator(".stage")).to_have_text("answered")
    await expect(question.locator(".text")).to_have_text("It closes at nine 1.")
    await expect(question.locator(".timeline li.reached")).to_have_count(4)
    await expect(question.get_by_text("Open until nine.")).to_be_hidden()
    await question.get_by_role("button", name="Source 1: Opening hours").click()
    await expect(question.get_by_text("Open until nine.")).to_be_visible()
    await expect(question.locator("summary").first).to_contain_text("Opening hours › Summer")
    await expect(question.locator(".place")).to_have_text("hours.md · L3-L4")


async def test_a_sentence_passed_over_shows_its_reason_and_score(page: Page, gateway: PlayedGateway) -> None:
    await gateway.write(3, Verdict(kind="not_a_question", text="Good morning.", score=0.04, reason="a greeting"))
    passed = page.locator(".passed li")
    await expect(passed).to_contain_text("Good morning.")
    await expect(passed).to_contain_text("a greeting")
    await expect(passed).to_contain_text("0.04")


async def test_the_buttons_send_pause_resume_ask_now_cancel_and_stop(page: Page, gateway: PlayedGateway) -> None:
    await page.get_by_role("button", name="Pause").click()
    await gateway.came(type="control", action="pause")
    await say(page, "Not for you.")
    await expect(page.locator(".chunk.paused .fate")).to_have_text("not heard: paused")
    await page.get_by_role("button", name="Resume").click()
    await gateway.came(action="resume")
    await page.get_by_role("button", name="Ask now").click()
    await gateway.came(action="instant_query")
    await gateway.write(5, Begin(question="Why?", attempt=100, mode="instant"))
    await page.get_by_role("button", name="Cancel answer").click()
    [cancel] = await gateway.came(action="cancel")
    assert cancel["question_id"] == f"{gateway.session}/5.1"
    await gateway.write(5, Done(attempt=100, index=0, why="cancelled"))
    await expect(page.locator(".question .stage")).to_have_text("cancelled")
    await page.get_by_role("button", name="Stop session").click()
    await gateway.came(action="stop")
    await expect(page.get_by_role("status")).to_contain_text("session ended")
    await page.get_by_role("button", name="New session").click()
    await expect(page.get_by_role("status")).to_contain_text(CONNECTED)
    assert "session_id" not in gateway.queries[-1]


async def test_a_cut_in_the_middle_of_an_answer_resumes_at_the_cursor(page: Page, gateway: PlayedGateway) -> None:
    await gateway.write(7, Begin(question="When?", attempt=100), Piece(attempt=100, index=0, text="At "))
    await expect(page.locator(".question .text")).to_contain_text("At")
    await gateway.cut()
    await gateway.write(7, Piece(attempt=100, index=1, text="nine"), live=False)
    await expect(page.locator(".question .text")).to_have_text("At nine")
    assert gateway.queries[-1] == {"session_id": gateway.session, "cursor": "c3", "lang": "auto"}
    await gateway.write(7, Done(attempt=100, index=2, why="ok"))
    await expect(page.locator(".question .text")).to_have_text("At nine")
    await expect(page.locator(".question .stage")).to_have_text("answered")


async def test_a_chunk_that_was_not_stored_is_sent_again_with_its_id_and_keeps_its_place(
    page: Page, gateway: PlayedGateway
) -> None:
    gateway.refusals = ["SERVICE_UNAVAILABLE"]
    await say(page, "First.")
    await say(page, "Second.")
    await gateway.came(text="Second.", is_final=True)
    finals = [frame for frame in gateway.frames if frame["is_final"]]
    assert [frame["text"] for frame in finals] == ["First.", "First.", "Second."]
    assert finals[0]["id"] == finals[1]["id"]
    await expect(page.locator(".chunk.stored")).to_have_count(2)


async def test_a_chunk_without_an_ack_at_a_cut_is_sent_again_with_its_id(page: Page, gateway: PlayedGateway) -> None:
    gateway.silent = True
    await say(page, "Did you get this?")
    [lost] = await gateway.came(text="Did you get this?", is_final=True)
    gateway.silent = False
    await gateway.cut()
    assert await gateway.came(2, text="Did you get this?", is_final=True) == [lost, lost]
    await expect(page.locator(".chunk.stored")).to_have_count(1)


async def test_a_pause_is_told_to_the_next_connection_before_anything_is_said(
    page: Page, gateway: PlayedGateway
) -> None:
    await page.get_by_role("button", name="Pause").click()
    await expect(page.get_by_role("button", name="Resume")).to_be_visible()
    await gateway.cut()
    await gateway.came(2, action="pause")
    await expect(page.get_by_role("status")).to_contain_text("paused")


async def test_an_answer_started_again_replaces_what_came_before(page: Page, gateway: PlayedGateway) -> None:
    await gateway.write(7, Begin(question="When?", attempt=100), Piece(attempt=100, index=0, text="It was a long text"))
    await gateway.write(7, Begin(question="When?", attempt=200))
    await expect(page.locator(".retrying")).to_be_visible()
    await gateway.write(7, Piece(attempt=200, index=0, text="Short"), Done(attempt=200, index=1, why="ok"))
    await expect(page.locator(".question .text")).to_have_text("Short")
    await expect(page.locator(".retrying")).to_have_count(0)


async def test_no_answer_and_failures_are_told_apart_from_answers(page: Page, gateway: PlayedGateway) -> None:
    await gateway.write(1, Begin(question="Who?", attempt=100), Done(attempt=100, index=0, why="ok", found=False))
    await gateway.write(2, Begin(question="What?", attempt=100))
    await gateway.write(2, Done(attempt=100, index=0, why="error", error="the provider is down"))
    await expect(page.locator(".question.not_found .stage")).to_have_text("no answer found")
    await expect(page.locator(".question.not_found .no-answer")).to_contain_text("nothing close enough")
    await expect(page.locator(".question.failed .problem")).to_have_text("RAG_ERROR: the provider is down")
    await gateway.send({"type": "error", "code": "NO_FINAL_ASR", "message": "say something first"})
    await expect(page.locator(".notices li")).to_contain_text("NO_FINAL_ASR say something first")


async def test_a_refused_chunk_shows_the_code_and_the_next_one_goes_out(page: Page, gateway: PlayedGateway) -> None:
    gateway.refusals = ["INVALID_MESSAGE"]
    await say(page, "Bad.")
    await say(page, "Good.")
    await expect(page.locator(".chunk.failed .fate")).to_have_text("INVALID_MESSAGE: as the test wants it")
    await expect(page.locator(".chunk.stored")).to_contain_text("Good.")


async def test_a_pasted_conversation_is_said_line_by_line_with_its_speakers(page: Page, gateway: PlayedGateway) -> None:
    await page.get_by_role("button", name="Play a conversation").click()
    await page.get_by_role("textbox", name="One line per utterance").fill(
        "Ann: Hello.\nIt is 10:30 now.\n李雷：几点关门？"
    )
    await page.get_by_label("Speed").select_option("at once")
    await page.get_by_role("button", name="Play", exact=True).click()
    await gateway.came(text="几点关门？", is_final=True)
    said = [(frame.get("speaker"), frame["text"]) for frame in gateway.frames]
    assert said == [("Ann", "Hello."), (None, "It is 10:30 now."), ("李雷", "几点关门？")]


async def test_a_played_conversation_grows_word_by_word_and_waits_while_paused(
    page: Page, gateway: PlayedGateway
) -> None:
    said = "We opened the new library in the spring, after two years of work."
    await page.get_by_role("button", name="Play a conversation").click()
    await page.get_by_role("textbox", name="One line per utterance").fill(f"Ann: {said}\nBob: When does it close?")
    await page.get_by_label("Speed").select_option("5×")
    await page.get_by_role("button", name="Play", exact=True).click()
    await gateway.came(is_final=False)
    await page.get_by_role("button", name="Pause").click()
    await gateway.came(action="pause")
    await page.get_by_role("button", name="Resume").click()
    await gateway.came(text="When does it close?", is_final=True)
    heard = [frame["text"] for frame in gateway.frames if frame.get("speaker") == "Ann"]
    assert heard[-1] == said and len(heard) > 2
    assert all(said.startswith(text) for text in heard) and heard == sorted(set(heard))
    await expect(page.locator(".chunk.paused")).to_have_count(0)


async def test_a_list_stands_still_for_its_reader_until_he_asks_for_the_newest(
    page: Page, gateway: PlayedGateway
) -> None:
    await page.set_viewport_size({"width": 1000, "height": 500})
    newest, latest = page.get_by_role("button", name="Newest"), page.locator(".passed li").last

    async def tell(offsets: range) -> None:
        for offset in offsets:
            await gateway.write(
                offset, Verdict(kind="not_a_question", text=f"Sentence {offset}.", reason="a statement")
            )

    await tell(range(20))
    await expect(latest).to_be_in_viewport()
    await latest.hover()
    await page.mouse.wheel(0, -300)
    await expect(newest).to_be_visible()
    await tell(range(20, 40))
    await expect(latest).to_contain_text("Sentence 39.")
    await expect(latest).not_to_be_in_viewport()
    await newest.click()
    await expect(latest).to_be_in_viewport()
    await expect(newest).to_have_count(0)


async def test_markup_in_an_answer_stays_text(page: Page, gateway: PlayedGateway) -> None:
    markup = "<img src=x onerror=alert(1)><b>bold</b>"
    await gateway.write(7, Begin(question=markup, attempt=100), Piece(attempt=100, index=0, text=markup))
    await expect(page.locator(".question .text")).to_have_text(markup)
    await expect(page.locator(".question img")).to_have_count(0)


async def test_a_narrow_page_has_no_sideways_scroll_and_the_words_change_to_chinese(page: Page) -> None:
    await page.set_viewport_size({"width": 360, "height": 700})
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.get_by_role("button", name="中文").click()
    await expect(page.get_by_role("heading", name="问题与答案")).to_be_visible()


async def test_the_reducer_takes_each_piece_once_and_never_from_an_older_attempt(page: Page) -> None:
    answers = await page.evaluate("""async () => {
        const { NOTHING_YET, reduce } = await import("/console/reducer.js");
        const piece = (attempt, stream_index, content) =>
            ({type: "answer", question_id: "q", attempt, stream_index, content});
        const fold = (messages) => messages.reduce(
            (state, message) => reduce(state, {kind: "received", message, at: 0}), NOTHING_YET).questions[0].answer;
        return [
            fold([piece(100, 0, "a"), piece(100, 1, "b"), piece(100, 1, "b"), piece(100, 0, "a")]),
            fold([piece(100, 0, "a"), piece(200, 0, "z"), piece(100, 1, "b")]),
        ];
    }""")
    assert answers == ["ab", "z"]


async def test_a_cursor_of_a_log_that_is_gone_is_not_brought_again(page: Page, gateway: PlayedGateway) -> None:
    await gateway.cut()
    await expect(page.get_by_role("button", name="resumed")).to_be_visible()
    refused = {"type": "error", "code": "INVALID_MESSAGE", "message": "unusable", "details": {"field": "cursor"}}
    await gateway.send(refused)
    await expect(page.locator(".notices li")).to_contain_text("INVALID_MESSAGE")
    await gateway.cut()
    await gateway.connected(3)
    assert gateway.queries[-1] == {"session_id": gateway.session, "lang": "auto"}


async def test_every_stage_of_the_protocol_has_words_in_both_languages(page: Page) -> None:
    stages = await page.evaluate("""async () => {
        const { WORDS } = await import("/console/words.js");
        return Object.values(WORDS).map((words) => Object.keys(words.stages).sort());
    }""")
    told = "listening paused waiting_for_question analyzing instant_query querying_rag interrupting idle closed"
    assert stages == [sorted(told.split())] * 2
