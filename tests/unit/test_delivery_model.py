"""Random histories of one partition: workers that freeze, die and write too late, and clients that are cut anywhere.

`MODEL_RUNS=20000 pytest tests/unit/test_delivery_model.py` looks for longer. A failure names its seed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

import agents.answering
import agents.answers
from agents.unit import Unit
from pipeline import delivery
from pipeline.answers import Conversation
from pipeline.cursor import Cursor
from pipeline.delivery import Entry, View
from pipeline.progress import Begun, Fence, Progress
from tests.delivery_checks import Client, check
from tests.simulated_cluster import CLUSTER, Cluster
from tests.simulated_reader import Reader
from tests.simulated_time import simulate
from topics.messages import Control, NotAQuestion, Question, Record
from topics.sources import Source, public_id

pytestmark = [pytest.mark.unit, pytest.mark.timeout(3600)]

RUNS = int(os.environ.get("MODEL_RUNS", "200"))
SESSIONS = ["a", "b"]
LONGEST_INPUT = 14
ANCIENT = 1.0  # seconds since 1970: has expired


class History:
    """One seed's history."""

    def __init__(self, seed: int) -> None:
        self.cluster = Cluster(seed)
        self.chance = self.cluster.chance
        self.clients = {session: Client(session) for session in SESSIONS}
        self.epoch = 1  # of the input
        self.early: dict[str, str] = {}  # source of the early question of a session
        # without metadata the epoch of the input at the position is not known: void records there would be taken
        self.loses_metadata = self.chance.random() < 0.4
        self.wrong: set[str] = set()

    async def run(self) -> None:
        """Trouble first, then quiet until everything is done."""
        CLUSTER.set(self.cluster)
        self.cluster.claim_input(self.epoch)
        self.cluster.rebalance(self.cluster.start())
        for _ in range(self.chance.randint(60, 160)):
            self.trouble() if self.chance.random() < 0.2 else self.act()
            await asyncio.sleep(self.chance.choice([0.001, 0.001, 0.02, 1.0]))
        await self.quiet()
        self.wrong |= check(self.cluster, SESSIONS) | {f"a stage failed: {error!r}" for error in self.cluster.crashes}

    async def quiet(self) -> None:
        """Whoever is frozen goes on, and the owner is alive."""
        for worker in self.cluster.workers:
            worker.frozen = False
        self.cluster.rebalance(self.cluster.start())
        for _ in range(3000):
            self.act()
            await asyncio.sleep(0.05)
            if self.cluster.committed[0] == len(self.cluster.input):
                return
        self.wrong.add("records that are never done")

    def act(self) -> None:
        """Something goes on in some worker."""
        choices = [act for worker in self.cluster.workers if worker.runs for act in worker.choices()]
        if choices:
            self.chance.choice(choices)()

    def trouble(self) -> None:
        """Somebody speaks, or something goes wrong."""
        cluster, chance = self.cluster, self.chance
        running = [worker for worker in cluster.workers if worker.alive]
        what = chance.random()
        if what < 0.55 and len(cluster.input) < LONGEST_INPUT:
            self.speak()
        elif what < 0.65:
            cluster.rebalance(chance.choice(running))
        elif what < 0.72 and len(running) < 3:
            cluster.rebalance(cluster.start())
        elif what < 0.78:
            chance.choice(running).kill()
            cluster.rebalance(next((worker for worker in running if worker.runs), None) or cluster.start())
        elif what < 0.94:
            worker = chance.choice(running)
            worker.frozen = not worker.frozen
        elif what < 0.97 and self.loses_metadata:
            cluster.committed = (cluster.committed[0], "")  # a broker that drops metadata

    def speak(self) -> None:
        """A record of the stage before, in a valid epoch or not."""
        cluster, chance = self.cluster, self.chance
        session = chance.choice(SESSIONS)
        if chance.random() < 0.1:
            self.epoch += 1
            cluster.claim_input(self.epoch)
            return
        record = self.record(session)
        is_void = chance.random() < 0.08 and self.epoch > 1 and not self.loses_metadata
        source = Source(len(cluster.input), 0 if isinstance(record, Control) else 1)
        if isinstance(record, Question | NotAQuestion) and not is_void:
            record = self.settled(session, source, record)
        cluster.append(record, session, source, self.epoch - is_void)

    def record(self, session: str) -> Record:
        """Mostly questions."""
        kind, asked_at = self.chance.random(), self.chance.choice([0.0, 0.0, 0.0, 0.0, ANCIENT])
        if kind < 0.5:
            return Question(text="How?", original="How?", score=1.0, reason="", asked_at=asked_at)
        if kind < 0.65:
            return Control(action="instant_query", text="Now?", asked_at=asked_at)
        if kind < 0.85:
            return Control(action="cancel", question_id=self.named(session))
        if kind < 0.95:
            return NotAQuestion(text="Hm.", score=0.0, reason="")
        return Control(action="stop")

    def settled(self, session: str, source: Source, verdict: Question | NotAQuestion) -> Record:
        """Now and then an early question, or the verdict on the sentence that it became."""
        if early := self.early.pop(session, None):
            confirms = isinstance(verdict, Question) and self.chance.random() < 0.5
            return structs.replace(verdict, **{"confirms" if confirms else "replaces": early})
        if isinstance(verdict, Question) and self.chance.random() < 0.3:
            self.early[session] = str(source)
            return structs.replace(verdict, early=True)
        return verdict

    def named(self, session: str) -> str:
        """The question that a client sees, or now and then one that waits."""
        client = self.clients[session]
        client.follow(self.cluster.output, len(self.cluster.output))
        current = client.view.current
        if current is None or self.chance.random() < 0.3:
            current = Source(self.chance.randrange(len(self.cluster.input)), self.chance.randint(0, 1))
        return public_id(session, current)


