"""Knowledge documents: Markdown and plain text in, passages of units with their lines out."""

from __future__ import annotations

import doctest
import importlib

import pytest

from pipeline.providers.extracts import extracts
from pipeline.providers.index import Hit
from pipeline.providers.knowledge import PASSAGE_WIDTH, Passage, passages
from pipeline.providers.units import MAX_UNIT_CHARS, Unit, sentences
from pipeline.providers.words import width

pytestmark = pytest.mark.unit


def units(text: str, file: str = "doc.md") -> list[Unit]:
    return [unit for passage in passages(text, file) for unit in passage.units]


@pytest.mark.parametrize("module", ["words", "units", "markdown", "knowledge", "local"])
def test_the_examples_in_the_docstrings_are_true(module: str) -> None:
    tried = doctest.testmod(importlib.import_module(f"pipeline.providers.{module}"))
    assert tried.attempted > 0
    assert tried.failed == 0


def test_the_title_is_the_front_matter_or_the_first_heading_or_the_name_of_the_file() -> None:
    assert passages('---\ntitle: "From above"\n---\n# Heading\n\nText.', "x.md")[0].title == "From above"
    assert passages("# Heading\n\nText.", "x.md")[0].title == "Heading"
    assert passages("Text.", "a/first-steps_2.txt")[0].title == "first steps 2"


def test_front_matter_keeps_the_line_numbers_and_is_no_text() -> None:
    assert [(unit.text, unit.first) for unit in units("---\ntitle: T\nx: y\n---\n\nText.")] == [("Text.", 6)]


def test_the_path_of_headings_is_kept_for_each_section() -> None:
    text = "# T\n\nIntro.\n\n## A\n\nOne.\n\n### B\n\nTwo.\n\n## C\n\nThree."
    assert [(p.heading, p.text) for p in passages(text, "x.md")] == [
        ("", "Intro."),
        ("A", "One."),
        ("A > B", "Two."),
        ("C", "Three."),
    ]


def test_items_of_an_inner_list_are_introduced_by_the_item_around_them() -> None:
    found = units("Do this:\n\n1. Open the door.\n   - with a key\n   - with a code\n2. Go in.")
    assert [(unit.text, unit.lead) for unit in found[1:]] == [
        ("1. Open the door.", "Do this:"),
        ("with a key", "Open the door."),
        ("with a code", "Open the door."),
        ("2. Go in.", "Do this:"),
    ]


def test_a_list_item_of_many_sentences_is_cut_into_them() -> None:
    found = units("- " + "This is one of many sentences. " * 20)
    assert [unit.text for unit in found] == ["This is one of many sentences."] * 20


def test_a_row_holds_its_header_and_its_own_line() -> None:
    found = units("| Plan | Seats |\n|---|---|\n| Team | 25 |\n| Solo | |")
    assert [(unit.text, unit.first, unit.last) for unit in found] == [
        ("Plan: Team; Seats: 25", 3, 3),
        ("Plan: Solo", 4, 4),
    ]


def test_code_is_kept_as_it_stands_a_few_lines_a_unit() -> None:
    found = units("```python\n" + "\n".join(f"  line_{n}()" for n in range(8)) + "\n```")
    assert [(unit.kind, unit.first, unit.last) for unit in found] == [("code", 2, 7), ("code", 8, 9)]
    assert found[1].text == "line_6()\nline_7()"


def test_markup_and_html_stay_behind() -> None:
    found = units("**Bold** and [a link](http://x.example) <i>here</i> ![picture](p.png)\n\n<p>In *a* block</p>")
    assert [unit.text for unit in found] == ["Bold and a link here picture", "In a block"]


def test_a_paragraph_of_plain_text_is_cut_into_sentences_with_their_lines() -> None:
    found = units("First one. Second\none ends here.\n\nAfter a gap.", "x.txt")
    assert [(unit.text, unit.first, unit.last) for unit in found] == [
        ("First one.", 1, 1),
        ("Second one ends here.", 1, 2),
        ("After a gap.", 4, 4),
    ]


def test_a_text_without_any_punctuation_is_cut_between_words() -> None:
    found = list(sentences("word " * 500, 1))
    assert all(len(unit.text) <= MAX_UNIT_CHARS for unit in found)
    assert " ".join(unit.text for unit in found).split() == ["word"] * 500


