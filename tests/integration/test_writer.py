"""Two members of one group and one output partition: who may write it, and what a takeover reads back."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from agents.assignment import Assignment
from agents.writer import Writer
from pipeline.delivery import Entry, View, fold
from pipeline.progress import Metadata
from pipeline.settings import Settings
from tests.workers import Tail, stored, stored_until, working
from tests.writers import ANSWERING, CUTTING, SESSION, Member, claims, committed, cutter, hear, heard, spoken, texts
from topics.catalog import ANSWERS, QUESTIONS, SENTENCES
from topics.codec import decode
from topics.headers import read_stamp
from topics.messages import Begin, Done, Piece
from topics.sources import Source

pytestmark = pytest.mark.integration


# -- epochs ------------------------------------------------------------------------------------------------------------


async def test_an_epoch_is_committed_before_it_is_claimed(kafka_settings: Settings, stack: AsyncExitStack) -> None:
    member = await cutter(stack, kafka_settings)
    assignment = await member.granted()
    appended = asyncio.Event()

    async def claim(partition: int, epoch: int) -> int:
        taken = Metadata.parse((await committed(kafka_settings, CUTTING))[1])
        assert taken is not None
        assert taken.taken == epoch
        appended.set()
        return await Writer.claim(member.writer, partition, epoch)

    member.writer.claim = claim  # type: ignore[method-assign]
    assert await member.writer.open(assignment)
    assert appended.is_set()
    assert (assignment.epoch, await claims(kafka_settings)) == (1, [1])


async def test_each_owner_takes_the_next_epoch_and_recalls_what_was_written(
    kafka_settings: Settings, stack: AsyncExitStack
) -> None:
    await heard(kafka_settings, 1)
    for epoch, said in ((1, "One."), (2, "Two."), (3, "Three.")):
        member = await cutter(stack, kafka_settings)
        assignment = await member.opened()
        assert assignment.epoch == epoch
        await member.write(assignment, spoken(said), Source(0, epoch))
        await member.fall_silent()
    assert texts(member) == ["One.", "Two."]
    assert await claims(kafka_settings) == [1, 2, 3]


async def test_only_what_was_begun_at_or_above_the_position_is_recalled(
    kafka_settings: Settings, stack: AsyncExitStack
) -> None:
    await heard(kafka_settings, 3)
    first = await cutter(stack, kafka_settings)
    assignment = await first.opened()
    for offset in range(3):
        first.take(assignment, offset)
        await first.write(assignment, spoken(f"{offset}."), Source(offset, 4))
    assert await first.commit(assignment, 0, 1)
    await first.fall_silent()
    second = await cutter(stack, kafka_settings)
    taken = await second.opened()
    assert (taken.progress.start, texts(second)) == (2, ["2."])


# -- two writers -------------------------------------------------------------------------------------------------------


async def frozen_and_owner(stack: AsyncExitStack, settings: Settings) -> list[tuple[Member, Assignment]]:
    """One who wrote a sentence in time and is taken for dead, and his successor, each with the partition."""
    await heard(settings, 1)
    frozen = await cutter(stack, settings)
    old = await frozen.opened()
    await frozen.write(old, spoken("In time."), Source(0, 1))
    await frozen.fall_silent()
    owner = await cutter(stack, settings)
    return [(frozen, old), (owner, await owner.opened())]


async def test_what_a_frozen_writer_adds_later_is_void_for_the_read_back(
    kafka_settings: Settings, stack: AsyncExitStack
) -> None:
    (frozen, old), (owner, new) = await frozen_and_owner(stack, kafka_settings)
    await frozen.write(old, spoken("Too late."), Source(0, 9))
    await owner.write(new, spoken("Said by the owner."), Source(0, 2))
    await owner.fall_silent()

    third = await cutter(stack, kafka_settings)
    await third.opened()
    assert texts(third) == ["In time.", "Said by the owner."]


async def test_what_a_frozen_writer_adds_later_is_void_for_the_next_stage(
    kafka_settings: Settings, stack: AsyncExitStack
) -> None:
    (frozen, old), (owner, new) = await frozen_and_owner(stack, kafka_settings)
    await frozen.write(old, spoken("Too late."), Source(0, 2))
    await owner.write(new, spoken("Said by the owner."), Source(0, 3))
    async with working(kafka_settings, "questions"):
        judged = await stored_until(kafka_settings, QUESTIONS, 2)
        await owner.write(new, spoken("And so on."), Source(0, 4))
        judged = await stored_until(kafka_settings, QUESTIONS, 3)
    assert [item.record.text for item in judged] == ["In time.", "Said by the owner.", "And so on."]


async def test_what_a_frozen_writer_adds_later_is_void_for_the_view(
    kafka_settings: Settings, stack: AsyncExitStack
) -> None:
    source = Source(0, 5)
    await hear(kafka_settings, ANSWERING.reads(kafka_settings), [b"a question"])
    frozen = await stack.enter_async_context(Member.of(kafka_settings, ANSWERING))
    old = await frozen.opened()
    await frozen.write(old, Begin(question="How long?", attempt=100), source)
    await frozen.write(old, Piece(attempt=100, index=0, text="Four "), source)
    await frozen.fall_silent()
    owner = await stack.enter_async_context(Member.of(kafka_settings, ANSWERING))
    new = await owner.opened()
    assert [type(record) for _, record in owner.recalled] == [Begin, Piece]

    await owner.write(new, Begin(question="How long?", attempt=200), source)
    await frozen.write(old, Piece(attempt=100, index=1, text="weeks."), source)
    await owner.write(new, Piece(attempt=200, index=0, text="Five days."), source)
    await frozen.write(old, Done(attempt=100, index=2, why="ok", text="Four weeks."), source)
    await owner.write(new, Done(attempt=200, index=1, why="ok", text="Five days."), source)
    assert await shown(kafka_settings) == ["Four ", "Five days.", ""]


async def shown(settings: Settings) -> list[str]:
    """What a client is shown, folded from every record of the topic as the gateways do."""
    view, answers = View(), []
    async with Tail.of(settings, ANSWERS) as tail:
        await tail.to_the_end()
        for raw in tail.raw:
            entry = entry_of(raw)
            view, messages = fold(view, entry) if entry else (view, [])
            answers += [message["content"] for message in messages if message["type"] == "answer"]
    return answers


def entry_of(raw: Any) -> Entry | None:
    """A record of the answers topic as the view takes it; claims are none."""
    stamp = read_stamp(raw.headers)
    return None if stamp.source is None else Entry(SESSION, stamp.source, stamp.epoch, decode(ANSWERS, raw.value))


async def test_a_claim_that_comes_late_does_not_count_and_its_writer_is_refused(
    kafka_settings: Settings, stack: AsyncExitStack
) -> None:
    """Frozen between the commit that took the epoch and the claim."""
    late = await cutter(stack, kafka_settings)
    assignment = await late.granted()
    asked, woken = asyncio.Event(), asyncio.Event()

    async def claim(partition: int, epoch: int) -> int:
        asked.set()
        await woken.wait()
        return await Writer.claim(late.writer, partition, epoch)

    late.writer.claim = claim  # type: ignore[method-assign]
    opening = asyncio.create_task(late.writer.open(assignment))
    await asked.wait()
    await late.fall_silent()
    owner = await cutter(stack, kafka_settings)
    taken = await owner.opened()
    woken.set()
    assert not await opening
    assert not assignment.ready
    await owner.write(taken, spoken("Still mine."), Source(0, 1))
    assert taken.epoch == 2
    assert await claims(kafka_settings) == [2, 1]
    assert [item.record.text for item in await stored(kafka_settings, SENTENCES)] == ["Still mine."]


async def test_whoever_is_no_member_any_more_claims_nothing_and_commits_nothing(
    kafka_settings: Settings, stack: AsyncExitStack
) -> None:
    await heard(kafka_settings, 1)
    old = await cutter(stack, kafka_settings)
    opened, asleep = await old.opened(), await old.granted(1)
    await old.fall_silent()
    owner = await cutter(stack, kafka_settings)
    await owner.opened()
    before = await committed(kafka_settings, CUTTING)

    assert not await old.writer.open(asleep)
    old.take(opened, 0)
    assert not await old.commit(opened, 0)
    assert await committed(kafka_settings, CUTTING) == before
    assert await claims(kafka_settings) == [1, 2]


async def test_a_commit_of_an_old_generation_is_refused_though_its_member_is_still_there(
    kafka_settings: Settings, stack: AsyncExitStack
) -> None:
    first = await cutter(stack, kafka_settings)
    old = await first.opened()
    second = await cutter(stack, kafka_settings)
    async with asyncio.timeout(20):  # until both have heard of the new generation
        while first.fetcher._coordinator.generation == old.generation or not second.fetcher.assignment():
            await asyncio.sleep(0.02)
    assert first.fetcher._coordinator.member_id == old.member
    assert await first.commit(old) is False
