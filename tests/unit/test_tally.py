"""A demo run is counted right: which final completed a question, what became of it, and when all is said and done."""

import pytest

from ops.tally import Asked, Heard, Result, Tally, summary_line

pytestmark = pytest.mark.unit


def status(stage: str, **fields) -> dict:
    return {"type": "status", "stage": stage, **fields}


def answer(question_id: str, index: int, content: str = "", final: bool = False, **fields) -> dict:
    place = {"question_id": question_id, "stream_index": index}
    return {"type": "answer", **place, "content": content, "final": final, **fields}


def test_a_text_is_completed_by_the_final_that_holds_its_last_word():
    heard = Heard()
    for at, text in enumerate(["Good. And how will", "you monitor it? Thank", "you."]):
        heard.add(text, at)
    assert heard.judge("And how will you monitor it?") == 1
    assert heard.judge("Thank you.") == 2
    assert not heard.whole
    assert heard.judge("Good.") == 0
    assert heard.whole


def test_what_was_said_twice_is_judged_twice_and_in_order():
    heard = Heard()
    heard.add("再见。", 1.0)
    heard.add("再见。", 2.0)
    assert [heard.judge("再见"), heard.judge("再见。"), heard.judge("再见。")] == [1.0, 2.0, None]


def test_words_that_the_service_drops_from_a_question_are_judged_with_it():
    heard = Heard()
    heard.add("And just finally, what is the plan? Thank you.", 1.0)
    assert heard.judge("what is the plan?", asks=True) == 1.0
    assert not heard.whole
    heard.judge("Thank you.")
    assert heard.whole


def test_a_text_that_was_not_said_and_a_text_without_words_have_no_final():
    heard = Heard()
    heard.add("So, why not?", 1.0)
    assert (heard.judge("Why is Wales not taking part?"), heard.judge("?!")) == (None, None)
    assert not heard.whole


def test_the_wait_runs_from_the_completing_final_to_the_first_piece():
    tally = Tally()
    tally.sent("Where is", 1.0)
    tally.sent("it? Here.", 2.0)
    for at, message in [
        (2.1, status("waiting_for_question", text="Here.")),
        (2.2, status("analyzing", question="Where is it?", question_id="s/1")),
        (2.25, answer("s/1", 0, "It is")),
        (2.5, answer("s/1", 1, " here.")),
        (2.6, answer("s/1", 2, final=True, sources=[{"n": 1, "title": "a"}])),
    ]:
        tally.received(message, at)
        assert not tally.finished
    tally.received(status("idle", question_id="s/1"), 2.7)
    assert tally.finished
    assert list(tally.result().passed_over) == ["Here."]
    assert summary_line([tally.result()]) == (
        "questions 1 · answers 1 · no answer found 0 · median time from final chunk to first answer piece 250 ms"
    )


@pytest.mark.parametrize(
    ("final", "outcome"),
    [
        ({"sources": [{"n": 1}], "found": True}, "answered"),
        ({"sources": [], "found": True}, "answered"),
        ({"sources": [{"n": 1}], "found": False}, "not found"),
        ({"sources": []}, "not found"),
        ({}, "not found"),
        ({"sources": [{"n": 1}]}, "answered"),
    ],
)
def test_found_says_whether_there_is_an_answer_and_sources_where_it_is_missing(final, outcome):
    tally = Tally()
    tally.received(status("analyzing", question="Why?", question_id="q"), 0)
    tally.received(answer("q", 0, "text", final=True, **final), 1)
    assert tally.asked["q"].outcome == outcome


def test_a_second_attempt_keeps_the_time_of_the_first_piece_that_was_shown():
    tally = Tally()
    tally.received(status("analyzing", question="Why?", question_id="q"), 0)
    tally.received(answer("q", 0, "Bec", attempt=100), 1)
    tally.received(answer("q", 0, "Because.", attempt=200), 5)
    assert tally.asked["q"].first_piece_at == 1


def test_errors_and_an_idle_without_an_answer_make_a_question_fail():
    tally = Tally()
    for name in ("a", "b"):
        tally.received(status("analyzing", question="Why?", question_id=name), 0)
    tally.received({"type": "error", "code": "RAG_ERROR", "message": "no model", "question_id": "a"}, 1)
    tally.received(status("idle", question_id="a"), 1)
    tally.received(status("idle", question_id="b"), 1)
    result = tally.result()
    assert [asked.outcome for asked in result.asked] == ["failed", "failed"]
    assert result.faults == ("RAG_ERROR: no model",)
    assert result.exit_code == 1
    assert summary_line([result]).startswith("questions 2 · answers 0 · no answer found 0 · failed 2 · ")


def test_a_refused_chunk_is_no_fault_because_it_is_sent_again():
    tally = Tally()
    tally.received({"type": "error", "code": "SERVICE_UNAVAILABLE", "message": "later", "id": "c1"}, 0)
    assert tally.result().exit_code == 0


def test_a_run_is_plausibly_over_with_as_many_outcomes_as_finals_that_end_a_sentence():
    tally = Tally()
    for text in ("One.", "And two", "more. Three!", "四吗？"):
        tally.sent(text, 0)
    for text in ("x", "y"):
        tally.received(status("waiting_for_question", text=text), 1)
        assert not tally.plausible
    tally.received(status("analyzing", question="z", question_id="q"), 1)
    assert tally.plausible
    assert tally.running


def test_runs_are_summed_in_one_line():
    first = Result([Asked("a", 1.0, 1.1, "answered"), Asked("b", 1.0, 1.3, "not found")])
    second = Result([Asked("c", 2.0, 2.2, "answered"), Asked("d", None, 2.2, "answered")])
    assert summary_line([first, second]) == (
        "questions 4 · answers 3 · no answer found 1 · median time from final chunk to first answer piece 200 ms"
    )
    assert summary_line([Result()]).endswith("first answer piece none measured")
