"""What one client was told of one session, judged message by message against the public protocol."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tests.chaos.evidence import Event
from tests.chaos.log import Source, source_of

Message = Mapping[str, Any]
LOST, TERMINAL, INDEX, ORDER, WITHDRAWN, COMMIT = (
    "lost",
    "outcomes",
    "indexes",
    "order",
    "after_withdrawal",
    "early_commits",
)
BEFORE_ALL: Source = (-1, 0)


class SessionView:
    """The messages of one session over all its connections.

    Attributes:
        counts: violations by name.
        notes: one line for each violation.
        outcomes: how often each question ended.
        told: ids of the sentences and questions that were spoken of.
        shown: connections on which chunks of each answer came, and its attempts.
    """

    def __init__(self, session: str, asked: Mapping[str, str], answers: Mapping[str, set[str]]) -> None:
        self.session, self.asked, self.answers = session, asked, answers
        self.counts: Counter[str] = Counter()
        self.notes: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self.told: set[str] = set()
        self.shown: dict[str, set[tuple[int, int]]] = defaultdict(set)
        self.is_closed = False
        self.errors: Counter[str] = Counter()
        self.heard: list[Message] = []
        self._cursors: set[str] = set()
        self._connection = 0
        self._running: str | None = None
        self._place: dict[str, tuple[int, int]] = {}  # attempt and next index of each answer
        self._text = ""  # of the running attempt
        self._announced: dict[str, int] = {}
        self._withdrawn: set[str] = set()
        self._last_question: Source = BEFORE_ALL
        self._last_verdict: Source = BEFORE_ALL
        self._needs_idle: str | None = None

    def find(self, name: str, note: str) -> None:
        """Note a violation."""
        self.counts[name] += 1
        self.notes.append(f"{name}: {self.session}: {note}")

    def take(self, event: Event) -> None:
        """The next event of the session."""
        if event.what == "open":
            self._connection += 1
        if event.what != "heard":
            return
        message = event.data
        if message["type"] == "error":
            self.errors[message["code"]] += 1
        if message.get("stage") == "closed":
            self.is_closed = True
        if "cursor" not in message or message["type"] == "ack":
            return
        if message["cursor"] in self._cursors:
            self.find(ORDER, f"heard twice: {_short(message)}")
        self._cursors.add(message["cursor"])
        self.heard.append(message)
        self._judge(message)

    def _judge(self, message: Message) -> None:
        name, question = message.get("stage") or message["type"], message.get("question_id")
        if question:
            self.told.add(question)
        if name == "answer":
            self._answer(message)
        elif name in ("analyzing", "instant_query"):
            self._begins(str(question), name)
        elif name == "querying_rag":
            self._asks(message)
        elif name == "waiting_for_question" or message.get("code") == "SERVER_ERROR":
            self._verdict(str(question))
        elif name == "error" and question:
            self._ends(str(question), needs_idle=True)
        elif name == "idle" and question:
            self._idle(str(question))
        elif name == "interrupting":
            for interrupted in message["question_ids"]:
                self.told.add(interrupted)
                self._withdrawn.add(interrupted)
                self._ends(interrupted, needs_idle=False, in_turn=False)

    def _begins(self, question: str, name: str) -> None:
        source = _source(question)
        if self._running is not None:
            self.find(ORDER, f"{name} of {question} while {self._running} runs")
        if source <= self._last_question:
            self.find(ORDER, f"{name} of {question} after {self._last_question}")
        self._last_question, self._running = max(source, self._last_question), question

    def _asks(self, message: Message) -> None:
        question, attempt = message["question_id"], message["attempt"]
        if question != self._running:
            self.find(ORDER, f"querying_rag of {question} while {self._running} runs")
        if attempt <= self._announced.get(question, -1):
            self.find(INDEX, f"attempt {attempt} of {question} after {self._announced[question]}")
        self._announced[question] = attempt

    def _answer(self, message: Message) -> None:
        question, attempt, index = message["question_id"], message["attempt"], message["stream_index"]
        if question in self._withdrawn:
            self.find(WITHDRAWN, f"{_short(message)} after it was withdrawn")
            return
        if self.outcomes[question]:
            self.find(INDEX, f"{_short(message)} after the end")
            return
        whole = self._running is None and index == 0 and message["final"]
        if not whole and question != self._running:
            self.find(ORDER, f"{_short(message)} while {self._running} runs")
        before = self._place.get(question, (-1, 0))
        expected = before[1] if attempt == before[0] else 0
        is_announced = whole or self._announced.get(question) == attempt
        if attempt < before[0] or index != expected or not is_announced:
            self.find(INDEX, f"{_short(message)}, expected {expected} of {self._announced.get(question)}")
        self._place[question] = (attempt, index + 1)
        self.shown[question].add((attempt, self._connection))
        self._text = message.get("content", "") if index == 0 else self._text + message.get("content", "")
        if message["final"]:
            if self._text not in self.answers.get(question, {""}):
                self.find(INDEX, f"the chunks of {question} are not its text: {self._text!r}")
            self._ends(question, needs_idle=True)

    def _ends(self, question: str, *, needs_idle: bool, in_turn: bool = True) -> None:
        if in_turn and self._running not in (None, question):
            self.find(ORDER, f"{question} ends while {self._running} runs")
        if question == self._running:
            self._running = None
        self.outcomes[question] += 1
        self._last_question = max(self._last_question, _source(question))
        self._needs_idle = question if needs_idle else None

    def _idle(self, question: str) -> None:
        if self._needs_idle == question:
            self._needs_idle = None
            return
        self._withdrawn.add(question)  # the end of a cancelled question
        self._ends(question, needs_idle=False)

    def _verdict(self, sentence: str) -> None:
        if _source(sentence) <= self._last_verdict:
            self.find(ORDER, f"verdict of {sentence} after {self._last_verdict}")
        self._last_verdict = max(self._last_verdict, _source(sentence))

    def close(self) -> None:
        """The transcript ends: every question has exactly one outcome; a closed session is the outcome of the rest."""
        for question in self.asked:
            ends = self.outcomes[question] or int(self.is_closed)
            if ends != 1:
                self.find(TERMINAL, f"{question} ended {ends} times: {self.asked[question]!r}")

    def compare(self, again: Sequence[Message]) -> None:
        """A late viewer reads the same log, so he is told the same; a closed session heard no more after its stop."""
        mine, theirs = [_bare(message) for message in self.heard], [_bare(message) for message in again]
        if self.is_closed:
            theirs = theirs[: len(mine)]
        if mine != theirs:
            at = next((at for at, (one, other) in enumerate(zip(mine, theirs, strict=False)) if one != other), None)
            at = min(len(mine), len(theirs)) if at is None else at
            found = [_short(told[at]) if at < len(told) else "nothing" for told in (self.heard, again)]
            self.find(ORDER, f"message {at} of {len(mine)} is {found[0]}; a late viewer has {len(theirs)}: {found[1]}")


def interrupted(view: SessionView) -> int:
    """Answers that came in several attempts or over several connections."""
    return sum(len(places) > 1 for places in view.shown.values())


def _source(question: str) -> Source:
    return source_of(question.rpartition("/")[2])


def _bare(message: Message) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "cursor"}


def _short(message: Message) -> str:
    names = ("type", "stage", "code", "question_id", "attempt", "stream_index", "final")
    return " ".join(str(message[name]) for name in names if name in message)
