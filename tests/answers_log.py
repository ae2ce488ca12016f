"""Answers records of one session in short, and what a client is told of them."""

from __future__ import annotations

from typing import Any

from pipeline.delivery import Entry, Message, View, fold
from topics.messages import AnswerRecord, Begin, Done, Piece
from topics.sources import Source

Q5, Q6, Q7, Q9 = Source(5, 12), Source(6, 3), Source(7), Source(9, 4)
ATTEMPT, AGAIN = 200, 300  # of epochs 2 and 3
RUNNING = View(epoch=2, current=Q5, attempt=ATTEMPT, upcoming=0)


def entry(record: AnswerRecord, source: Source = Q5, epoch: int = 2) -> Entry:
    return Entry("call", source, epoch, record)


def play(*entries: Entry, view: View | None = None) -> tuple[View, list[Message]]:
    view, messages = view or View(), []
    for item in entries:
        view, told = fold(view, item)
        messages += told
    return view, messages


def begin(source: Source = Q5, attempt: int = ATTEMPT, **fields: Any) -> Entry:
    return entry(Begin(question="How much?", attempt=attempt, **fields), source)


def piece(index: int, text: str = "a", source: Source = Q5, attempt: int = ATTEMPT) -> Entry:
    return entry(Piece(attempt=attempt, index=index, text=text), source)


def done(why: Any, source: Source = Q5, attempt: int = ATTEMPT, index: int = 0, **fields: Any) -> Entry:
    return entry(Done(attempt=attempt, index=index, why=why, **fields), source)


def stages(messages: list[Message]) -> list[str]:
    return [message.get("stage") or message.get("code") or message["type"] for message in messages]
