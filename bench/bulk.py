"""The bulk lane, on SQLite and on PostgreSQL: items through all stages, an upload, the results stage, a rebuild.

Every line of the upload gets a result as the answers stage would have written it; so the stage that stores results and
the command that builds them again are measured alone, and on as many as there are lines.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from aiokafka import AIOKafkaProducer

from bench.cluster import delete_topics, fresh
from bench.sockets import instant_provider
from bench.watched import MARKS, Figures, Stretch, Watched, watched
from ops.admin import create_topics
from ops.ports import free_port
from ops.processes import print_line
from ops.up import STAGES
from pipeline.batches import item_session
from pipeline.errors import RagError
from pipeline.settings import Settings
from tests.databases import HOW_TO_GET_ONE, find_binaries, postgres
from topics import headers
from topics.catalog import ANSWERS, PARTITIONS, Lane, topic_names
from topics.codec import encode
from topics.messages import Claim, Done
from topics.sources import Source


class Amount(NamedTuple):
    """Items that go through all stages, and lines of an upload that get their results from us."""

    items: int
    lines: int


FULL, QUICK = Amount(20_000, 1_000_000), Amount(500, 5_000)
WARM_UP = 24  # items that are not counted
PIECE = 500  # lines in one write of the upload's client
SLICE = 5_000  # records on their way at once
LOOK = 0.2  # seconds
STALL = 120.0  # seconds without anything new after which a process has failed
EPOCH = 1


async def measure(settings: Settings, folder: Path, amount: Amount) -> dict[str, Any]:
    """Everything once on each database; prints the table and gives the figures.

    Raises:
        RagError: a process ended, or did not do what it was given.
    """
    found: dict[str, dict[str, Figures]] = {}
    with databases() as urls:
        for name, url in urls.items():
            found[name] = {}
            async for part, figures in _parts(dataclasses.replace(settings, database_url=url), folder, amount):
                found[name][part] = figures
                print_line(f"{name} {part}: {figures}")
    return {"bulk": _report(found)}


@contextlib.contextmanager
def databases() -> Iterator[dict[str, str]]:
    """DATABASE_URL of each database that can be had here."""
    if (binaries := find_binaries()) is None:
        print_line(f"SQLite alone: there is no PostgreSQL ({HOW_TO_GET_ONE})")
        yield {"SQLite": ""}
        return
    with postgres(binaries) as url:
        yield {"SQLite": "", "PostgreSQL": url}


async def _parts(settings: Settings, folder: Path, amount: Amount) -> AsyncIterator[tuple[str, Figures]]:
    async with instant_provider(fresh(settings, folder)) as known:
        settings = dataclasses.replace(known, port=free_port())
        await create_topics(settings)
        try:
            async with watched("gateway", settings, "gateway") as gateway, _client(settings) as http:
                yield "items", await _items(settings, http, gateway, amount.items)
                stretch = Stretch(amount.lines, gateway)
                task = await _upload(http, amount.lines, stretch)
                yield "upload", stretch.figures()
                await _answer(settings, task, amount.lines)
                async with watched("results", settings, "worker", "results", "--lane", "bulk") as results:
                    yield "results", await _until_ended(http, task, Stretch(amount.lines, results, gateway))
            yield "rebuild", await _rebuild(settings, amount.lines)
        finally:
            await delete_topics(settings, topic_names(settings.topic_prefix))


@contextlib.asynccontextmanager
async def _client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway, once it knows the tasks."""
    async with httpx.AsyncClient(trust_env=False, timeout=60.0) as http:
        http.base_url = httpx.URL(f"http://127.0.0.1:{settings.port}/api/batch")
        async with asyncio.timeout(STALL):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get("/status")).is_success:
                        break
                await asyncio.sleep(LOOK)
        yield http


async def _items(settings: Settings, http: httpx.AsyncClient, gateway: Watched, count: int) -> Figures:
    answering = watched("answers", settings, "worker", *STAGES, "--lane", "bulk")
    storing = watched("results", settings, "worker", "results", "--lane", "bulk")
    async with answering as answers, storing as results:
        await _until_ended(http, await _upload(http, WARM_UP), Stretch(WARM_UP, answers, results))
        stretch = Stretch(count, gateway, answers, results)
        return await _until_ended(http, await _upload(http, count), stretch)


