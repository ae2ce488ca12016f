"""One session at the answers stage: which questions wait, were withdrawn or cancelled, and what was said of them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from pipeline.delivery import ATTEMPTS_AN_EPOCH, View, just_below
from topics.messages import Done, Mode
from topics.sources import BEFORE_ALL, Source, public_id

RETRIES = 3
FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 8.0  # seconds

Unit = TypeVar("Unit")


def attempt_number(epoch: int, retry: int) -> int:
    """Attempts grow with every retry, and with every owner of the partition beyond all retries of the one before.

    >>> attempt_number(3, 0), attempt_number(3, 2)
    (300, 302)
    """
    return epoch * ATTEMPTS_AN_EPOCH + retry


def backoff(retry: int, retry_after: float | None = None, jitter: float = 0.0) -> float | None:
    """Seconds to wait before a retry (the first is 1); None: the provider asks for more time than a listener has.

    `jitter` from 0 to 1 takes up to half of our own wait away, so that not all come again at once.

    >>> [backoff(retry) for retry in (1, 2, 3)], backoff(2, jitter=0.5)
    ([0.5, 1.0, 2.0], 0.75)
    >>> backoff(1, retry_after=3.0), backoff(1, retry_after=60.0)
    (3.0, None)
    """
    if retry_after is not None and retry_after > LONGEST_BACKOFF:
        return None
    own: float = FIRST_BACKOFF * 2 ** (retry - 1)
    return max(min(own, LONGEST_BACKOFF) * (1 - jitter / 2), retry_after or 0.0)


class RetryBudget:
    """How many retries a worker has left: when all questions fail, retrying each of them makes it worse.

    >>> budget = RetryBudget(reserve=1)
    >>> budget.spend(), budget.spend(), budget.earn(), budget.earn(), budget.spend()
    (True, False, None, None, True)
    """

    def __init__(self, reserve: float = 30.0, a_question: float = 0.5) -> None:
        """Args: reserve: retries that are saved at most; a_question: earned by each question."""
        self._left = self._reserve = reserve
        self._earned = a_question

    def earn(self) -> None:
        """A question is asked for the first time."""
        self._left = min(self._reserve, self._left + self._earned)

    def spend(self) -> bool:
        """Take one; False: there is none."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


def is_expired(asked_at: float, now: float, ttl: float) -> bool:
    """Whether a question is too old to be asked; times in seconds since 1970, ttl 0: never, asked_at 0: not known.

    >>> is_expired(100.0, 200.0, ttl=60.0), is_expired(100.0, 200.0, ttl=0.0)
    (True, False)
    """
    return ttl > 0 and asked_at > 0 and now - asked_at > ttl


@dataclass(eq=False)
class Waiting(Generic[Unit]):
    """A question (or the end of the session) from its arrival until its end is written.

    Attributes:
        withdrawn_by: source of the control that superseded it.
        cancelled: whether it is to end, and why.
        controls: cancels, and what took its place, that are done when its end is stored.
        early, replaces: as of the question.
        supersedes: what this instant query withdrew; done when its begin is stored.
    """

    unit: Unit
    source: Source
    text: str
    mode: Mode = "standard"
    kind: Literal["question", "end"] = "question"
    lang: str | None = None
    asked_at: float = 0.0
    options: dict[str, object] = field(default_factory=dict)
    withdrawn_by: Source | None = None
    cancelled: Literal["cancelled", "interrupted"] | None = None
    early: bool = False
    replaces: str | None = None
    ending: bool = False
    controls: list[Unit] = field(default_factory=list)
    supersedes: list[Waiting[Unit]] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Whether it may still be answered."""
        return self.withdrawn_by is None and self.cancelled is None and not self.ending


class Conversation(Generic[Unit]):
    """The questions of one session in the order of their sources; `view` is what its clients have been told.

    `turns` are its last answered questions with their answers, oldest first; `threads` the conversations that providers
    keep of it, by their names.
    """

    def __init__(self, turns: int = 0, chars: int = 0) -> None:
        """Args: turns: how many are remembered; chars: of each answer."""
        self.turns: deque[tuple[str, str]] = deque(maxlen=turns)
        self.threads: dict[str, str] = {}
        self._chars = chars
        self.view = View()
        self.queue: dict[Source, Waiting[Unit]] = {}
        self.floor: Source = BEFORE_ALL  # questions up to it are withdrawn, also those that arrive later
        self.last_cancelled: Source | None = None
        self.ended: Source = BEFORE_ALL  # the last `end` that was answered

    def is_idle(self) -> bool:
        """Whether nothing waits."""
        return not self.queue

    def remember(self, done: Done) -> None:
        """Take an answer that counts into what is known of the session."""
        if done.thread:
            self.threads[done.provider] = done.thread
        if done.why == "ok" and done.found and done.text:
            self.turns.append((done.question, done.text[: self._chars]))

    def already(self, source: Source) -> bool:
        """Whether a question has ended, or is withdrawn."""
        return source <= max(self.view.ended, self.floor)

    def add(self, waiting: Waiting[Unit]) -> None:
        """Queue a question."""
        self.queue[waiting.source] = waiting

    def withdraw(self, by: Source) -> list[Waiting[Unit]]:
        """Withdraw everything below a control, also what later arrives there; gives what it took away."""
        taken = [waiting for waiting in self.queue.values() if waiting.source < by and _can_go(waiting)]
        for waiting in taken:
            waiting.withdrawn_by = by
        self.floor = max(self.floor, just_below(by))
        return taken

    def cancel(self, session: str, question_id: str | None) -> Waiting[Unit] | None:
        """The open question that a cancel names, now cancelled; without a name the running one. None: too late."""
        for waiting in self.queue.values():
            if waiting.is_open and self._is_named(waiting, session, question_id):
                waiting.cancelled = "cancelled"
                return waiting
        return None

    def take_back(self, early: Source, by_question: bool) -> Waiting[Unit] | None:
        """The early question that turned out to be another, or none at all, now to end; None: it has ended."""
        waiting = self.queue.get(early)
        if waiting is None or not waiting.is_open:
            return None
        waiting.cancelled = "interrupted" if by_question else "cancelled"
        return waiting

    def _is_named(self, waiting: Waiting[Unit], session: str, question_id: str | None) -> bool:
        if question_id is None:
            return waiting.source == self.view.current
        return question_id == public_id(session, waiting.source)

    def was_cancelled(self, session: str, question_id: str | None) -> bool:
        """Whether the question that a cancel names was the last to end by one: the cancel has had its effect."""
        return self.last_cancelled is not None and question_id == public_id(session, self.last_cancelled)


def _can_go(waiting: Waiting[Unit]) -> bool:
    return waiting.kind == "question" and waiting.withdrawn_by is None and not waiting.ending


def withdrawn_units(taken: list[Waiting[Unit]]) -> list[Unit]:
    """What is done with the record that withdraws these: they, their cancels, and what they had superseded."""
    units: list[Unit] = []
    for waiting in taken:
        units += [waiting.unit, *waiting.controls, *withdrawn_units(waiting.supersedes)]
    return units


def withdrawn_sources(taken: list[Waiting[Unit]]) -> list[Source]:
    """Their sources, lowest first, those that they had superseded included."""
    sources = {waiting.source for waiting in taken}
    for waiting in taken:
        sources |= set(withdrawn_sources(waiting.supersedes))
    return sorted(sources)
