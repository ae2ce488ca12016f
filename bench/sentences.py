"""Prints how well sentences are cut out of real transcripts, and what bad cuts cost in questions found.

Each transcript is played as recognisers send it: with and without marks, finals in the middle of sentences, misheard
interims. Boundaries are compared with the published ones; questions are those sentences that are published with a
question mark; one is found if a sentence that covers half of it, and is covered by half, is called a question. `asked`
is the share of the questions that are found or stand, half of them at least, in a longer sentence that is asked.

The last transcript is what an engine heard, with marks of its own, against what a person heard in the same call. `late`
is the share of the questions ending with a final chunk that were not known to end 1.5 s after it.

With `--data` the development conversations of the question data are played too, without marks; the lines of
`pipeline/end_models.py` were chosen on them, which `--lines` shows.

Run: python -m bench.sentences --samples FOLDER [--seeds N] [--data FOLDER [--lines]]
     [--sentence-model linear|onnx] [--question-model linear|onnx|cascade]
"""

from __future__ import annotations

import argparse
import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import accumulate, product
from pathlib import Path
from typing import NamedTuple

from bench.sentence_samples import (
    SHAPES,
    Conversation,
    Event,
    Shape,
    bare,
    read_conversations,
    read_development,
    stream,
)
from pipeline import end_models
from pipeline.end_models import LINES
from pipeline.features import letters
from pipeline.questions import MODELS, detect
from pipeline.sentences import Cut, Open, Rules, flush, push, talk

HEAD = "{:<12}{:<14}{:>4} {:>6}{:>6}{:>6} {:>7}{:>6}{:>6}{:>6} {:>6}{:>6} {:>6}{:>6}{:>6}  {}"
LINE = (
    "{:<12}{:<14}{:>4} {:>6.3f}{:>6.3f}{:>6.3f} {:>7.3f}{:>6.3f}{:>6.3f}{:>6.3f} {:>6.3f}{:>6.3f} {:>6.2f}{:>6.2f}"
    "{:>6.1%}  {}"
)
IN_TIME = 1.5  # seconds behind its last final chunk within which a question without marks is asked
SENTENCES = 1200  # of a source of the development conversations
GRID = {"ends": (1.0, 1.5, 2.0, 2.5, 3.0), "goes_on": (-2.0, -1.5, -1.0, -0.5)}


class Models(NamedTuple):
    """Which model cuts, and which hears questions."""

    sentences: str = "linear"
    questions: str = "linear"


class Span(NamedTuple):
    """A sentence by its place among the letters of a conversation, and whether it is (called) a question."""

    begin: int
    end: int
    asks: bool


class Counts(NamedTuple):
    """What was found rightly, what was found, and what there is to find."""

    right: int = 0
    found: int = 0
    there: int = 0

    def __add__(self, other: tuple[int, ...]) -> Counts:  # type: ignore[override]
        """The counts of both."""
        return Counts(*(one + two for one, two in zip(self, other, strict=True)))

    @property
    def figures(self) -> tuple[float, float, float]:
        """Precision, recall and F1."""
        precision, recall = self.right / max(1, self.found), self.right / max(1, self.there)
        return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


