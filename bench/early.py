"""Prints how many questions of real transcripts can be asked before their final chunk, how often in vain, and the gain.

The transcripts are played as by a recogniser that sends a final chunk after a moment of silence. The gain is the time
from the early sentence until the final one is known to end, in record time: a provider's first piece comes as much
earlier.

Run: python -m bench.early --samples FOLDER [--seeds N] [--settle SECONDS]
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from agents.questions import Last
from bench.sentence_samples import SHAPES, Event, read_conversations, stream
from pipeline.early import Early, answer, due, listen, look, settle
from pipeline.sentences import Cut, Open, Rules, flush, push, silence, talk
from pipeline.verdicts import judge, settled
from topics.messages import NotAQuestion, Question, Sentence
from topics.sources import Source

RULES = Rules(early_start=True)
TICK = 0.05  # seconds from the moment at which words are stable until the stage looks, on average
HEAD = "{:<11}{:<13}{:>10}{:>8}{:>11}{:>10}{:>8}{:>12}{:>8}"
LINE = "{:<11}{:<13}{:>10}{:>8.1%}{:>11}{:>10}{:>8}{:>12.2f}{:>8.2f}"


class Played:
    """One stream through cutting and judging."""

    def __init__(self, lang: str | None) -> None:
        self.lang, self.last = lang, Last()
        self.open, self.early = Open(), Early()
        self.counts: Counter[str] = Counter()
        self.gains: list[float] = []
        self._asked_at = 0.0

    def hear(self, events: Iterable[Event]) -> None:
        """All of it, and then silence."""
        for event in events:
            self._wait(event.heard.at)
            if event.is_final:
                self.early = answer(self.early, event.heard)
                self._end(*push(self.open, event.heard, RULES))
            elif self.open.fragments:
                self._end(*talk(self.open, event.heard, RULES))
            else:
                self.early = listen(self.early, event.heard)
        self._end(*flush(self.open))

    def _wait(self, until: float) -> None:
        self._end(*silence(self.open, until, RULES))
        if (stable := due(self.early)) is not None and stable + TICK <= until:
            self.early, cut = look(self.early, stable + TICK, RULES)
            if cut:
                self._judge(cut)

    def _end(self, open_: Open, cuts: list[Cut]) -> None:
        self.open, asked = open_, self.early.asked
        self.early, settling = settle(self.early, cuts, {fragment.heard.offset for fragment in open_.fragments})
        for cut in cuts:
            self._judge(cut, str(Source(*asked.source)) if asked and cut is settling else None)

    def _judge(self, cut: Cut, settles: str | None = None) -> None:
        source = Source(cut.offset, cut.char)
        sentence = Sentence(text=cut.text, ended_by=cut.ended_by, offsets=[], lang=self.lang, settles=settles)
        output = settled(judge(sentence, self.last.said), sentence, self.last.early)
        if output is None:
            return
        self.last.hear(source, output)
        match output:
            case Question(early=True):
                self.counts["early"] += 1
                self._asked_at = cut.cut_at
            case Question(confirms=str()):
                self.counts.update(("confirmed", "questions"))
                self.gains.append(cut.cut_at - self._asked_at)
            case Question(replaces=str()):
                self.counts.update(("replaced", "questions"))
            case Question():
                self.counts["questions"] += 1
            case NotAQuestion(replaces=str()):
                self.counts["dropped"] += 1

    def show(self, name: str, shape: str) -> None:
        """Print it."""
        counts, gains = self.counts, sorted(self.gains) or [0.0]
        share = counts["confirmed"] / max(1, counts["questions"])
        figures = (counts["early"], share, counts["confirmed"], counts["replaced"], counts["dropped"])
        early, *rest = figures
        print(LINE.format(name, shape, early, *rest, sum(gains) / len(gains), gains[len(gains) // 2]))


def main() -> None:
    """Print one line for each transcript and shape, and one for each shape over all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, required=True, help="folder with the transcripts")
    parser.add_argument("--seeds", type=int, default=3, help="how often each is played, each time cut elsewhere")
    parser.add_argument("--settle", type=float, default=0.7, help="seconds of silence before a final chunk")
    options = parser.parse_args()
    print(HEAD.format("", "", "asked", "of all", "confirmed", "replaced", "dropped", "earlier, s", ""))
    print(HEAD.format("transcript", "text", "early", "", "", "", "", "mean", "median"))
    for shape in SHAPES:
        every = Played(None)
        for conversation in read_conversations(options.samples):
            played = Played(conversation.turns[0].lang)
            for seed in range(1, options.seeds + 1):
                played.hear(stream(conversation.turns, shape, seed, options.settle))
            played.show(conversation.name, shape.name)
            every.counts += played.counts
            every.gains += played.gains
        every.show("all", shape.name)


if __name__ == "__main__":
    main()
