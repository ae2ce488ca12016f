"""The real model of the extra `local-dense`: questions in words that the documents do not use; `make dense`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.providers import Asked, End, KnowledgeIndex, build_index
from pipeline.providers.e5 import E5Encoder
from pipeline.providers.local import LocalProvider

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
KNOWLEDGE = ROOT / "tests" / "data" / "knowledge"

DESCRIBED = [
    ("how much RAM does my computer have to have", "en/install.md", "4 GB"),
    ("do I get my money back when I end my subscription early", "en/plans.md", "paid back"),
    ("电脑配置最低要什么样的", "zh/install.md", "4 GB"),
    ("登不进去了，密码想不起来", "zh/install.md", "重置"),
    ("我不想用了，钱会还给我吗", "zh/plans.md", "全额退还"),
]
FOREIGN = [
    "how do I teach my dog to sit",
    "so who won the match last night",
    "what's a good recipe for lentil soup",
    "红烧肉怎么做才好吃",
    "明天上海会不会下雨",
    "um okay so what about it",
]


@pytest.fixture(scope="module")
def encoder() -> E5Encoder:
    return E5Encoder()


@pytest.fixture(scope="module")
def index(encoder: E5Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    build_index(KNOWLEDGE, folder, encoder)
    return folder


async def answer(index: KnowledgeIndex, question: str) -> End:
    *_, end = [piece async for piece in LocalProvider(index).stream(Asked(question))]
    assert isinstance(end, End)
    return end


@pytest.mark.parametrize(("question", "file", "fact"), DESCRIBED)
async def test_a_question_in_other_words_is_answered(
    index: Path, encoder: E5Encoder, question: str, file: str, fact: str
) -> None:
    end = await answer(KnowledgeIndex(index, encoder), question)
    assert end.sources[0]["file"] == file
    assert fact in " ".join(cited["text"] for cited in end.sources)


@pytest.mark.parametrize("question", FOREIGN)
async def test_a_question_about_something_else_has_no_answer(index: Path, encoder: E5Encoder, question: str) -> None:
    assert not (await answer(KnowledgeIndex(index, encoder), question)).found


def test_vectors_have_length_1_and_do_not_depend_on_their_company(encoder: E5Encoder, index: Path) -> None:
    found = [hit.passage for hit in KnowledgeIndex(index).search("plan contract invoice", 3)]
    together = encoder.passages(found)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert np.array_equal(together[1], encoder.passages(found[1:2])[0])


def test_the_commands_index_and_search_by_meaning(tmp_path: Path) -> None:
    surroundings = {"KNOWLEDGE_DENSE": "on", "KNOWLEDGE_PATH": str(KNOWLEDGE), "DATA_PATH": str(tmp_path)}

    def run(*command: str) -> str:
        called = [sys.executable, "-m", "ops.cli", *command]
        done = subprocess.run(called, cwd=ROOT, env=os.environ | surroundings, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("index").startswith("19 passages from 6 added")
    assert "4 GB of memory" in run("search", "how much RAM does my computer have to have", "--limit", "1")
