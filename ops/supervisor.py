"""Keeps one child process running: started again with a growing pause, given up when only a person can help."""

from __future__ import annotations

import asyncio
import time

from ops.processes import OPERATOR_ERROR, Process
from pipeline.errors import ConfigurationError

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds
SETTLED = 60.0  # a child that ran for so many seconds has recovered: its next pause is the first again


def next_pause(pause: float, ran: float) -> float:
    """Pause after a run of `ran` seconds that came behind a pause of `pause`; all in seconds.

    >>> next_pause(0.5, ran=3.0), next_pause(20.0, ran=3.0), next_pause(20.0, ran=90.0)
    (1.0, 30.0, 0.5)
    """
    return FIRST_PAUSE if ran >= SETTLED else min(2 * pause, LONGEST_PAUSE)


async def keep_running(process: Process) -> None:
    """Start the process, and again whenever it ends, until cancelled.

    Raises:
        ConfigurationError: it ended by saying that something has to be mended; with its words.
    """
    pause = FIRST_PAUSE / 2
    while True:
        started = time.monotonic()
        process.start()
        code = await process.ended()
        if code == OPERATOR_ERROR:
            raise ConfigurationError(last_words(process))
        pause = next_pause(pause, time.monotonic() - started)
        process.say(f"ended with {code}, starts again in {pause:g} s")
        await asyncio.sleep(pause)


def last_words(process: Process) -> str:
    """What the process said last, without the name of the command in front of it."""
    lines = [line for line in process.last_lines if line.strip()]
    return lines[-1].removeprefix("realtime-rag: ") if lines else f"{process.name} ended without a word."
