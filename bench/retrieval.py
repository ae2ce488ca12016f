"""How well spoken questions find their page and their answer, and how fast; LibreOffice's help, English and Chinese.

Run: python -m bench.retrieval [--download] [--dense] [--failures]

Half of them are held out: nothing was tuned on these, and --failures does not show them.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.documents import LANGUAGES, guides
from ops.processes import OPERATOR_ERROR, print_line
from pipeline.errors import ConfigurationError
from pipeline.providers import Asked, End, KnowledgeIndex, build_index, encoder_of
from pipeline.providers.dense import Encoder
from pipeline.providers.local import LocalProvider
from pipeline.settings import Settings

QUESTIONS = Path(__file__).with_name("spoken_questions.jsonl")
DOCUMENTS = Path("data") / "bench" / "libreoffice-help"
HALVES = ("tuned", "held")
HEAD = "{:<7}{:<4}{:<11}{:>3}{:>8}{:>7}{:>9}"
LINE = "{:<7}{:<4}{:<11}{:>3}{:>8.2f}{:>7.2f}{:>9.2f}"


class Question(msgspec.Struct, frozen=True):
    """What somebody asks; the pages that answer it and words that the answer holds.

    `kind` is `named` when he knows what the thing is called, `described` when he does not and uses words of his own,
    `elsewhere` when no page is about it. `half` is `tuned` where it was looked at in making the search, or `held`.
    """

    half: str
    lang: str
    kind: str
    ask: str
    pages: list[str]
    answer: str


class Outcome(NamedTuple):
    """What became of a question: rank of a right page from 1 (0: not found), whether the quotes hold the answer."""

    question: Question
    rank: int
    answered: bool
    found: bool
    pages: list[str]
    seconds: float


async def main(given: argparse.Namespace) -> None:
    """Index, ask and print; with --dense first by words alone, then by meaning too.

    Raises:
        ConfigurationError: the documents or the extra are not there, or a question's answer is not on its page.
    """
    encoder = encoder_of(Settings(knowledge_dense=given.dense))
    documents = guides(given.documents, given.download)
    questions = [msgspec.json.decode(line, type=Question) for line in QUESTIONS.read_bytes().splitlines()]
    _check(questions, documents)
    with tempfile.TemporaryDirectory() as folder:
        print("By words:")
        outcomes = await measure(documents, Path(folder), questions, None)
        if encoder:
            print("\nBy words and meaning:")
            outcomes = await measure(documents, Path(folder), questions, encoder)
    if given.failures:
        print_failures([outcome for outcome in outcomes if outcome.question.half == "tuned"])


async def measure(
    documents: Path, index: Path, questions: Sequence[Question], encoder: Encoder | None
) -> list[Outcome]:
    """Index, ask everything, and print the figures of both halves."""
    first = build_index(documents, index, encoder)
    again = build_index(documents, index, encoder)
    opened = KnowledgeIndex(index, encoder)
    outcomes = [await ask(question, LocalProvider(opened), opened) for question in questions]
    print(
        f"{first.added + first.unchanged} pages, {first.passages} passages: indexed in {first.seconds:.1f} s"
        f" ({1000 * first.seconds / first.passages:.1f} ms a passage), unchanged in {again.seconds:.2f} s\n"
    )
    print(HEAD.format("", "", "", "n", "top 1", "top 3", "extract"))
    for key in itertools.product(HALVES, LANGUAGES, ("named", "described")):
        print_row(*key, [one for one in outcomes if (one.question.half, one.question.lang, one.question.kind) == key])
    for half in HALVES:
        foreign = [one for one in outcomes if (one.question.half, one.question.kind) == (half, "elsewhere")]
        print(f"about something else, {half}: {sum(one.found for one in foreign)} of {len(foreign)} got an answer")
    times = sorted(outcome.seconds * 1000 for outcome in outcomes)
    print(f"a question: p50 {statistics.median(times):.1f} ms, p99 {times[len(times) * 99 // 100]:.1f} ms")
    return outcomes


def _check(questions: Sequence[Question], documents: Path) -> None:
    for question in questions:
        for page in question.pages:
            text = (documents / LANGUAGES[question.lang] / page).read_text(encoding="utf-8")
            if squeezed(question.answer) not in squeezed(text):
                raise ConfigurationError(
                    f"{question.answer!r} is not in {page}: these are other documents than the questions were made for."
                )


async def ask(question: Question, provider: LocalProvider, index: KnowledgeIndex) -> Outcome:
    """Ask one question of the provider, and of its index."""
    started = time.perf_counter()
    *_, end = [piece async for piece in provider.stream(Asked(question.ask))]
    seconds = time.perf_counter() - started
    assert isinstance(end, End)
    ranked = list(dict.fromkeys(hit.passage.file for hit in index.search(question.ask, 20)))
    right = {f"{LANGUAGES[question.lang]}/{page}" for page in question.pages}
    rank = next((place for place, page in enumerate(ranked, start=1) if page in right), 0)
    quoted = squeezed(" ".join(cited["text"] for cited in end.sources))
    answered = bool(question.answer) and squeezed(question.answer) in quoted
    return Outcome(question, rank, answered, end.found, ranked, seconds)


def squeezed(text: str) -> str:
    """Text without blanks, Markdown's backslashes and capitals: what a comparison of quotes is about."""
    return "".join(text.split()).replace("\\", "").lower()


def print_row(half: str, lang: str, kind: str, outcomes: Sequence[Outcome]) -> None:
    """Print the figures of one half in one language."""

    def share(holds: Callable[[Outcome], bool]) -> float:
        return sum(map(holds, outcomes)) / len(outcomes)

    top1, top3 = share(lambda one: one.rank == 1), share(lambda one: 0 < one.rank <= 3)
    print(LINE.format(half, lang, kind, len(outcomes), top1, top3, share(lambda one: one.answered)))


def print_failures(outcomes: Sequence[Outcome]) -> None:
    """Print what went wrong with the questions that may be tuned on."""
    for outcome in outcomes:
        asked, right = outcome.question, outcome.question.pages
        if right and not (outcome.rank == 1 and outcome.answered):
            told = "answered" if outcome.answered else "not answered" if outcome.found else "no answer found"
            print(f"{asked.ask}\n  {right[0]}: rank {outcome.rank or '-'}, {told}; {', '.join(outcome.pages[:3])}")
        elif not right and outcome.found:
            print(f"{asked.ask}\n  answered from {outcome.pages[0]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--documents", type=Path, default=DOCUMENTS, help=f"folder of the pages; default {DOCUMENTS}")
    parser.add_argument("--download", action="store_true", help="fetch the documents' Debian packages with apt-get")
    parser.add_argument("--dense", action="store_true", help="by meaning too, with the extra local-dense; minutes")
    parser.add_argument("--failures", action="store_true", help="show what went wrong, without the held half")
    try:
        asyncio.run(main(parser.parse_args()))
    except ConfigurationError as exc:
        print_line(f"bench: {exc}")
        sys.exit(OPERATOR_ERROR)