def main() -> None:
    """Print one line for each transcript and shape, and one for each shape over all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, required=True, help="folder with the transcripts")
    parser.add_argument("--data", type=Path, help="folder of the question data: play its conversations too")
    parser.add_argument("--lines", action="store_true", help="and by other lines between the log-odds")
    parser.add_argument("--seeds", type=int, default=3, help="how often each is played, each time cut elsewhere")
    parser.add_argument("--sentence-model", choices=end_models.MODELS, default="linear", help="what cuts")
    parser.add_argument("--question-model", choices=MODELS, default="linear", help="what hears questions")
    options = parser.parse_args()
    models = Models(options.sentence_model, options.question_model)
    conversations = read_conversations(options.samples)
    print(HEAD.format("", "", "n", "bound", "", "", "found", "", "", "", "asked", "", "waited", "", "", ""))
    head = ("P", "R", "F1", "F1", "given", "loss", "P own", "R", "given", "mean", "p95", "late", "ended by")
    print(HEAD.format("transcript", "text", "", *head))
    for shape in SHAPES:
        lines = [measure(conversation, shape, options.seeds, models) for conversation in conversations]
        for conversation, line in zip(conversations[:-1], lines, strict=False):
            line.show(conversation.name, shape)
        total(lines[:-1]).show("all above", shape)
        lines[-1].show(conversations[-1].name, shape)
    if options.data:
        print_development(options.data, options.lines, models)
    print_cost(conversations, models)


def print_development(data: Path, lines: bool, models: Models) -> None:
    """Print the figures of the development conversations without marks; with `lines` also by those of `GRID`."""
    conversations = read_development(data, SENTENCES)
    results = [measure(conversation, SHAPES[-1], 1, models) for conversation in conversations]
    for conversation, result in zip(conversations, results, strict=True):
        result.show(conversation.name, SHAPES[-1])
    total(results).show("development", SHAPES[-1])
    chosen = LINES[models.sentences]
    for values in product(*GRID.values()) if lines else ():
        tried = dict(zip(GRID, values, strict=True))
        LINES[models.sentences] = chosen._replace(**tried)
        named = " ".join(f"{name} {value}" for name, value in tried.items())
        results = [measure(conversation, SHAPES[-1], 1, models) for conversation in conversations]
        mean = sum(result.own.figures[2] for result in results) / len(results)
        print(f"{named}: F1 of questions {total(results).own.figures[2]:.3f}, mean over sources {mean:.3f}, "
              f"late {total(results).late.figures[1]:.1%}", flush=True)  # fmt: skip
    LINES[models.sentences] = chosen


class Result(NamedTuple):
    """Of one transcript: boundaries, questions by own cutting and by given ends, and how long sentences waited.

    `asked` are the questions of which half was asked, by both. `late` are those that waited too long, of those that
    ended with a final chunk.
    """

    boundaries: Counts
    own: Counts
    given: Counts
    asked: Counts
    asked_given: Counts
    late: Counts
    waits: tuple[float, ...]
    ended_by: tuple[str, ...]

    def show(self, name: str, shape: Shape) -> None:
        """Print it."""
        own, given = self.own.figures, self.given.figures
        waits = sorted(self.waits)
        waited = (sum(waits) / len(waits), waits[int(0.95 * len(waits))])
        share = {reason: self.ended_by.count(reason) / len(self.ended_by) for reason in sorted(set(self.ended_by))}
        ends = " ".join(f"{reason} {part:.0%}" for reason, part in share.items())
        asked = self.asked.figures[1], self.asked_given.figures[1]
        figures = (*self.boundaries.figures, own[2], given[2], given[2] - own[2], own[0], *asked)
        print(LINE.format(name, shape.name, self.own.there, *figures, *waited, self.late.figures[1], ends), flush=True)


def measure(conversation: Conversation, shape: Shape, seeds: int, models: Models) -> Result:
    """Play one transcript several times, and judge what comes of it."""
    lang = conversation.turns[0].lang
    reference = spans(conversation.sentences, [sentence.rstrip("'\"’”) ")[-1:] in ("?", "？")
                                               for sentence in conversation.sentences])  # fmt: skip
    texts = conversation.sentences if shape.marks else [bare(text) for text in conversation.sentences]
    asks = cache(lambda text: detect(text, lang=lang, model=models.questions).is_question)
    by_given = spans(texts, map(asks, texts))
    boundaries, own, asked, late, cuts = Counts(), Counts(), Counts(), Counts(), list[Cut]()
    for seed in range(1, seeds + 1):
        events = list(stream(conversation.turns, shape, seed))
        found = cut(events, Rules(model=models.sentences))
        called = spans([one.text for one in found], [asks(one.text) for one in found])
        ends, real = {span.end for span in called}, {span.end for span in reference}
        boundaries += (len(ends & real), len(ends), len(real))
        own += matched(called, reference)
        asked += matched(called, reference, alone=False)
        late += lateness(events, found, reference)
        cuts += found
    waits = tuple(one.cut_at - one.ended_at for one in cuts)
    given = [matched(by_given, reference, alone) for alone in (True, False)]
    return Result(boundaries, own, given[0], asked, given[1], late, waits, tuple(one.ended_by for one in cuts))


def lateness(events: Iterable[Event], cuts: Sequence[Cut], reference: Sequence[Span]) -> Counts:
    """Questions whose end was not known in time, of those that end with a final chunk."""
    finals = [event.heard for event in events if event.is_final]
    said = dict(zip(accumulate(letters(heard.text) for heard in finals), (heard.at for heard in finals), strict=True))
    ends = list(accumulate(letters(one.text) for one in cuts))
    ended = [span.end for span in reference if span.asks and span.end in said]
    known = [cuts[min(bisect_left(ends, end), len(cuts) - 1)].cut_at for end in ended]
    late = sum(at - said[end] > IN_TIME for at, end in zip(known, ended, strict=True))
    return Counts(late, late, len(ended))


def cut(events: Iterable[Event], rules: Rules) -> list[Cut]:
    """All sentences of a stream."""
    open_, cuts = Open(), list[Cut]()
    for event in events:
        open_, ended = (push if event.is_final else talk)(open_, event.heard, rules)
        cuts += ended
    return cuts + flush(open_)[1]


def spans(texts: Iterable[str], asks: Iterable[bool]) -> list[Span]:
    """Where sentences that follow each other stand."""
    found, place = [], 0
    for text, asking in zip(texts, asks, strict=True):
        end = place + letters(text)
        if end > place:
            found.append(Span(place, end, asking))
        place = end
    return found


def matched(called: Sequence[Span], reference: Sequence[Span], alone: bool = True) -> Counts:
    """Questions that are found: half of each is the other; not `alone`: half of the question is in what is asked."""
    asked, real = [span for span in called if span.asks], [span for span in reference if span.asks]
    right = 0
    for question in real:
        half = (question.end - question.begin) / 2
        right += any(min(one.end, question.end) - max(one.begin, question.begin)
                     >= (max(half, (one.end - one.begin) / 2) if alone else half) for one in asked)  # fmt: skip
    return Counts(right, len(asked), len(real))


def total(results: Sequence[Result]) -> Result:
    """All results together."""
    *counted, waits, ended_by = Result._fields
    counts = [sum((getattr(one, name) for one in results), Counts()) for name in counted]
    every = [tuple(value for one in results for value in getattr(one, name)) for name in (waits, ended_by)]
    return Result(*counts, *every)  # type: ignore[arg-type]


def print_cost(conversations: Sequence[Conversation], models: Models) -> None:
    """Print microseconds of processor time that the cutting of a chunk without marks takes, interim or final."""
    for conversation in conversations:
        events = list(stream(conversation.turns, SHAPES[1], 1))
        begun = time.process_time()
        cut(events, Rules(model=models.sentences))
        spent = time.process_time() - begun
        finals = sum(event.is_final for event in events)
        print(
            f"{conversation.name}: {1e6 * spent / len(events):.0f} us a chunk ({len(events)}, {finals} of them final)"
        )


if __name__ == "__main__":
    main()