def found_wrong(seed: int) -> set[str]:
    history = History(seed)
    simulate(history.run())
    return history.wrong


@pytest.fixture(autouse=True)
def in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers read back from the history's own log."""
    monkeypatch.setattr("agents.writer.AIOKafkaConsumer", Reader)


def test_no_history_gives_a_client_a_wrong_view() -> None:
    found = {seed: wrong for seed in range(RUNS) if (wrong := found_wrong(seed))}
    assert not found, f"{len(found)} of {RUNS} histories: {dict(list(found.items())[:5])}"


# -- the model can fail: each rule that is taken out is missed ---------------------------------------------------------

Mutation = Callable[[pytest.MonkeyPatch], None]


def no_fence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Fence, "admits", lambda self, epoch, *, is_claim: True)


def claims_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    admits = Fence.admits
    patch.setattr(Fence, "admits", lambda self, epoch, *, is_claim: admits(self, epoch, is_claim=is_claim) or is_claim)


def the_view_does_not_compare_epochs(patch: pytest.MonkeyPatch) -> None:
    fold = delivery.fold

    def blind(view: View, entry: Entry) -> Any:
        return fold(view, entry._replace(epoch=view.epoch))

    patch.setattr(delivery, "fold", blind)
    patch.setattr(agents.answers, "fold", blind)


def attempts_do_not_know_their_epoch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(agents.answering, "attempt_number", lambda epoch, retry: 100 + retry)


def the_bound_is_taken_at_commit_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Progress, "bound", lambda self, position: None)


def the_bound_is_that_of_the_record_at_the_position(patch: pytest.MonkeyPatch) -> None:
    def bound(self: Any, position: int) -> Begun | None:
        return next((begun for begun in self._begun if begun.offset == position), None)

    patch.setattr(Progress, "bound", bound)


def what_is_done_above_the_position_is_skipped(patch: pytest.MonkeyPatch) -> None:
    position = Progress.position
    patch.setattr(Progress, "position", lambda self: max([position(self), *(at + 1 for at in self._finished)]))


def a_record_is_done_before_its_output_is_stored(patch: pytest.MonkeyPatch) -> None:
    emit = Unit.emit

    async def hasty(self: Any, *args: Any, **kwargs: Any) -> None:
        await emit(self, *args, **kwargs)
        self._holds -= 1

    patch.setattr(Unit, "emit", hasty)


def a_control_is_done_before_the_end_that_it_caused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Unit, "hold", lambda self: None)


def withdrawn_questions_are_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Conversation, "withdraw", lambda self, by: [])


def cursors_do_not_count_messages(patch: pytest.MonkeyPatch) -> None:
    at = Cursor.at.__func__  # type: ignore[attr-defined]
    patch.setattr(
        Cursor, "at", classmethod(lambda cls, session, offset, view, seen=0, value=b"": at(cls, session, offset, view))
    )


MUTATIONS: list[Mutation] = [
    no_fence,
    claims_are_not_compared,
    the_view_does_not_compare_epochs,
    attempts_do_not_know_their_epoch,
    the_bound_is_taken_at_commit_time,
    the_bound_is_that_of_the_record_at_the_position,
    what_is_done_above_the_position_is_skipped,
    a_record_is_done_before_its_output_is_stored,
    a_control_is_done_before_the_end_that_it_caused,
    withdrawn_questions_are_asked,
    cursors_do_not_count_messages,
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_rule_taken_out_is_missed(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation(monkeypatch)
    assert any(found_wrong(seed) for seed in range(RUNS))
