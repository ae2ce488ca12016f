"""One example of every record of every topic, with all of its fields and with none but the needed."""

from __future__ import annotations

from topics.catalog import ANSWERS, QUESTIONS, SENTENCES, TRANSCRIPTS, Topic
from topics.messages import (
    Ask,
    AsrChunk,
    Begin,
    Claim,
    Control,
    Done,
    End,
    Ended,
    Failed,
    NotAQuestion,
    Piece,
    Question,
    Record,
    Reply,
    Sentence,
    Stopped,
    Verdict,
)

_CHUNK = AsrChunk(
    text="How much is it?",
    is_final=False,
    id="c1",
    timestamp=1.5,
    segment_id="s-1",
    speaker=2,
    lang="en",
    profile="balanced",
    start_ms=0.0,
    end_ms=900.0,
)
_SENTENCE = Sentence(
    text="How much is it?",
    ended_by="mark",
    offsets=[3, 4],
    ids=["c1", "c2"],
    latest="it?",
    lang="en",
    speaker="A",
    profile="balanced",
    spoken_from=1.0,
    spoken_until=2.0,
)
_QUESTION = Question(
    text="How much is it?", original="So how much is it?", score=0.9, reason="how", options={"n": 1}, asked_at=2.0
)
_DONE = Done(
    attempt=300,
    index=2,
    why="ok",
    text="It costs 5.",
    question="How much is it?",
    mode="instant",
    found=False,
    provider="local",
    sources=[{"n": 1, "title": "prices"}],
    usage={"tokens": 3},
    timings={"total": 0.5},
)

EXAMPLES: list[tuple[Topic, Record]] = [
    (TRANSCRIPTS, _CHUNK),
    (TRANSCRIPTS, AsrChunk(text="")),
    (TRANSCRIPTS, Control(action="cancel", id="c3", question_id="call/5.12")),
    (TRANSCRIPTS, Control(action="stop")),
    (TRANSCRIPTS, Ask(text="多少钱？", id="c4", lang="zh", options={"provider": "local", "top": [1, {"a": None}]})),
    (TRANSCRIPTS, End()),
    (SENTENCES, _SENTENCE),
    (SENTENCES, Sentence(text="Hm.", ended_by="silence", offsets=[1])),
    (SENTENCES, Control(action="instant_query", text="how much", lang="en", ids=["c1"], asked_at=3.0)),
    (SENTENCES, Ask(text="How much?", asked_at=1.0)),
    (SENTENCES, End()),
    (SENTENCES, Failed(stage="sentences", error="not JSON")),
    (SENTENCES, Claim(epoch=3)),
    (QUESTIONS, _QUESTION),
    (QUESTIONS, NotAQuestion(text="Hello.", score=0.1, reason="a statement")),
    (QUESTIONS, Control(action="stop")),
    (QUESTIONS, End()),
    (QUESTIONS, Failed(stage="questions", error="too long")),
    (QUESTIONS, Claim(epoch=3)),
    (ANSWERS, Verdict(kind="not_a_question", text="Hello.", score=0.1, reason="a statement")),
    (ANSWERS, Verdict(kind="failed")),
    (ANSWERS, Reply(stage="idle", message="too late")),
    (ANSWERS, Reply(code="NO_FINAL_ASR")),
    (ANSWERS, Begin(question="How much?", attempt=300, mode="instant", withdrawn=["5.12"])),
    (ANSWERS, Begin(question="How much?", attempt=300)),
    (ANSWERS, Piece(attempt=300, index=0, text="It ")),
    (ANSWERS, _DONE),
    (ANSWERS, Done(attempt=0, index=0, why="error", error="the provider failed")),
    (ANSWERS, Stopped(withdrawn=["5.12"])),
    (ANSWERS, Ended()),
    (ANSWERS, Claim(epoch=3)),
]
