"""Does to a running cluster and its clients what the schedule says."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Sequence

from tests.chaos.cluster import MOST, WORKERS, Cluster, Slot
from tests.chaos.evidence import Fault
from tests.chaos.schedule import STAGES, Moment, Step
from tests.chaos.talkers import Talker

FROZEN = 15.0  # seconds that a process stands still: longer than the group waits for it
BROKER_FROZEN = 13.0  # seconds; the same for all at once
FIND_VICTIM = 20.0  # seconds
MOST_STARTING = 3  # processes, when the next fault comes
FIND_MOMENT = 5.0  # seconds until a fault happens at any moment


class Chaos:
    """Runs the steps of a schedule; `done` is what happened and when."""

    def __init__(self, cluster: Cluster, talkers: Sequence[Talker]) -> None:
        self.cluster, self.talkers = cluster, talkers
        self.done: list[Fault] = []
        self._behind: set[asyncio.Task[None]] = set()
        self._broker_is_away = False

    async def run(self, steps: Sequence[Step], tell: Callable[[str], None], seconds: float) -> None:
        """One step after the other, for so long; what stands still does so while others follow."""
        until = time.monotonic() + seconds
        for number, step in enumerate(steps, start=1):
            await asyncio.sleep(step.gap)
            await self._calm()
            if time.monotonic() > until:
                break
            tell(f"{number}/{len(steps)} {step.kind} {step.stage if 'worker' in step.kind else ''}")
            act: Callable[[Step], Awaitable[None]] = getattr(self, step.kind)
            await act(step)
        while self._behind:
            await asyncio.gather(*self._behind)

    async def _calm(self) -> None:
        """Let those that start come up: a fault that meets a standstill shows nothing."""
        until = time.monotonic() + FIND_VICTIM
        while self.cluster.starting() > MOST_STARTING and time.monotonic() < until:
            await asyncio.sleep(0.1)

    def _note(self, kind: str, target: str, partitions: Sequence[int] = ()) -> None:
        self.done.append(Fault(time.time(), kind, target, list(partitions)))

    async def _victim(self, stage: str, chosen: int) -> Slot:
        """A process that runs and works; after some time any that runs."""
        until = time.monotonic() + FIND_VICTIM
        while True:
            slots = [slot for slot in self.cluster.of(stage) if slot.is_wanted]
            turned = slots[chosen % len(slots) :] + slots[: chosen % len(slots)]
            for slot in turned:
                if slot.is_up or (time.monotonic() > until and not slot.is_frozen):
                    return slot
            await asyncio.sleep(0.1)

    # -- workers ---------------------------------------------------------------------------------

    async def kill_worker(self, step: Step) -> None:
        """SIGKILL; a caught one has been held until there was something to read for it."""
        slot, partitions = await self._working(step)
        if step.caught:
            slot.signal(signal.SIGSTOP)
            await self.cluster.until_fed(slot, partitions)
        else:
            await self._moment(slot.stage, partitions)
        self._note("kill_worker", slot.name, partitions)
        slot.signal(signal.SIGKILL, step.down)

    async def _working(self, step: Step) -> tuple[Slot, list[int]]:
        for turn in range(4):
            slot = await self._victim(step.stage, step.slot + turn)
            if partitions := await self.cluster.partitions_of(slot):
                return slot, partitions
            await asyncio.sleep(0.5)
        return slot, []

    async def _moment(self, stage: str, partitions: Sequence[int]) -> None:
        """Wait until a worker of these partitions has something to do, as far as the clients can tell."""
        until = time.monotonic() + FIND_MOMENT
        while time.monotonic() < until:
            mine = [talker for talker in self.talkers if self.cluster.partition_of(talker.session) in partitions]
            if any(talker.is_speaking if stage == "sentences" else talker.running for talker in mine):
                return
            await asyncio.sleep(0.02)

    async def term_worker(self, step: Step) -> None:
        """SIGTERM."""
        slot, partitions = await self._working(step)
        self._note("term_worker", slot.name, partitions)
        slot.signal(signal.SIGTERM, step.down)

    async def freeze_worker(self, step: Step) -> None:
        """SIGSTOP, and SIGCONT when the group has long given its partitions away."""
        slot, partitions = await self._working(step)
        self._note(step.kind, slot.name, partitions)
        self._freeze(slot)

    async def freeze_open_sentence(self, step: Step) -> None:
        """The same for a worker that holds chunks of a sentence that has not ended."""
        slot, partitions = await self._working(step)
        await self._moment("sentences", partitions)
        self._note(step.kind, slot.name, partitions)
        self._freeze(slot)

    def _freeze(self, slot: Slot) -> None:
        slot.is_frozen = True
        slot.signal(signal.SIGSTOP)

        async def thaw() -> None:
            await asyncio.sleep(FROZEN)
            slot.signal(signal.SIGCONT)
            slot.is_frozen = False

        task = asyncio.create_task(thaw())
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)

    # -- gateways and clients --------------------------------------------------------------------

    async def kill_gateway(self, step: Step) -> None:
        """SIGKILL, with clients in the middle of something."""
        slot = await self._victim("gateway", step.slot)
        until = time.monotonic() + FIND_MOMENT
        while time.monotonic() < until and not any(t.running and t.gateway == slot.name for t in self.talkers):
            await asyncio.sleep(0.02)
        self._note(step.kind, slot.name)
        slot.signal(signal.SIGKILL, step.down)

    async def term_gateway(self, step: Step) -> None:
        """SIGTERM."""
        slot = await self._victim("gateway", step.slot)
        self._note(step.kind, slot.name)
        slot.signal(signal.SIGTERM, step.down)

    async def freeze_gateway(self, step: Step) -> None:
        """SIGSTOP and SIGCONT."""
        slot = await self._victim("gateway", step.slot)
        self._note(step.kind, slot.name)
        self._freeze(slot)

    async def cut_client(self, step: Step) -> None:
        """The socket goes as soon as the client has heard a message of this kind."""
        running = [talker for talker in self.talkers if talker.running] or self.talkers
        talker = running[step.slot % len(running)]
        talker.cut_at = step.where
        self._note(step.kind, talker.name)

    # -- all of it -------------------------------------------------------------------------------

    async def kill_broker(self, step: Step | Moment) -> None:
        """SIGKILL, and started again on its data."""
        self._note("kill_broker", "broker")
        self.cluster.broker.kill()
        await self.cluster.broker.process.ended()
        await asyncio.sleep(step.down)
        await self.cluster.broker.start()

    async def freeze_broker(self, step: Step) -> None:
        """Longer than a session of the groups."""
        self._note(step.kind, "broker")
        self.cluster.broker.freeze()
        try:
            await asyncio.sleep(BROKER_FROZEN)
        finally:
            self.cluster.broker.thaw()

    async def rolling_restart(self, step: Step) -> None:
        """Every worker of every stage, one after the other."""
        for stage in STAGES:
            for number in range(WORKERS):
                slot = await self._victim(stage, number)
                self._note(step.kind, slot.name, await self.cluster.partitions_of(slot))
                slot.signal(signal.SIGTERM)
                await slot.gone()
                await self._victim(stage, number)

    async def scale(self, step: Step) -> None:
        """1 → 3 → 1 workers of a stage, then as many as there were."""
        for count in (1, MOST, 1, WORKERS):
            self._note(step.kind, f"{step.stage}-{count}")
            slots = self.cluster.of(step.stage)
            for slot in slots[count:]:
                slot.is_wanted = False
                slot.signal(signal.SIGTERM)
            for slot in slots[:count]:
                slot.is_wanted = True
            await asyncio.sleep(6.0)
