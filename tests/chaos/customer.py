"""Whoever submits a batch and wants its results: says everything again that has no answer, to any gateway."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from tests.chaos.evidence import Event

AGAIN = 3.0  # seconds after which the same task is submitted again, for as long as it has not ended
STALLED = 120.0  # seconds without progress after which the rest is lost
LOOK = 0.1  # seconds between two looks at the task
PAGE = 500
ENDED = ("completed", "failed", "cancelled")


class Customer:
    """One batch under one Idempotency-Key.

    Args:
        texts: of its items.
        dice: what it chooses gateways by.
        gateways: gives names and ports of the gateways there are.
    """

    def __init__(
        self, texts: Sequence[str], dice: random.Random, gateways: Callable[[], Mapping[str, int]], key: str = "batch"
    ) -> None:
        self.texts, self.dice, self.gateways, self.key = texts, dice, gateways, key
        self.events: list[Event] = []
        self.task = ""
        self.gateway = ""  # where it was submitted last
        self.done = 0  # items that are said to have a result
        self.submissions = 0

    def _note(self, what: str, data: Any) -> None:
        self.events.append(Event("customer", self.task, time.time(), what, data))

    async def see_through(self) -> None:
        """Submit, and look until the task has ended or stands still, then read its results."""
        async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
            await self._submit(http)
            moved = submitted = time.monotonic()
            while time.monotonic() - moved < STALLED:
                task = await self._ask(http, "GET", f"/tasks/{self.task}")
                done = task["progress"]["completed"] + task["progress"]["failed"]
                if done != self.done:
                    self.done, moved = done, time.monotonic()
                    self._note("task", task)
                if task["status"] in ENDED:
                    self._note("task", task)
                    break
                if time.monotonic() - submitted > AGAIN:
                    submitted = time.monotonic()
                    await self._submit(http)
                await asyncio.sleep(LOOK)
            await self._read(http, "item", f"/tasks/{self.task}/results")
            await self._read(http, "row", f"/runs/{self.task}/results")

    async def _submit(self, http: httpx.AsyncClient) -> None:
        body = {"name": "chaos", "texts": self.texts}
        told = await self._ask(http, "POST", "/tasks", json=body, headers={"Idempotency-Key": self.key})
        self.task = told["task_id"]
        self.submissions += 1
        self._note("submitted", told)

    async def _ask(self, http: httpx.AsyncClient, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Ask one gateway after the other until one answers."""
        while True:
            name, port = self.dice.choice(list(self.gateways().items()))
            with contextlib.suppress(httpx.TransportError):
                if method == "POST":
                    self.gateway = name
                answer = await http.request(method, f"http://127.0.0.1:{port}/api/batch{path}", **options)
                if answer.is_success:
                    return dict(answer.json())
                assert answer.status_code >= 500, answer.text
            await asyncio.sleep(LOOK)

    async def _read(self, http: httpx.AsyncClient, what: str, path: str) -> None:
        number = 1
        while results := (await self._ask(http, "GET", path, params={"page": number, "size": PAGE}))["results"]:
            for result in results:
                self._note(what, result)
            number += 1
