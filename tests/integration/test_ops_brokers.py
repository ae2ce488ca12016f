"""Brokers on one machine and the topics on them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import NodeNotReadyError

from ops.admin import admin_client, check_topics, create_topics, topic_states
from ops.broker.process import LocalBroker
from pipeline.errors import BrokerAway, BrokerError
from pipeline.settings import Settings
from topics.catalog import SENTENCES, TRANSCRIPTS, topic_names

pytestmark = pytest.mark.integration


async def test_records_survive_a_kill_of_the_broker(own_kafka: LocalBroker, own_kafka_settings: Settings) -> None:
    topic = TRANSCRIPTS.on(prefix=own_kafka_settings.topic_prefix)
    address = own_kafka.bootstrap_servers
    async with AIOKafkaProducer(bootstrap_servers=address, acks="all") as producer:
        await producer.send_and_wait(topic, b"said before the kill", partition=1)
    own_kafka.kill()
    await own_kafka.process.ended()
    await own_kafka.start()
    assert own_kafka.bootstrap_servers == address
    consumer = AIOKafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, 1)])
    async with consumer:
        assert (await consumer.getone()).value == b"said before the kill"


async def test_a_frozen_broker_answers_after_the_thaw(own_kafka: LocalBroker, own_kafka_settings: Settings) -> None:
    topic = TRANSCRIPTS.on(prefix=own_kafka_settings.topic_prefix)
    async with AIOKafkaProducer(bootstrap_servers=own_kafka.bootstrap_servers, acks="all") as producer:
        await producer.send_and_wait(topic, b"warm", partition=0)
        own_kafka.freeze()
        sending = asyncio.create_task(producer.send_and_wait(topic, b"while frozen", partition=0))
        done, _ = await asyncio.wait({sending}, timeout=0.5)
        assert not done
        own_kafka.thaw()
        assert (await sending).offset == 1


async def test_a_broker_that_goes_away_in_the_middle_is_away_and_does_not_refuse(kafka_settings: Settings) -> None:
    """Who can wait for it waits; only a refusal is for a person to mend."""
    with pytest.raises(BrokerAway, match="No Kafka answers"):
        async with admin_client(kafka_settings):
            raise NodeNotReadyError


async def test_topics_are_created_once_with_equal_partitions(kafka_settings: Settings) -> None:
    assert await create_topics(kafka_settings) == []
    states = await topic_states(kafka_settings)
    assert [state.name for state in states] == topic_names(kafka_settings.topic_prefix)
    assert {state.partitions for state in states} == {4}


async def test_missing_topics_are_named_with_the_command_that_makes_them(kafka_settings: Settings) -> None:
    nobody = replace(kafka_settings, topic_prefix="nobody")
    with pytest.raises(BrokerError, match="no topic of ours at all. Run `realtime-rag topics create`"):
        await check_topics(nobody)


async def test_topics_of_a_lane_with_unequal_partitions_are_refused(kafka_settings: Settings) -> None:
    name = SENTENCES.on(prefix=kafka_settings.topic_prefix)
    await _recreate(kafka_settings, NewTopic(name, 5, 1))
    with pytest.raises(BrokerError, match=f"{name} has 5"):
        await check_topics(kafka_settings)


async def test_a_compacted_topic_is_refused(kafka_settings: Settings) -> None:
    name = SENTENCES.on(prefix=kafka_settings.topic_prefix)
    await _recreate(kafka_settings, NewTopic(name, 4, 1, topic_configs={"cleanup.policy": "compact"}))
    with pytest.raises(BrokerError, match=f"{name} has cleanup.policy=compact"):
        await check_topics(kafka_settings)


async def _recreate(settings: Settings, topic: NewTopic) -> None:
    async with admin_client(settings) as client:
        await client.delete_topics([topic.name])
        async with asyncio.timeout(10):
            while topic.name in await client.list_topics() or (await client.create_topics([topic])).topic_errors[0][1]:
                await asyncio.sleep(0.05)
            while topic.name not in await client.list_topics():
                await asyncio.sleep(0.05)
