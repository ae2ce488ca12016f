"""Topics on the broker as the catalogue wants them: made where missing, checked where there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, NoError, TopicAlreadyExistsError, for_code

from pipeline.errors import BrokerAway, BrokerError
from pipeline.settings import Settings
from topics.catalog import ASIDE, EMBEDDED_PARTITIONS, PARTITIONS, RIVER, Lane, Topic

WAIT = 5.0  # seconds in which a broker that is just starting may come up


@dataclass(frozen=True)
class TopicState:
    """A topic of the catalogue and how many partitions it has on the broker; 0: it is not there."""

    name: str
    partitions: int


def catalogue(prefix: str) -> dict[str, Topic]:
    """Name on the broker to entry of the catalogue, in the order of the flow."""
    names = {topic.on(lane, prefix): topic for lane in Lane for topic in RIVER}
    return names | {topic.on(prefix=prefix): topic for topic in ASIDE}


@asynccontextmanager
async def admin_client(settings: Settings, wait: float = WAIT) -> AsyncIterator[AIOKafkaAdminClient]:
    """A connected admin client; it tries for `wait` seconds.

    Raises:
        BrokerAway: no broker answers at KAFKA_BOOTSTRAP_SERVERS, or not any more.
        BrokerError: it refuses.
    """
    with _quiet_client():
        client = await _connect(settings, time.monotonic() + wait)
    try:
        yield client
    except KafkaError as exc:
        if exc.retriable:  # it went away after it had answered
            raise BrokerAway(_unreachable(settings, exc)) from exc
        raise BrokerError(f"Kafka at {settings.kafka_bootstrap_servers} refused: {exc}") from exc
    finally:
        await client.close()


@contextmanager
def _quiet_client() -> Iterator[None]:
    """The client logs every attempt to connect; only the last one matters, and we say that ourselves."""
    log = logging.getLogger("aiokafka")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


async def _connect(settings: Settings, until: float) -> AIOKafkaAdminClient:
    while True:
        client = AIOKafkaAdminClient(**settings.kafka_client(), request_timeout_ms=5000)
        try:
            await client.start()
            return client
        except (KafkaError, OSError) as exc:
            await client.close()
            if time.monotonic() > until:
                raise BrokerAway(_unreachable(settings, exc)) from exc
        except ValueError as exc:  # aiokafka on an address or a SASL mechanism that it does not know
            raise BrokerError(_unreachable(settings, exc)) from exc
        await asyncio.sleep(0.2)


def _unreachable(settings: Settings, exc: Exception) -> str:
    return (
        f"No Kafka answers at KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers} ({_reason(exc)})."
        " Start it, or correct the address and KAFKA_SECURITY_PROTOCOL."
    )


def _reason(exc: Exception) -> str:
    """An error of aiokafka without the list of every address that it tried."""
    return str(exc).partition(" from [")[0] or type(exc).__name__


async def wait_for_broker(settings: Settings, wait: float = WAIT) -> None:
    """Return when a broker answers; raises BrokerError when none does for `wait` seconds."""
    async with admin_client(settings, wait) as client:
        await client.describe_cluster()


async def topic_states(settings: Settings) -> list[TopicState]:
    """How the catalogue's topics stand on the broker, in the order of the flow."""
    async with admin_client(settings) as client:
        return await _states(client, settings)


async def _states(client: AIOKafkaAdminClient, settings: Settings) -> list[TopicState]:
    names = list(catalogue(settings.topic_prefix))
    there = set(await client.list_topics())  # asking for a missing one by name would create it on some brokers
    described = await client.describe_topics([name for name in names if name in there]) if there else []
    partitions = {topic["topic"]: len(topic["partitions"]) for topic in described}
    return [TopicState(name, partitions.get(name, 0)) for name in names]


