"""What sending a dead letter again writes, and which letters cannot be sent."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import pytest

from ops.dead_letters import Choice, DeadLetterError, Letter, Place, read_letter
from ops.redrive import RefusedError, resend_of
from topics.catalog import ANSWERS, QUESTIONS, SENTENCES, TRANSCRIPTS, Lane, Topic
from topics.codec import encode
from topics.messages import Ask, AsrChunk, Control, End, Failed, NotAQuestion, Question, Sentence
from topics.sources import Source

pytestmark = pytest.mark.unit

SENTENCE = Sentence(text="What is it?", ended_by="mark", offsets=[4], ids=["a"], lang="en", speaker="1")
QUESTION = Question(text="What is it?", original="so what is it?", score=1.0, reason="", lang="en", options={"n": 1})


class Raw(NamedTuple):
    """A fetched record."""

    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    key: bytes | None = b"call"
    partition: int = 3
    offset: int = 17
    timestamp: int = 1500


def letter(topic: Topic, value: bytes | None, lane: Lane = Lane.LIVE, key: bytes | None = b"call") -> Letter:
    origin = ("rag-origin", f"{topic.on(lane)}/2/9".encode())
    return read_letter(Raw(value, [("traceparent", b"00"), ("rag-error", b"why"), origin, ("rag-source", b"9.4")], key))


def test_a_letter_says_what_failed_where_and_why() -> None:
    read = letter(SENTENCES, b"x")
    assert (read.place, read.time, read.session, read.error) == (Place(3, 17), 1.5, "call", "why")
    assert (read.topic, read.origin, read.source) == ("rag.sentences.v1", Place(2, 9), Source(9, 4))
    assert read.question_id == "call/9.4"


def test_a_letter_without_a_key_is_of_the_session_of_its_place() -> None:
    assert letter(TRANSCRIPTS, b"x", key=None).session == "2.9"


@pytest.mark.parametrize(
    "headers",
    [[], [("rag-origin", None)], [("rag-origin", b"\xff/a/b")], [("rag-source", b"x.y"), ("rag-stage", b"\xff")]],
)
def test_a_letter_with_odd_headers_can_be_read_and_not_sent(headers: list[tuple[str, bytes | None]]) -> None:
    read = read_letter(Raw(b"{}", headers))
    assert read.source is None
    with pytest.raises(RefusedError, match="names no topic of ours"):
        resend_of(read)


@pytest.mark.parametrize("value", [b'{"text": "hello",  "more": [1]}', encode(Ask(text="hello")), encode(End())])
def test_a_record_of_transcripts_is_sent_untouched(value: bytes) -> None:
    resend = resend_of(letter(TRANSCRIPTS, value))
    assert resend.value == value
    assert resend.headers == [("traceparent", b"00"), ("rag-redriven", b"3:17 call/9.4")]


def test_an_id_is_left_out_as_a_second_record_of_it_would_be_dropped() -> None:
    value = b'{"text": "hello", "id": "c-1", "more": [1]}'
    assert msgspec.json.decode(resend_of(letter(TRANSCRIPTS, value)).value) == {"text": "hello", "more": [1]}


def test_the_lane_stays() -> None:
    assert resend_of(letter(SENTENCES, encode(SENTENCE), Lane.BULK)).topic == TRANSCRIPTS.on(Lane.BULK)


@pytest.mark.parametrize(
    ("topic", "value", "record"),
    [
        (SENTENCES, encode(SENTENCE), AsrChunk(text="What is it?", lang="en", speaker="1")),
        (SENTENCES, b'{"type": "sentence", "text": "So?", "offsets": "x", "lang": 7}', AsrChunk(text="So?")),
        (QUESTIONS, encode(QUESTION), Ask(text="What is it?", lang="en", options={"n": 1})),
        (QUESTIONS, b'{"type": "question", "text": "So?"}', Ask(text="So?")),
        (SENTENCES, encode(Ask(text="So?", id="a")), Ask(text="So?")),
        (QUESTIONS, encode(Control(action="cancel", question_id="q")), Control(action="cancel", question_id="q")),
    ],
)
def test_a_record_of_a_middle_topic_is_sent_as_what_was_said(topic: Topic, value: bytes, record: Any) -> None:
    assert resend_of(letter(topic, value)).record == record


@pytest.mark.parametrize(
    ("topic", "value", "reason"),
    [
        (TRANSCRIPTS, b"\xff", "it would fail again"),
        (TRANSCRIPTS, None, "it would fail again"),
        (TRANSCRIPTS, b'{"text": 7}', "it would fail again"),
        (SENTENCES, b"{", "no text can be read in it"),
        (SENTENCES, b"[" * 100_000, "no text can be read in it"),
        (SENTENCES, b'{"type": "sentence", "text": " "}', "it holds no text"),
        (SENTENCES, b'["sentence"]', "kind None on sentences"),
        (SENTENCES, b'{"type": ["a"]}', "on sentences asks nothing"),
        (SENTENCES, encode(Failed(stage="sentences", error="")), "kind 'failed'"),
        (QUESTIONS, encode(NotAQuestion(text="So.", score=0.1, reason="")), "kind 'not_a_question'"),
        (ANSWERS, b'{"type": "done"}', "kind 'done' on answers"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_the_reason(topic: Topic, value: bytes | None, reason: str) -> None:
    with pytest.raises(RefusedError, match=reason.replace("(", r"\(")):
        resend_of(letter(topic, value))


@pytest.mark.parametrize(
    ("value", "at_once"), [(encode(Control(action="stop")), True), (encode(End()), True), (b'{"text": "a"}', False)]
)
def test_a_command_is_known_as_one(value: bytes, at_once: bool) -> None:
    assert resend_of(letter(TRANSCRIPTS, value)).acts_at_once is at_once


@pytest.mark.parametrize("text", ["", "3", ":", "a:1", "1:-1", "1:2:3", "¹:2"])
def test_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(DeadLetterError, match="PARTITION:OFFSET"):
        Place.parse(text)


def test_a_choice_takes_what_fits_all_of_it() -> None:
    read = letter(SENTENCES, b"x")
    assert Choice().takes(read)
    assert Choice(session="call", since=1.0).takes(read)
    assert not Choice(session="other").takes(read)
    assert not Choice(stage="answers").takes(read)
    assert not Choice(since=2.0).takes(read)
