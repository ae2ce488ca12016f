"""What a takeover does when what it should know is lost, or when the topics do not belong together."""

from __future__ import annotations

import logging
import time
from contextlib import AsyncExitStack

import pytest
from aiokafka import TopicPartition

from agents.assignment import Assignment
from pipeline.errors import BrokerError
from pipeline.progress import Metadata
from pipeline.settings import Settings
from tests.workers import stored
from tests.writers import (
    CUTTING,
    Member,
    claims,
    commit_from_outside,
    committed,
    cutter,
    delete_below,
    heard,
    recreate,
    spoken,
    texts,
)
from topics.catalog import SENTENCES
from topics.sources import Source

pytestmark = pytest.mark.integration

MINUTE = 60.0


# -- what is known is lost ---------------------------------------------------------------------------------------------


async def test_lost_metadata_is_made_up_from_the_log_by_a_second_claim(
    kafka_settings: Settings, stack: AsyncExitStack
) -> None:
    await heard(kafka_settings, 2)
    for epoch in (1, 2):
        member = await cutter(stack, kafka_settings)
        assignment = await member.opened()
        await member.write(assignment, spoken(f"{epoch}."), Source(1, epoch))
        await member.fall_silent()
    await commit_from_outside(kafka_settings, CUTTING, 1)

    next_one = await cutter(stack, kafka_settings)
    taken = await next_one.opened()
    assert taken.epoch == 3
    assert texts(next_one) == ["1.", "2."]
    assert await claims(kafka_settings) == [1, 2, 1, 3]
    metadata = Metadata.parse((await committed(kafka_settings, CUTTING))[1])
    assert metadata is not None
    assert metadata.taken == 3


async def test_a_commit_that_is_said_not_to_be_there_is_asked_for_again(
    kafka_settings: Settings, stack: AsyncExitStack
) -> None:
    """A broker that has just come back may say so; the output shows that somebody has been there."""
    await heard(kafka_settings, 2)
    member = await cutter(stack, kafka_settings)
    assignment = await member.opened()
    member.take(assignment, 0, 1)
    await member.write(assignment, spoken("a."), Source(0, 1))
    assert await member.commit(assignment, 0, 1)
    await member.fall_silent()

    next_one = await cutter(stack, kafka_settings)
    taken = await next_one.granted()
    taken.inherit(None, "")
    assert await next_one.writer.open(taken)
    assert taken.progress.start == 2
    assert taken.epoch == assignment.epoch + 1


async def test_after_lost_metadata_a_frozen_writer_stays_below(kafka_settings: Settings, stack: AsyncExitStack) -> None:
    """Its epoch is the one that the log gives, and not one that starts again."""
    await heard(kafka_settings, 1)
    frozen = await cutter(stack, kafka_settings)
    old = await frozen.opened()
    await frozen.fall_silent()
    await commit_from_outside(kafka_settings, CUTTING, 0)
    owner = await cutter(stack, kafka_settings)
    new = await owner.opened()
    await frozen.write(old, spoken("Too late."), Source(0, 9))
    await owner.write(new, spoken("Said by the owner."), Source(0, 2))
    assert [item.record.text for item in await stored(kafka_settings, SENTENCES)] == ["Said by the owner."]


@pytest.mark.parametrize("how", ["recreated", "cut by retention"])
async def test_an_output_that_is_not_as_long_as_the_metadata_says_is_read_from_its_start(
    kafka_settings: Settings, stack: AsyncExitStack, how: str
) -> None:
    await heard(kafka_settings, 6)
    first = await cutter(stack, kafka_settings)
    assignment = await first.opened()
    for offset in range(5):
        first.take(assignment, offset)
        await first.write(assignment, spoken(f"{offset}."), Source(offset, 2))
    assert await first.commit(assignment, 0, 1, 2, 3)
    await first.fall_silent()
    if how == "recreated":
        await recreate(kafka_settings, CUTTING.writes(kafka_settings))
    else:
        await delete_below(kafka_settings, CUTTING.writes(kafka_settings), 6)  # claim and all five sentences

    second = await cutter(stack, kafka_settings)
    taken = await second.opened()
    assert (taken.epoch, taken.progress.start, texts(second)) == (2, 4, [])
    await second.write(taken, spoken("4, again."), Source(4, 2))
    assert [item.record.text for item in await stored(kafka_settings, SENTENCES)] == ["4, again."]