async def _upload(http: httpx.AsyncClient, count: int, stretch: Stretch | None = None) -> str:
    """Upload so many lines as a task; gives its id when the last one is stored."""

    async def body() -> AsyncIterator[bytes]:
        for begin in range(0, count, PIECE):
            if stretch is not None:
                stretch.reached(begin)
            yield "".join(f"{question(item)}\n" for item in range(begin, min(begin + PIECE, count))).encode()

    answer = await http.post("/uploads", content=body(), timeout=None)
    if not answer.is_success or answer.json()["total_items"] != count:
        raise RagError(f"An upload of {count} lines was answered by {answer.text}")
    return str(answer.json()["task_id"])


def question(item: int) -> str:
    """The text of an item."""
    return f"What was decided about the budget of project {item}?"


async def _answer(settings: Settings, task: str, count: int) -> None:
    """Store a result of every item of a task, as the answers stage does."""
    topic = ANSWERS.on(Lane.BULK, settings.topic_prefix)
    async with AIOKafkaProducer(**settings.kafka_client(), acks="all", linger_ms=5) as producer:
        for partition in range(PARTITIONS):
            claim = encode(Claim(epoch=EPOCH))
            await producer.send_and_wait(topic, claim, partition=partition, headers=headers.claim_stamp(EPOCH))
        for begin in range(0, count, SLICE):
            sent = []
            for item in range(begin, min(begin + SLICE, count)):
                stamp = headers.stamp(Source(item), EPOCH, item)
                sent.append(await producer.send(topic, _done(item), item_session(task, item).encode(), headers=stamp))
            await asyncio.gather(*sent)


def _done(item: int) -> bytes:
    answer, timings = "It was decided last week. " * 8, {"total": 0.0123, "first_piece": 0.0101}
    return encode(
        Done(attempt=100, index=0, why="ok", text=answer, question=question(item), provider="openai", timings=timings)
    )


async def _until_ended(http: httpx.AsyncClient, task: str, stretch: Stretch) -> Figures:
    """Wait until a task is completed.

    Raises:
        RagError: nothing more comes of it, or not all of its items were answered.
    """
    before, heard = -1, time.monotonic()
    while True:
        found = (await http.get(f"/tasks/{task}")).raise_for_status().json()
        done = found["progress"]["completed"]
        stretch.reached(done)
        if found["status"] == "completed" and done == found["progress"]["total"]:
            return stretch.figures()
        if done > before:
            before, heard = done, time.monotonic()
        if found["status"] not in ("pending", "running") or time.monotonic() - heard > STALL:
            raise RagError(f"The task is {found['status']} at {found['progress']}.")
        await asyncio.sleep(LOOK)


async def _rebuild(settings: Settings, count: int) -> Figures:
    async with watched("rebuild", settings, "results", "rebuild") as rebuild:
        stretch = Stretch(count, rebuild)
        while rebuild.process.exit_code is None:
            await asyncio.sleep(LOOK)
            stretch.reached(0)
        return stretch.figures()


_ROW = "{:<10} {:<12} {:>10} {:>10} {:>10}  {:<34} {}"


def _report(found: dict[str, dict[str, Figures]]) -> dict[str, Any]:
    marks = ", ".join(f"{mark:.0%}" for mark in MARKS)
    print(f"\nthe bulk lane; memory in MiB at {marks} of the way and at most")
    print(_ROW.format("", "database", "count", "seconds", "a second", "CPU seconds", "memory"))
    for part in next(iter(found.values())):
        for name, parts in found.items():
            each = parts[part]
            cpu = ", ".join(f"{process} {seconds:.1f}" for process, seconds in each.cpu.items())
            held = "; ".join(f"{process} {' '.join(map(str, sizes))}" for process, sizes in each.memory.items())
            row = (part, name, each.count, f"{each.seconds:.1f}", f"{each.rate():,.0f}", cpu, held)
            print(_ROW.format(*row))
    print(flush=True)
    return {
        name: {part: each._asdict() | {"rate": round(each.rate(), 1)} for part, each in parts.items()}
        for name, parts in found.items()
    }
