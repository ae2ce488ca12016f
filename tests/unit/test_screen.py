"""The demo's output reads from top to bottom: an answer is never broken up by what is heard meanwhile."""

import io

import pytest
from rich.console import Console

from ops.screen import Screen

pytestmark = pytest.mark.unit


@pytest.fixture
def paper():
    return io.StringIO()


@pytest.fixture
def screen(paper):
    return Screen(Console(file=paper, width=40))


def answer(index: int, content: str, **fields) -> dict:
    return {"type": "answer", "stream_index": index, "content": content, "attempt": 100, "final": False, **fields}


def test_pieces_appear_at_once_and_lines_wait_until_the_answer_is_whole(screen, paper):
    screen.show({"type": "status", "stage": "analyzing", "question": "Why [not]?"})
    screen.show(answer(0, "Because "))
    screen.heard("Ann", "Next.")
    assert paper.getvalue() == "? Why [not]?\n> Because "
    screen.show(answer(1, "of that."))
    screen.show(answer(2, "", final=True, sources=[{"n": 1, "title": "Record", "heading": "Item 2"}]))
    assert paper.getvalue().splitlines()[1:] == ["> Because of that.", "    [1] Record, Item 2", "  Ann: Next."]


def test_sources_that_the_answer_names_itself_are_not_named_again(screen, paper):
    screen.show(answer(0, "So. [1]\n\n[1] Record"))
    screen.show(answer(1, "", final=True, sources=[{"n": 1, "title": "Record"}, {"n": 2, "title": "Minutes"}]))
    assert paper.getvalue().splitlines() == ["> So. [1]", "  ", "  [1] Record", "    [2] Minutes"]


def test_a_second_attempt_starts_a_line_of_its_own(screen, paper):
    screen.show(answer(0, "Bec"))
    screen.show(answer(0, "Because.", attempt=101, final=True))
    assert paper.getvalue() == "> Bec\n> (again) Because.\n"


def test_an_error_in_an_answer_ends_its_line(screen, paper):
    screen.show(answer(0, "Bec"))
    screen.show({"type": "error", "code": "RAG_ERROR", "message": "gone"})
    screen.show({"type": "status", "stage": "idle"})
    assert paper.getvalue() == "> Bec\n! RAG_ERROR: gone\n"


def test_a_sentence_passed_over_is_short_and_has_its_reason(screen, paper):
    screen.show({"type": "status", "stage": "waiting_for_question", "text": "so " * 40, "reason": "no mark"})
    (line,) = paper.getvalue().splitlines()
    assert line.endswith("… (no mark)")
    assert len(line) < 80
