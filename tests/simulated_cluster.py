"""One partition, its group and its workers in memory: the real stage runtime on a scheduler that picks what happens.

Real: stage, lanes, units, writer, progress, answers logic. Simulated: the broker, the network, the provider, time.
A worker is frozen when nothing reaches it and nothing leaves it; a killed one stays so and loses what it had not sent.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, NamedTuple

from faust.types import TP

from agents.assignment import Assignment
from agents.membership import Grant, next_grant
from agents.runtime import Stage
from agents.transport import Batch, Consumer
from tests.scripted_answers import SETTINGS, ScriptedAnswers
from topics import headers
from topics.catalog import ANSWERS, QUESTIONS
from topics.codec import encode
from topics.messages import Claim, Record
from topics.sources import Source

INPUT, OUTPUT = QUESTIONS.on(), ANSWERS.on()
TP0 = TP(INPUT, 0)


class Stored(NamedTuple):
    """A record on a topic; `writer` is the number of the worker that wrote it, which no reader knows."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes
    headers: Sequence[headers.Header]
    writer: int = -1


class Cluster:
    """The broker and the group; `chance` decides everything that is not decided by the code under test."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.input: list[Stored] = []
        self.output: list[Stored] = []
        self.buried: list[Any] = []
        self.committed: tuple[int | None, str] = (None, "")
        self.commits: list[tuple[int, str, int]] = []  # position, metadata, length of the output then
        self.generation = 0
        self.owner: Worker | None = None
        self.workers: list[Worker] = []
        self.crashes: list[BaseException] = []
        self.scripts: list[str] = []  # the whole text of each answer that a provider began

    def append(self, record: Record, session: str, source: Source | None, epoch: int) -> None:
        """Write to the input as the stage before does."""
        stamp = headers.stamp(source, epoch, 0) if source else headers.claim_stamp(epoch)
        key, offset = session.encode() if source else None, len(self.input)
        self.input.append(Stored(INPUT, 0, offset, 0, key, encode(record), stamp))

    def claim_input(self, epoch: int) -> None:
        """The stage before has a new writer."""
        self.append(Claim(epoch=epoch), "", None, epoch)

    def start(self) -> Worker:
        worker = Worker(self, len(self.workers))
        self.workers.append(worker)
        return worker

    def rebalance(self, owner: Worker) -> None:
        """The partition is given to a worker; everybody hears of it later."""
        self.generation, self.owner = self.generation + 1, owner

    def commit(self, generation: int, position: int, metadata: str) -> bool:
        """What a coordinator does with a commit."""
        if generation != self.generation:
            return False
        self.committed = (position, metadata)
        self.commits.append((position, metadata, len(self.output)))
        return True


CLUSTER: ContextVar[Cluster] = ContextVar("cluster")  # the one of the running history


class Worker:
    """One process: a stage, and in place of Faust's app, producer and consumer what stands below."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        self.cluster, self.number = cluster, number
        self.alive, self.frozen = True, False
        self.gates: list[asyncio.Future[None]] = []
        self.unsent: deque[tuple[Stored, asyncio.Future[Stored]]] = deque()
        self.unacknowledged: deque[tuple[Stored, asyncio.Future[Stored]]] = deque()
        self.batches: asyncio.Queue[Batch] = asyncio.Queue()
        self.conf = SimpleNamespace(broker_session_timeout=10.0, id="rag-answers")
        self.producer = SimpleNamespace(raw=self)
        self.consumer = Membership(self)
        self.stage: Any = None  # set by the stage
        stage = Stage(self, ScriptedAnswers(self), SETTINGS)
        stage.clock.frozen_after, stage.clock.interval = math.inf, 1e9
        self.body = asyncio.get_running_loop().create_task(stage.run(self.read()))

    @property
    def runs(self) -> bool:
        """Whether anything reaches it."""
        return self.alive and not self.frozen

    async def gate(self) -> None:
        """Wait until the scheduler lets this worker go on here."""
        gate = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        await gate

    async def read(self) -> AsyncIterator[Batch]:
        """What Faust hands to the agent."""
        while True:
            yield await self.batches.get()

    # -- as Faust's app and producer --

    async def crash(self, error: BaseException) -> None:
        """The stage gave up."""
        self.cluster.crashes.append(error)

    async def maybe_start_producer(self) -> None:
        """It needs no start."""

    async def send(
        self, topic: str, value: bytes, key: bytes | None = None, partition: int = 0, *, headers: Any = ()
    ) -> asyncio.Future[Stored]:
        """Queue a record; the scheduler brings it to the log, and the acknowledgement back."""
        future: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self.unsent.append((Stored(topic, partition, -1, 0, key, value, list(headers), self.number), future))
        return future

    async def send_and_wait(self, *args: Any, **kwargs: Any) -> Stored:
        return await (await self.send(*args, **kwargs))

    # -- what the scheduler may do with it --

    def deliver(self) -> None:
        """The oldest unsent record reaches the log."""
        record, future = self.unsent.popleft()
        log = self.cluster.output if record.topic == OUTPUT else self.cluster.buried
        stored = record._replace(offset=len(log))
        log.append(stored)
        self.unacknowledged.append((stored, future))

    def acknowledge(self) -> None:
        """The oldest acknowledgement on its way comes back."""
        stored, future = self.unacknowledged.popleft()
        if not future.done():
            future.set_result(stored)

    def open_gate(self) -> None:
        """One thing that it waits for happens."""
        gate = self.gates.pop(self.cluster.chance.randrange(len(self.gates)))
        if not gate.done():
            gate.set_result(None)

    def fetch(self) -> None:
        assignment = self.consumer.assignments[TP0]
        at = assignment.progress.next
        fetched = self.cluster.input[at : at + self.cluster.chance.randint(1, 3)]
        assignment.progress.fetched([record.offset for record in fetched])
        self.batches.put_nowait(Batch(fetched, assignment, self.stage.round))

    def can_fetch(self) -> bool:
        """Whether there is input that it does not have."""
        assignment = self.consumer.assignments.get(TP0)
        ready = assignment is not None and assignment.ready and self.batches.empty() and self.stage.feeding
        return ready and assignment is not None and assignment.progress.next < len(self.cluster.input)

    def choices(self) -> list[Any]:
        """What could happen to this worker next."""
        acts: list[Any] = []
        if self.consumer.generation != self.cluster.generation:
            acts.append(self.consumer.hear)
        if self.unsent:
            acts += [self.deliver] * 3
        if self.unacknowledged:
            acts += [self.acknowledge] * 3
        if self.gates:
            acts += [self.open_gate] * 3
        if self.can_fetch():
            acts += [self.fetch] * 2
        if self.consumer.assignments:
            acts += [self.consumer.tick] * 2
        return acts

    def kill(self) -> None:
        """Nothing of it happens any more; what was not sent is lost."""
        self.alive = False


