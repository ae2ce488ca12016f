"""The published schemas are those of the records, and take what the stages write."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import msgspec
import pytest

from tests.example_records import EXAMPLES
from topics.catalog import ANSWERS, DESCRIBED, QUESTIONS, SENTENCES, TRANSCRIPTS, Topic
from topics.codec import DecodeError, decode, encode
from topics.messages import Record
from topics.schemas import FOLDER, files, schema_of

pytestmark = pytest.mark.contract

Validator = jsonschema.Draft202012Validator


def test_the_files_are_those_that_the_records_give() -> None:
    stale = [path.name for path, content in files().items() if path.read_bytes() != content]
    assert not stale, "run `python -m topics.schemas`"


def test_there_is_a_file_for_every_topic_of_the_river_and_no_other() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{topic.noun}.json" for topic in DESCRIBED}


@pytest.mark.parametrize("topic", DESCRIBED, ids=lambda topic: topic.noun)
def test_a_schema_is_a_valid_schema_that_names_its_topic(topic: Topic) -> None:
    schema = schema_of(topic)
    Validator.check_schema(schema)
    assert schema["title"] == topic.on()


@pytest.mark.parametrize("topic", DESCRIBED, ids=lambda topic: topic.noun)
def test_every_record_of_a_topic_has_an_example_here(topic: Topic) -> None:
    kinds = {kind.__name__ for kind in topic.records.__args__}
    assert {type(record).__name__ for where, record in EXAMPLES if where is topic} == kinds


@pytest.mark.parametrize(("topic", "record"), EXAMPLES, ids=lambda value: getattr(value, "noun", type(value).__name__))
def test_what_we_write_is_valid(topic: Topic, record: Record) -> None:
    Validator(schema_of(topic)).validate(json.loads(encode(record)))
    full: Any = msgspec.to_builtins(record)
    Validator(schema_of(topic)).validate(full)


@pytest.mark.parametrize(
    "value",
    [
        {"text": "hello"},
        {"text": "hello", "is_final": False, "of_another_make": 1},
        {"type": "asr_chunk", "text": ""},
        {"type": "control", "action": "cancel", "question_id": "a/1.2"},
        {"type": "ask", "text": "How much?", "options": {"n": [1]}},
        {"type": "end"},
    ],
    ids=str,
)
def test_what_others_may_write_is_valid_and_readable(value: dict[str, Any]) -> None:
    Validator(schema_of(TRANSCRIPTS)).validate(value)
    assert decode(TRANSCRIPTS, json.dumps(value).encode())


@pytest.mark.parametrize(
    ("topic", "value"),
    [
        (TRANSCRIPTS, {}),
        (TRANSCRIPTS, {"text": 5}),
        (TRANSCRIPTS, {"type": "control", "action": "dance"}),
        (TRANSCRIPTS, {"type": "control"}),
        (SENTENCES, {"text": "hello"}),
        (QUESTIONS, {"type": "question", "text": "a?"}),
        (ANSWERS, {"type": "piece", "attempt": 1, "index": "0", "text": ""}),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_not_valid_either(topic: Topic, value: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        Validator(schema_of(topic)).validate(value)
    with pytest.raises(DecodeError):
        decode(topic, json.dumps(value).encode())
