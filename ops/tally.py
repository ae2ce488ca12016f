"""The account of a demo run: what was sent and what came back, folded into questions, answers and waiting times."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

_WORD = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")
_SENTENCE_END = re.compile(r"[.?!。？！]['\"’”)）]*$")

Outcome = Literal["answered", "not found", "failed"]


@dataclass
class Asked:
    """A question that the service announced; times in seconds of the client's clock.

    `completed_at` is when the final chunk was sent that holds the question's last word, None where its text is not
    found in what was sent; `outcome` is None until the last answer chunk or an error.
    """

    question: str
    completed_at: float | None
    first_piece_at: float | None = None
    outcome: Outcome | None = None
    idle: bool = False


@dataclass(frozen=True)
class Result:
    """One run: every question with its outcome, the sentences passed over, and what went wrong."""

    asked: Sequence[Asked] = ()
    passed_over: Sequence[str] = ()
    faults: Sequence[str] = ()

    @property
    def exit_code(self) -> int:
        """0 when every question got an answer, be it "no answer found", and nothing else failed."""
        return int(bool(self.faults) or any(asked.outcome in (None, "failed") for asked in self.asked))


@dataclass
class Heard:
    """The final text sent so far as bare words (Chinese: characters), when each was sent, and which are judged."""

    words: list[str] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)
    judged: list[bool] = field(default_factory=list)

    def add(self, text: str, at: float) -> None:
        """Take a final chunk, sent at `at`."""
        words = _words(text)
        self.words += words
        self.sent_at += [at] * len(words)
        self.judged += [False] * len(words)

    def judge(self, text: str, *, asks: bool = False) -> float | None:
        """Mark the first unjudged place where `text` stands; say when the final that holds its end was sent.

        A question is announced after everything before it was, so all up to its end is marked: what is left there are
        words that the service dropped to make the question plain.
        """
        words = _words(text)
        if not words or self.whole:
            return None
        for start in range(self.judged.index(False), len(self.words) - len(words) + 1):
            place = slice(start, start + len(words))
            if self.words[place] == words and not any(self.judged[place]):
                start, end = 0 if asks else start, place.stop
                self.judged[start:end] = [True] * (end - start)
                return self.sent_at[end - 1]
        return None

    @property
    def whole(self) -> bool:
        """Whether every word has been judged."""
        return all(self.judged)


class Tally:
    """A fold over sent finals and received messages; the caller gives the time of each, in seconds."""

    def __init__(self) -> None:
        self.heard = Heard()
        self.asked: dict[str, Asked] = {}
        self.passed_over: list[str] = []
        self.faults: list[str] = []
        self._ends = 0

    def sent(self, text: str, at: float) -> None:
        """Take a final chunk at the moment of its first sending."""
        self.heard.add(text, at)
        self._ends += bool(_SENTENCE_END.search(text))

    def received(self, message: Mapping[str, Any], at: float) -> None:
        """Take a message of the server."""
        question = self.asked.get(message.get("question_id", ""))
        match message:
            case {"type": "status", "stage": "analyzing" | "instant_query", "question": text, "question_id": name}:
                self.asked[name] = Asked(text, self.heard.judge(text, asks=True))
            case {"type": "status", "stage": "waiting_for_question"}:
                self.passed_over.append(message.get("text", ""))
                self.heard.judge(message.get("text", ""))
            case {"type": "status", "stage": "idle"} if question:
                question.idle, question.outcome = True, question.outcome or "failed"
            case {"type": "answer"} if question:
                question.first_piece_at = at if question.first_piece_at is None else question.first_piece_at
                if message.get("final"):
                    question.outcome = "answered" if _found(message) else "not found"
            case {"type": "error", "code": code} if code != "SERVICE_UNAVAILABLE":
                self.faults.append(f"{code}: {message.get('message', '')}")
                if question:
                    question.outcome = "failed"

    @property
    def running(self) -> bool:
        """Whether a question was announced and its `idle` has not come."""
        return not all(asked.idle for asked in self.asked.values())

    @property
    def finished(self) -> bool:
        """Whether everything that was said has been judged and every question has its `idle`."""
        return self.heard.whole and not self.running

    @property
    def plausible(self) -> bool:
        """Whether there are as many outcomes as finals that end a sentence: the least that a finished run has."""
        return len(self.asked) + len(self.passed_over) >= self._ends

    def result(self) -> Result:
        """Say what the run came to so far."""
        return Result(tuple(self.asked.values()), tuple(self.passed_over), tuple(self.faults))


def summary_line(results: Iterable[Result]) -> str:
    """Sum up runs in one line; questions = answers + no answer found + (named only where there are any) failed.

    The time runs from the first sending of the final chunk that completed a question to its first answer piece; time
    that a question spent waiting behind another one counts.
    """
    asked = [question for result in results for question in result.asked]
    counts = {outcome: sum(question.outcome == outcome for question in asked) for outcome in ("answered", "not found")}
    failed = len(asked) - sum(counts.values())
    waits = [
        question.first_piece_at - question.completed_at
        for question in asked
        if question.first_piece_at is not None and question.completed_at is not None
    ]
    parts = [f"questions {len(asked)}", f"answers {counts['answered']}", f"no answer found {counts['not found']}"]
    parts += [f"failed {failed}"] if failed else []
    wait = f"{median(waits) * 1000:.0f} ms" if waits else "none measured"
    return " · ".join([*parts, f"median time from final chunk to first answer piece {wait}"])


def _found(message: Mapping[str, Any]) -> bool:
    return bool(message.get("found", message.get("sources")))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