def test_a_long_section_becomes_several_passages_and_loses_nothing() -> None:
    text = "# T\n\n" + " ".join(f"Sentence number {n} is here." for n in range(200))
    found = passages(text, "x.md")
    assert all(sum(width(unit.text) for unit in passage.units) <= PASSAGE_WIDTH for passage in found)
    assert [unit.text for passage in found for unit in passage.units] == [
        f"Sentence number {n} is here." for n in range(200)
    ]


def hit(*told: str, score: float = 1.0) -> Hit:
    line = [Unit("sentence", text, n, n) for n, text in enumerate(told, start=1)]
    return Hit(Passage("x.md", "T", "", line), score, matched=2, weight=1.0, headed=0.0, coverage=1.0)


def test_an_extract_is_the_best_sentence_with_its_neighbours_within_the_limit() -> None:
    long = "Nothing of interest stands in this one, however long it is."
    [found] = extracts([hit(long, long, "The crane is red.", "It is new.", long)], {"crane": 1.0}, limit=40)
    assert (found.text, found.first, found.last) == ("The crane is red. It is new.", 3, 4)


def test_the_answer_to_a_recorded_question_is_quoted_without_the_question() -> None:
    [found] = extracts([hit("When does the crane come?", "In March.", "And the fence?")], {"crane": 1.0, "come": 1.0})
    assert found.text == "In March."


def test_the_same_words_are_quoted_once() -> None:
    assert len(extracts([hit("The crane is red."), hit("The crane is red.", score=0.9)], {"crane": 1.0})) == 1


def test_a_much_weaker_passage_is_not_quoted_beside_the_best() -> None:
    assert len(extracts([hit("The crane is red."), hit("A crane.", score=0.3)], {"crane": 1.0})) == 1


def section(text: str, heading: str = "") -> Hit:
    [passage] = passages(f"# T\n\n## {heading or 'H'}\n\n{text}", "x.md")
    return Hit(passage, 1.0, matched=2, weight=1.0, headed=1.0, coverage=1.0)


def test_a_section_whose_heading_is_what_was_asked_is_quoted_from_its_beginning() -> None:
    text = "Open the menu first. " + "Then look at something else. " * 8 + "Confirm it at last."
    [found] = extracts([section(text, "Freeze the rows")], {"freez": 0.7, "row": 0.4}, limit=60)
    assert found.text.startswith("Open the menu first.")


def test_steps_are_quoted_with_their_introduction_from_the_first_one_on() -> None:
    text = (
        "Something else stands here first.\n\nTo add a crane:\n\n1. Open the yard.\n2. Choose a crane.\n3. Confirm it."
    )
    [found] = extracts([section(text)], {"add": 0.5, "crane": 0.5}, limit=70)
    assert found.text == "To add a crane:\n1. Open the yard.\n2. Choose a crane.\n3. Confirm it."


def test_a_quote_ends_before_the_next_question_of_a_record() -> None:
    [found] = extracts([hit("The crane is red.", "It is new.", "And the fence?", "It is green.")], {"crane": 1.0})
    assert found.text == "The crane is red. It is new."


LONG = "This one holds nothing of what is asked but belongs to the section and says so at length, word after word."


def test_a_section_that_fits_is_quoted_whole() -> None:
    told = [f"{LONG} {n}" for n in range(8)]
    [found] = extracts([hit(*told[:4], "The crane is red.", *told[4:])], {"crane": 1.0})
    assert (found.first, found.last) == (1, 9)


def test_the_best_section_is_widened_before_the_others() -> None:
    told = [f"{LONG} {n}" for n in range(6)]
    one, other = extracts([hit("The crane is red.", *told), hit("A crane is tall.", *told, score=0.9)], {"crane": 1.0})
    assert one.text.startswith("The crane is red.") and one.last == 7
    assert other.text.startswith("A crane is tall.") and other.last < 7


def test_a_stretch_amid_a_list_is_widened_to_its_first_item_first() -> None:
    items = "\n".join(f"{n}. Do step number {n} with great care." for n in range(1, 10))
    text = f"Steps:\n\n{items}\n10. Start the crane."
    [found] = extracts([section(text)], {"crane": 1.0}, limit=420)
    assert found.text.startswith("Steps:\n1. Do step number 1")
    assert found.text.endswith("10. Start the crane.")


def test_a_quote_is_not_widened_beyond_a_question() -> None:
    [found] = extracts([hit("What else?", "The crane is red.", "And the fence?", "It is green.")], {"crane": 1.0})
    assert found.text == "The crane is red."
