"""Texts of a file straight into the bulk lane's topic, as any producer would write them."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from ops.admin import check_topics
from ops.surroundings import check_kafka_is_named, check_readable
from pipeline.batches import item_records, item_session
from pipeline.errors import BrokerError, ConfigurationError
from pipeline.settings import Settings
from pipeline.texts import Texts, TextsError, format_of
from topics.catalog import TRANSCRIPTS, Lane
from topics.codec import encode
from topics.tasks import TaskMode

READ = 64 * 1024  # bytes
AT_ONCE = 2000  # records on their way


def ingest(
    file: Annotated[str, typer.Argument(help="one text a line, .jsonl or .csv; - is standard input")],
    run: Annotated[str | None, typer.Option(help="results are read by it; default: the file and the time")] = None,
    kind: Annotated[
        str | None, typer.Option("--format", help="jsonl, csv or text; default: by the file's name")
    ] = None,
    mode: Annotated[str, typer.Option(help="query: ask each text; detect: look for questions in it")] = "query",
) -> None:
    """Write the texts of a file into the bulk topic; prints the run. No task: nobody counts them."""
    settings = Settings.from_env(os.environ)
    check_kafka_is_named(settings, "ingest")
    if mode not in ("query", "detect"):
        raise ConfigurationError(f"--mode {mode} is neither query nor detect.")
    name = run or f"{Path(file).stem if file != '-' else 'stdin'}-{int(time.time())}"
    if file != "-":
        check_readable(Path(file))
    with sys.stdin.buffer if file == "-" else Path(file).open("rb") as content:
        count = asyncio.run(_write(settings, name, _texts(content, kind or format_of(file)), mode))  # type: ignore[arg-type]
    print(f"{count} texts written as run {name}")


def _texts(content: BinaryIO, kind: str) -> Iterator[str]:
    try:
        texts = Texts(kind)  # type: ignore[arg-type]
        while data := content.read(READ):
            yield from texts.push(data)
        yield from texts.close()
    except TextsError as exc:
        raise ConfigurationError(f"{content.name}: {exc}") from exc


async def _write(settings: Settings, run: str, texts: Iterator[str], mode: TaskMode) -> int:
    await check_topics(settings)
    topic, count, sent = TRANSCRIPTS.on(Lane.BULK, settings.topic_prefix), 0, []
    options = {"acks": "all", "enable_idempotence": not settings.kafka_embedded, "linger_ms": 5}
    try:
        async with AIOKafkaProducer(**settings.kafka_client(), **options) as producer:
            for text in texts:
                for record in item_records(text, mode):
                    sent.append(await producer.send(topic, encode(record), item_session(run, count).encode()))
                count += 1
                if len(sent) >= AT_ONCE:
                    await asyncio.gather(*sent)
                    sent = []
            await asyncio.gather(*sent)
    except KafkaError as exc:
        raise BrokerError(f"Kafka did not take the texts behind the first {count - len(sent)}: {exc}") from exc
    return count
