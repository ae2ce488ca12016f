"""What the comparison of two runs says of their results, and the page that shows it."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from ops.comparison_page import page
from pipeline.comparison import compare, place_in, word_diff

pytestmark = pytest.mark.unit


def result(of: str, question: str = "When?", content: str = "At ten.", **more: Any) -> dict[str, Any]:
    """A result as the API gives it; `of` is the public id that it had live."""
    metadata = {
        "question_id": "run/x/999.0",
        "session_id": "run/x",
        "replay_of": of,
        "timings": more.pop("timings", {}),
    }
    told = {"status": "completed", "question": question, "content": content, "error": None, "usage": None}
    return {**told, "metadata": metadata, **more}


def own(question_id: str, question: str) -> dict[str, Any]:
    """A result of a run that is no replay."""
    found = result("", question)
    found["metadata"] = {"question_id": question_id, "session_id": question_id.rpartition("/")[0]}
    return found


def test_runs_with_the_same_answers_do_not_differ_whatever_their_order() -> None:
    results = [result("call/1.5"), result("call/3.0", "How much?"), result("other/1.5")]
    comparison = compare(results, list(reversed(results)))
    assert not comparison.differs and comparison.same == 3


def test_what_only_one_run_has_is_dropped_or_added_in_the_order_of_the_log() -> None:
    comparison = compare([result("call/10.0"), result("call/9.5"), result("b/1.1")], [result("b/1.1"), result("c/1.1")])
    assert [place_in(one) for one in comparison.dropped] == ["call/9.5", "call/10.0"]
    assert [place_in(one) for one in comparison.added] == ["c/1.1"]


@pytest.mark.parametrize("change", [{"question": "Who?"}, {"content": "At six."}, {"status": "failed", "error": "no"}])
def test_another_question_answer_or_end_is_a_change(change: dict[str, Any]) -> None:
    comparison = compare([result("call/1.5")], [result("call/1.5") | change])
    assert (len(comparison.changed), comparison.same) == (1, 0)


def test_runs_that_are_no_replays_are_matched_by_session_and_order() -> None:
    before = [own("one/7/30.0", "Second?"), own("one/7/20.0", "First?"), own("one/8/21.0", "Other?")]
    after = [own("two/7/520.0", "First?"), own("two/7/530.0", "Second!"), own("two/8/521.0", "Other?")]
    comparison = compare(before, after)
    assert [(one["question"], two["question"]) for one, two in comparison.changed] == [("Second?", "Second!")]
    assert comparison.same == 2 and not comparison.added and not comparison.dropped


def test_latency_and_usage_are_summed_up_for_each_run() -> None:
    results = [
        result(
            f"call/{number}.0", timings={"total": number / 10, "first_piece": 0.1}, usage={"total_tokens": 5, "of": "x"}
        )
        for number in range(1, 21)
    ]
    summary = compare(results, [result("call/1.0", status="failed")]).before
    assert (summary.answers, summary.total, summary.first_piece) == (20, (1.1, 1.9), (0.1, 0.1))
    assert summary.usage == {"total_tokens": 100}
    assert compare([], [result("call/1.0", status="failed")]).after[1:3] == (1, None)


@pytest.mark.parametrize(
    ("before", "after"),
    [("", "a"), ("a b", ""), ("退款要三天。", "退款要五天。"), ("word " * 4000, "x"), ("a\n b", "a b")],
)
def test_a_diff_holds_both_texts_whole(before: str, after: str) -> None:
    parts = list(word_diff(before, after))
    assert "".join(text for op, text in parts if op != "insert") == before
    assert "".join(text for op, text in parts if op != "delete") == after


def test_texts_of_little_in_common_stand_one_behind_the_other() -> None:
    before, after = "The provider did not answer in time.", "Only if it is broken, and you need the receipt."
    assert list(word_diff(before, after)) == [("delete", before), ("insert", after)]
    assert list(word_diff("Four crowns.", "Five crowns."))[-1] == ("equal", " crowns.")


def test_chinese_is_compared_by_character() -> None:
    assert list(word_diff("要三天", "要五天"))[1:3] == [("delete", "三"), ("insert", "五")]


class Links(HTMLParser):
    """Gathers every tag with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_fetches_nothing_and_runs_nothing_whatever_was_said() -> None:
    evil = '<script src="https://example.org/x.js"></script><img src=x onerror=alert(1)> & "q"'
    before = [result("a/1.0", evil, evil), result("a/2.0", "Changed?", "one"), result("a/4.0", "Gone?")]
    after = [result("a/2.0", "Changed?", evil), result("a/3.0", evil, evil), result('<b a="/5.0', "New?")]
    before[0]["usage"] = {"<i>": 1}
    after[2]["metadata"]["replay_of"] = '<b a="x/5.0'
    html = page('<run a="1">', "run&b", compare(before, after))
    links = Links()
    links.feed(html)
    names = {tag for tag, _ in links.tags}
    assert names <= set(
        [
            "html",
            "meta",
            "title",
            "style",
            "h1",
            "h2",
            "h3",
            "p",
            "small",
            "table",
            "tr",
            "th",
            "td",
            "article",
            "ins",
            "del",
        ]
    )
    allowed = {"lang", "charset", "class", "name", "content"}
    assert {name for _, attributes in links.tags for name in attributes} <= allowed
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style and "@import" not in style
    assert "Gone?" in html and "New?" in html and "&lt;script" in html