async def create_topics(settings: Settings, partitions: int | None = None) -> list[str]:
    """Create the topics that are missing; a lane gets as many partitions as it has, or else `partitions`.

    Returns:
        Names of those created.

    Raises:
        BrokerError: the broker refused, or what stands there already does not fit.
    """
    wanted = partitions or (EMBEDDED_PARTITIONS if settings.kafka_embedded else PARTITIONS)
    async with admin_client(settings) as client:
        states = await _states(client, settings)
        missing = [state.name for state in states if not state.partitions]
        wanted = max([state.partitions for state in states if state.partitions], default=wanted)
        if missing:
            response = await client.create_topics([_new_topic(name, wanted, settings) for name in missing])
            _raise_refusals(response.topic_errors, settings)
            await _until_there(client, settings)
    await check_topics(settings)
    return missing


def _new_topic(name: str, partitions: int, settings: Settings) -> NewTopic:
    topic = catalogue(settings.topic_prefix)[name]
    configs = {"cleanup.policy": "delete", "retention.ms": str(round(topic.retention * 1000))}
    if topic.compacted:
        configs = {"cleanup.policy": "compact"}
    if settings.kafka_replication >= 3:
        configs["min.insync.replicas"] = "2"  # an acknowledged record stands on two disks
    return NewTopic(name, partitions, settings.kafka_replication, topic_configs=configs)


def _raise_refusals(topic_errors: list[tuple[str, int, str | None]], settings: Settings) -> None:
    for name, code, message in topic_errors:
        error = for_code(code)
        if error not in (NoError, TopicAlreadyExistsError):  # somebody else may create them at the same time
            raise BrokerError(f"Kafka would not create topic {name}: {message or error.__name__}.")


async def _until_there(client: AIOKafkaAdminClient, settings: Settings) -> None:
    until = time.monotonic() + WAIT
    while any(not state.partitions for state in await _states(client, settings)):
        if time.monotonic() > until:
            raise BrokerError(f"Kafka at {settings.kafka_bootstrap_servers} created the topics but does not show them.")
        await asyncio.sleep(0.05)


async def check_topics(settings: Settings) -> None:
    """Return when every topic is there and fits.

    Raises:
        BrokerError: names the topics that are missing, differ in partitions from their lane, or are compacted.
    """
    async with admin_client(settings) as client:
        states = await _states(client, settings)
        if missing := [state.name for state in states if not state.partitions]:
            lacking = ", ".join(missing) if len(missing) < len(states) else "of ours at all"
            raise BrokerError(
                f"Kafka at {settings.kafka_bootstrap_servers} has no topic {lacking}. Run `realtime-rag topics create`."
            )
        _check_partitions(states, settings.topic_prefix)
        await _check_policies(client, catalogue(settings.topic_prefix))


async def wait_for_topics(settings: Settings, say: Callable[[str], None]) -> None:
    """As `check_topics`, but a broker that does not answer is waited for, for ever; `say` gets one line about it."""
    said = False
    while True:
        try:
            return await check_topics(settings)
        except BrokerAway as exc:
            if not said:
                say(f"{exc} Waiting for it.")
            said = True


def _check_partitions(states: list[TopicState], prefix: str) -> None:
    """A stage writes to the partition number that it reads, so the topics of a lane must have equally many."""
    count = {state.name: state.partitions for state in states}
    for lane in Lane:
        names = [topic.on(lane, prefix) for topic in RIVER]
        if len({count[name] for name in names}) > 1:
            listed = ", ".join(f"{name} has {count[name]}" for name in names)
            raise BrokerError(
                f"The topics of a lane need equally many partitions: {listed}. Recreate those that differ."
            )


async def _check_policies(client: AIOKafkaAdminClient, topics: Mapping[str, Topic]) -> None:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics]
    for response in await client.describe_configs(resources):
        for _, _, _, name, entries in (resource[:5] for resource in response.resources):
            policy = {entry[0]: entry[1] for entry in entries}.get("cleanup.policy", "")
            if policy and ("compact" in policy) != topics[name].compacted:
                raise BrokerError(_wrong_policy(name, policy, topics[name]))


def _wrong_policy(name: str, policy: str, topic: Topic) -> str:
    if topic.compacted:
        return f"Topic {name} has cleanup.policy={policy}: tasks would be forgotten while they run. Set it to compact."
    return (
        f"Topic {name} has cleanup.policy={policy}: compaction would remove records of a running session."
        " Set it to delete."
    )
