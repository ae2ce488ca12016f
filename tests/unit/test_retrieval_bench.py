"""The retrieval benchmark: honest about documents that are not there, and about what its pages say."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from bench.documents import HELP, LANGUAGES, markdown
from bench.retrieval import QUESTIONS, Question

pytestmark = pytest.mark.unit


def test_help_pages_keep_headings_steps_and_tables_and_lose_navigation_and_what_only_a_mac_shows() -> None:
    page = """<body><nav>Menu</nav><div id="DisplayArea"><h1>Sort</h1><p>Press <span class="MAC">Command</span>
    <span>Ctrl</span>+S.</p><ol><li><p>Open it.</p></li></ol><table><tr><th>Key</th></tr><tr><td>F1</td></tr></table>
    <div class="relatedtopics"><a href="x">See also</a></div></div></body>"""
    text = markdown(page)
    assert [line for line in text.splitlines() if line.strip()][0] == "# Sort"
    assert "1. Open it." in text
    assert "| F1 |" in text
    assert not {"Menu", "Command", "See also"} & set(text.split())


def test_there_are_forty_questions_of_each_kind_in_each_language() -> None:
    questions = [msgspec.json.decode(line, type=Question) for line in QUESTIONS.read_bytes().splitlines()]
    counted = Counter((question.lang, question.kind) for question in questions if question.pages)
    assert all(counted[lang, kind] >= 40 for lang in LANGUAGES for kind in ("named", "described"))
    assert all(bool(question.pages) == bool(question.answer) for question in questions)
    assert len({question.ask for question in questions}) == len(questions)


@pytest.mark.skipif((Path("/") / HELP).is_dir(), reason="the documents are installed here")
def test_without_its_documents_the_benchmark_says_how_to_get_them_and_ends_with_2(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "bench.retrieval"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert len(run.stderr.splitlines()) == 1
    assert "apt" in run.stderr and "--download" in run.stderr