class Membership:
    """In place of the Faust consumer: the grants of the group, and commits in an assignment's name."""

    _settled = True
    _settle: Any = Consumer._settle
    force_commit: Any = Consumer.force_commit

    def __init__(self, worker: Worker) -> None:
        self.worker, self.app = worker, SimpleNamespace(monitor=SimpleNamespace(on_tp_commit=lambda _: None))
        self.assignments: dict[TP, Assignment] = {}
        self.grant: Grant | None = None
        self._committing: asyncio.Task[Any] | None = None

    @property
    def generation(self) -> int:
        """The last one heard of."""
        return self.grant.generation if self.grant else 0

    def share(self, topic: str) -> float:
        """There is one partition."""
        return 1.0

    def hear(self) -> None:
        """As the transport after a rebalance."""
        cluster, stage = self.worker.cluster, self.worker.stage
        partitions = [TP0] if cluster.owner is self.worker else []
        self.grant = next_grant(self.grant, cluster.generation, f"worker-{self.worker.number}", partitions)
        stage.pause()
        self._settle(self.grant, {TP0: cluster.committed})
        stage.resume()
        for assignment in self.assignments.values():
            if not assignment.ready and not assignment.opening:
                stage.open(assignment)

    def tick(self) -> None:
        """Faust's commit timer."""
        if self._committing is None or self._committing.done():
            self._committing = asyncio.get_running_loop().create_task(self.force_commit())

    def caught_up(self, assignment: Assignment) -> bool:
        """Its reader is never behind what it was told of."""
        return True

    def has_room(self, assignment: Assignment) -> bool:
        """It is never full."""
        return True

    async def committed_states(self, partitions: list[TP]) -> dict[TP, tuple[int | None, str]]:
        """As the coordinator has them."""
        return dict.fromkeys(partitions, self.worker.cluster.committed)

    async def commit_as(self, due: list[tuple[Assignment, tuple[int, str]]]) -> bool | None:
        """Now and then the request or its answer is lost."""
        cluster, ((assignment, state),) = self.worker.cluster, due
        generation = assignment.generation
        await self.worker.gate()
        if cluster.chance.random() < 0.05:
            return None
        accepted = cluster.commit(generation, *state)
        await self.worker.gate()
        if cluster.chance.random() < 0.05:
            return None
        if accepted:
            assignment.committed = state
        return accepted

    async def seek_to(self, tp: TP, offset: int) -> None:
        """The read position is that of the assignment."""
