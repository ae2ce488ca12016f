"""What the clients of a run say: statements, questions in one piece and in fragments, controls in the middle of it."""

from __future__ import annotations

import asyncio
import random

from tests.chaos.talkers import Talker

QUEUED = 3  # questions said and not answered; with so many a client waits
PATIENCE = 30.0  # seconds until it speaks on all the same
THINGS = ("refund", "parcel", "contract", "invoice", "delivery", "order", "ticket", "booking")
LAST_WORD = 120.0  # seconds for everything that is open at the end


class Speaker:
    """Speaks through one client until told to stop."""

    def __init__(self, talker: Talker, dice: random.Random) -> None:
        self.talker, self.dice = talker, dice
        self.said = 0
        self.acts = {
            self.state: 3.0,
            self.ask: 5.0,
            self.ask_in_fragments: 4.0,
            self.leave_open: 2.0,
            self.ask_twice: 1.0,
            self.interrupt: 1.0,
            self.cancel: 1.0,
            self.stop: 0.15,
        }

    async def speak(self, stop: asyncio.Event) -> None:
        """One act after the other, then a last question; returns when all is answered."""
        while not stop.is_set():
            (act,) = self.dice.choices(list(self.acts), list(self.acts.values()))
            await act()
            if not await self.talker.wait(lambda: self.talker.waiting < QUEUED or stop.is_set(), PATIENCE):
                self.talker.waiting = 0
            await asyncio.sleep(self.dice.uniform(0.05, 0.8))
        await self.finish()

    def _thing(self) -> str:
        self.said += 1
        return f"{self.dice.choice(THINGS)} {self.talker.name} {self.said}"

    async def state(self) -> None:
        """A sentence that asks nothing."""
        await self.talker.chunk(f"We have sent the {self._thing()} this morning.")

    async def ask(self) -> None:
        """A question in one chunk; sometimes its answer is waited for."""
        self.talker.waiting += 1
        await self.talker.chunk(f"How long does it take to handle the {self._thing()}?")
        await self.talker.wait(lambda: self.talker.running is None, self.dice.choice((0.2, 2.0, 10.0)))

    async def ask_in_fragments(self) -> None:
        """A question over several chunks."""
        self.talker.waiting += 1
        spoken = f"So I would like to know, what does the {self._thing()} cost us?".split(" ")
        self.talker.is_speaking = True
        while spoken:
            count = self.dice.randint(3, 8)
            await self.talker.chunk(" ".join(spoken[:count]))
            spoken = spoken[count:]
            await asyncio.sleep(self.dice.uniform(0.0, 0.7))
        self.talker.is_speaking = False

    async def leave_open(self) -> None:
        """A sentence without an end: silence has to end it."""
        self.talker.is_speaking = True
        self.talker.waiting += 1
        await self.talker.chunk(f"and where can I find the {self._thing()}")
        await asyncio.sleep(self.dice.choice((0.1, 1.0, 2.0)))
        self.talker.is_speaking = False

    async def ask_twice(self) -> None:
        """Two questions in one chunk."""
        self.talker.waiting += 2
        await self.talker.chunk(f"When comes the {self._thing()}? And who pays for the {self._thing()}?")

    async def interrupt(self) -> None:
        """Ask at once, in the middle of an answer where there is one."""
        await self.talker.wait(lambda: self.talker.chunks > 1 and self.talker.running, 2.0)
        await self.talker.chunk(f"the price of the {self._thing()}")
        self.talker.waiting += 1
        await self.talker.say("control", action="instant_query")

    async def cancel(self) -> None:
        """End an answer."""
        if await self.talker.wait(lambda: self.talker.running and self.talker.chunks > self.dice.randint(0, 3), 3.0):
            await self.talker.say("control", action="cancel", question_id=self.talker.running)

    async def stop(self) -> None:
        """End the session and begin another."""
        await self.talker.say("control", action="stop")
        await self.talker.wait(lambda: self.talker.is_closed, 30.0)
        await self.talker.renew()

    async def finish(self) -> None:
        """Ask a last question; as answers come in order, all others have ended when it has."""
        last = self._thing()
        await self.talker.chunk(f"Finally, when will the {last} be closed?")
        await self.talker.wait(lambda: any(last in text for text in self.talker.asked), LAST_WORD)
        await self.talker.wait(lambda: self.talker.running is None, LAST_WORD)
        await asyncio.sleep(1.0)
