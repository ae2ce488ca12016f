"""The demo client: plays a recorded conversation to the public WebSocket as a recogniser would, shows the answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from rich.console import Console
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from ops.recogniser import ChunkEvent, Habits, recognise
from ops.screen import Screen
from ops.tally import Result, Tally, summary_line
from ops.transcripts import language_of_all, read_transcript
from pipeline.errors import RagError

# Seconds without any message after which nothing more is expected: as many outcomes as sentences ends, or fewer.
_LULL, _LONG_LULL = 3.0, 15.0
_RESEND_AFTER = 0.5


class DemoError(RagError):
    """The service could not be reached or went away; the text says what to do."""


async def run_demos(
    url: str, transcripts: Sequence[Path], *, speed: float = 40.0, seed: int = 1, console: Console | None = None
) -> int:
    """Play conversations one after the other; the last line printed is the summary of all. Returns the exit code.

    Raises:
        DemoError, TranscriptError: What to tell the user in one line.
    """
    console = console or Console()
    results = []
    for transcript in transcripts:
        results.append(await run_demo(url, transcript, speed=speed, seed=seed, console=console))
        if len(transcripts) > 1:
            console.print(f"{transcript.name}: {summary_line(results[-1:])}\n", soft_wrap=True, highlight=False)
    console.print(summary_line(results), soft_wrap=True, highlight=False, style="bold")
    return max((result.exit_code for result in results), default=0)


async def run_demo(
    url: str,
    transcript: Path,
    *,
    speed: float = 40.0,
    seed: int = 1,
    patience: float = 60.0,
    habits: Habits | None = None,
    console: Console | None = None,
) -> Result:
    """Play one conversation to the gateway at `url` (`ws://host:port/ws/realtime-asr`) and wait for all its answers.

    `speed` is how many times faster than speech; `patience` the seconds without any progress, while a chunk waits for
    its ack or a question for its answer, after which the run ends with a fault.

    Raises:
        DemoError: The gateway refuses the connection or closes it.
        TranscriptError: The transcript cannot be read.
    """
    turns = read_transcript(transcript)
    events = list(recognise(turns, seed, habits))
    console = console or Console()
    lang = language_of_all(turns)
    console.rule(f"{transcript.name} · {lang} · {len(turns)} turns · {speed:g} × speech")
    try:
        async with connect(f"{url}?{urlencode({'lang': lang})}", max_size=None, proxy=None) as socket:
            return await _Player(socket, Screen(console)).play(events, speed, patience)
    except ConnectionClosed as closed:
        raise DemoError(f"{url}: the service closed the connection ({closed}); see its log and run again") from closed
    except (OSError, InvalidHandshake, InvalidURI) as error:
        raise DemoError(f"{url}: no connection ({error}); is the service running? `make run` starts it") from error


class _Player:
    """One connection: sends chunks by the clock, sends refused ones again, and counts what comes back."""

    def __init__(self, socket: ClientConnection, screen: Screen) -> None:
        self._socket = socket
        self._screen = screen
        self._tally = Tally()
        self._waiting: dict[str, dict[str, Any]] = {}
        self._refused: set[str] = set()
        self._news = asyncio.Event()
        self._progress_at = asyncio.get_running_loop().time()

    async def play(self, events: Sequence[ChunkEvent], speed: float, patience: float) -> Result:
        """Send all, wait for what comes of it; a closed connection raises `ConnectionClosed`."""
        tasks = {asyncio.create_task(self._listen()), asyncio.create_task(self._speak_and_wait(events, speed))}
        ended: set[asyncio.Task[None]] = set()
        try:
            while not ended and not self._stalled(patience):
                ended, _ = await asyncio.wait(tasks, timeout=patience / 10, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._screen.end()
        if not ended:
            self._tally.faults.append(f"nothing came from the service for {patience:g} s")
            self._screen.line(f"! {self._tally.faults[-1]}", "bold red")
        return self._tally.result()

    def _stalled(self, patience: float) -> bool:
        due = bool(self._waiting) or self._tally.running
        return due and asyncio.get_running_loop().time() - self._progress_at > patience

    async def _listen(self) -> None:
        while True:
            message = json.loads(await self._socket.recv())
            now = asyncio.get_running_loop().time()
            if message.get("code") != "SERVICE_UNAVAILABLE":
                self._progress_at = now
            self._tally.received(message, now)
            self._acknowledge(message)
            self._screen.show(message)
            self._news.set()

    def _acknowledge(self, message: Mapping[str, Any]) -> None:
        name = message.get("id", "")
        match message:
            case {"type": "error", "code": "SERVICE_UNAVAILABLE"}:
                self._refused |= {name} & self._waiting.keys() if name else self._waiting.keys()
            case {"type": "ack" | "error"} if name in self._waiting:
                chunk = self._waiting.pop(name)
                if message["type"] == "ack" and chunk["is_final"]:
                    self._screen.heard(chunk["speaker"], chunk["text"])

    async def _speak_and_wait(self, events: Sequence[ChunkEvent], speed: float) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        for at, chunk in events:
            await asyncio.sleep(start + at / speed - loop.time())
            await self._resend()
            if chunk["is_final"]:
                self._tally.sent(chunk["text"], loop.time())
            if not self._waiting:
                self._progress_at = loop.time()
            self._waiting[chunk["id"]] = chunk
            await self._socket.send(json.dumps(chunk, ensure_ascii=False))
        while self._waiting:
            await self._until(lambda: bool(self._refused) or not self._waiting)
            await self._resend()
        await self._outcomes()

    async def _resend(self) -> None:
        """Send refused chunks again, in order and under their ids, until the service has stored them all."""
        while self._refused:
            await self._until(lambda: self._refused >= self._waiting.keys())
            await asyncio.sleep(_RESEND_AFTER)
            self._refused.clear()
            for chunk in list(self._waiting.values()):
                await self._socket.send(json.dumps(chunk, ensure_ascii=False))
            await self._until(lambda: self._refused >= self._waiting.keys())

    async def _outcomes(self) -> None:
        while not self._tally.finished:
            self._news.clear()
            try:
                async with asyncio.timeout(_LULL if self._tally.plausible else _LONG_LULL):
                    await self._news.wait()
            except TimeoutError:
                if not self._tally.running:
                    return

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()