# -- topics that do not belong together --------------------------------------------------------------------------------


async def test_a_recreated_input_is_refused(kafka_settings: Settings, stack: AsyncExitStack) -> None:
    """With a topic Kafka forgets what groups have committed of it; our output knows better."""
    await heard(kafka_settings, 3)
    first = await cutter(stack, kafka_settings)
    assignment = await first.opened()
    for offset in range(3):
        first.take(assignment, offset)
        await first.write(assignment, spoken(f"{offset}."), Source(offset, 2))
    assert await first.commit(assignment, 0, 1, 2)
    await first.fall_silent()
    await recreate(kafka_settings, CUTTING.reads(kafka_settings))
    await heard(kafka_settings, 1)

    for _ in range(2):  # trying again does not help
        again = await cutter(stack, kafka_settings)
        with pytest.raises(BrokerError, match="from record 2. It was deleted and created again: delete"):
            await again.opened()
        await again.fall_silent()


async def test_a_position_that_the_input_does_not_have_is_refused_before_anything_is_claimed(
    kafka_settings: Settings, stack: AsyncExitStack
) -> None:
    await heard(kafka_settings, 2)
    await commit_from_outside(kafka_settings, CUTTING, 3)
    member = await cutter(stack, kafka_settings)
    with pytest.raises(BrokerError, match=r"the committed position is 3\. It was deleted and created again: delete"):
        await member.opened()
    assert await claims(kafka_settings) == []
    assert await committed(kafka_settings, CUTTING) == (3, "")


async def test_outputs_of_records_that_the_input_does_not_have_are_refused(
    kafka_settings: Settings, stack: AsyncExitStack
) -> None:
    first = await cutter(stack, kafka_settings)
    assignment = await first.opened()
    await first.write(assignment, spoken("Of the old log."), Source(7, 1))
    await first.fall_silent()
    second = await cutter(stack, kafka_settings)
    with pytest.raises(BrokerError, match="our output was made from record 7"):
        await second.opened()


async def test_records_that_retention_took_unread_are_told_and_the_rest_is_read(
    kafka_settings: Settings, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    await heard(kafka_settings, 6)
    first = await cutter(stack, kafka_settings)
    assignment = await first.opened()
    first.take(assignment, 0)
    assert await first.commit(assignment, 0)
    await first.fall_silent()
    await delete_below(kafka_settings, CUTTING.reads(kafka_settings), 4)

    second = await cutter(stack, kafka_settings)
    with caplog.at_level(logging.ERROR, "agents.writer"):
        taken = await second.opened()
    assert "records 1 to 3 are gone unread" in caplog.text
    assert (taken.progress.start, await next_offset(second, taken)) == (4, 4)


async def next_offset(member: Member, assignment: Assignment) -> int:
    """The first record that it is handed."""
    record = await member.fetcher.getone(TopicPartition(*assignment.tp))
    return int(record.offset)


# -- look-back ---------------------------------------------------------------------------------------------------------


async def test_a_stage_that_looks_back_recalls_what_is_younger_whatever_the_bound_says(
    kafka_settings: Settings, stack: AsyncExitStack
) -> None:
    now = time.time()
    await heard(kafka_settings, 4)
    first = await cutter(stack, kafka_settings)
    assignment = await first.granted()
    assignment.epoch = 1  # of an owner whose claim is older still
    for offset, minutes in enumerate((30, 11, 9, 1)):
        at = now - minutes * MINUTE
        await first.write(assignment, spoken(f"{minutes} minutes ago."), Source(offset, 1), at)
    assert await first.writer.open(assignment)
    first.take(assignment, 0, 1, 2, 3)
    assert await first.commit(assignment, 0, 1, 2, 3)
    await first.fall_silent()
    second = await cutter(stack, kafka_settings)
    await second.opened(look_back=10 * MINUTE)
    assert texts(second) == ["9 minutes ago.", "1 minutes ago."]
