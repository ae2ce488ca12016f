"""PDF documents as knowledge: pages and bookmarks in, cited passages out; one that cannot be read stops no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ConfigurationError
from pipeline.providers import Asked, End, KnowledgeIndex, build_index
from pipeline.providers.files import knowledge_files, read
from pipeline.providers.knowledge import Passage
from pipeline.providers.local import LocalProvider
from tests.pdf_files import pdf

pytestmark = pytest.mark.unit

MANUAL = pdf(
    [
        [
            "Harbour manual - 1",
            "Cranes",
            "The crane lifts forty tonnes in calm",
            "weather. In a storm it stands still.",
        ],
        ["Harbour manual - 2", "1.2 Storms", "Storms are announced by a red", "lamp on the tower.", "Ships stay out."],
        ["Harbour manual - 3", "灯塔", "灯塔每十秒亮一次。雾天另有雾号。"],
    ],
    bookmarks=[("Cranes", 1), ("Storms", 2), ("灯塔", 3)],
    title="Harbour manual",
)


def knowledge(folder: Path, **files: bytes) -> Path:
    for name, content in files.items():
        (folder / f"{name}.pdf").write_bytes(content)
    return folder


def passages(folder: Path, content: bytes) -> list[Passage]:
    [file], _ = knowledge_files(knowledge(folder, manual=content))
    return read(file)


async def answer(index: Path, question: str) -> End:
    *_, end = [piece async for piece in LocalProvider(KnowledgeIndex(index)).stream(Asked(question))]
    assert isinstance(end, End)
    return end


def test_bookmarks_are_headings_lines_are_joined_to_sentences_and_page_headers_are_left_out(tmp_path: Path) -> None:
    found = passages(tmp_path, MANUAL)
    assert [(one.title, one.heading, [(unit.text, unit.first) for unit in one.units]) for one in found] == [
        (
            "Harbour manual",
            "Cranes",
            [("The crane lifts forty tonnes in calm weather.", 1), ("In a storm it stands still.", 1)],
        ),
        (
            "Harbour manual",
            "Storms",
            [("Storms are announced by a red lamp on the tower.", 2), ("Ships stay out.", 2)],
        ),
        ("Harbour manual", "灯塔", [("灯塔每十秒亮一次。", 3), ("雾天另有雾号。", 3)]),
    ]


def test_without_bookmarks_and_title_the_name_of_the_file_is_the_title(tmp_path: Path) -> None:
    [found] = passages(tmp_path, pdf([["The crane is red."]], title="Microsoft Word - x.docx"))
    assert (found.title, found.heading, found.text) == ("manual", "", "The crane is red.")


def test_lines_of_a_table_of_contents_are_left_out(tmp_path: Path) -> None:
    [found] = passages(tmp_path, pdf([["Cranes . . . . . . . . . 12", "The crane is red."]]))
    assert found.text == "The crane is red."


async def test_an_answer_from_a_pdf_cites_its_page(tmp_path: Path) -> None:
    build_index(knowledge(tmp_path, manual=MANUAL), tmp_path / "index")
    end = await answer(tmp_path / "index", "how do we know that a storm is announced")
    assert (end.sources[0]["file"], end.sources[0]["lines"]) == ("manual.pdf", "page=2")
    end = await answer(tmp_path / "index", "请问灯塔多久亮一次")
    assert end.sources[0]["text"].startswith("灯塔每十秒亮一次。")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pdf([["Secret."]], locked=True), "encrypted"),
        (MANUAL[: len(MANUAL) // 2].replace(b"obj", b"xxx"), "damaged"),
        (b"", "damaged"),
        (pdf([[]]), "only pictures"),
    ],
)
def test_a_pdf_that_cannot_be_read_is_named_with_the_reason_and_the_others_are_indexed(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    folder = knowledge(tmp_path, good=MANUAL, bad=content)
    report = build_index(folder, tmp_path / "index")
    assert [skipped.name for skipped in report.skipped] == ["bad.pdf"]
    assert reason in report.skipped[0].reason
    assert (report.added, len(KnowledgeIndex(tmp_path / "index").search("storm"))) == (1, 2)


def test_what_cannot_be_read_is_told_again_and_not_read_again(tmp_path: Path) -> None:
    folder = knowledge(tmp_path, good=MANUAL, bad=b"%PDF-")
    first = build_index(folder, tmp_path / "index")
    again = build_index(folder, tmp_path / "index")
    assert again.skipped == first.skipped
    assert (again.unchanged, again.added, again.updated) == (1, 0, 0)


def test_when_no_document_can_be_read_the_error_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"KNOWLEDGE_PATH=.*locked\.pdf: encrypted"):
        build_index(knowledge(tmp_path, locked=pdf([["Secret."]], locked=True)), tmp_path / "index")
