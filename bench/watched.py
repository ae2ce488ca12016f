"""Commands of ours as processes whose CPU time and memory are measured while they work."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from bench.stages import cpu_seconds
from ops.processes import Process
from ops.up import child_environment
from pipeline.errors import RagError
from pipeline.settings import Settings

LASTING = 30.0  # seconds that a process may take to end
MARKS = (0.1, 0.5, 1.0)  # parts of a stretch at which memory is looked at


class Watched:
    """One process; its figures are those of all its threads, and of its last moment when it has ended.

    Attributes:
        process: the process itself.
        cpu: CPU seconds up to the last `look`.
        memory: MiB that it held then (RSS).
        peak: MiB that it held at most up to then.
    """

    def __init__(self, process: Process) -> None:
        self.process = process
        self.cpu = self.memory = self.peak = 0.0

    def look(self) -> None:
        """Bring the figures up to date.

        Raises:
            RagError: the process has ended with an error.
        """
        if self.process.exit_code:
            raise RagError(f"{self.process.name} ended with {self.process.exit_code}: {list(self.process.last_lines)}")
        if (pid := self.process.pid) is None:
            return
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            self.cpu = cpu_seconds(pid)
        except OSError:  # it has just ended
            return
        sizes = {line.partition(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith("Vm")}
        self.memory, self.peak = sizes.get("VmRSS", self.memory), sizes.get("VmHWM", self.peak)


@asynccontextmanager
async def watched(name: str, settings: Settings, *words: str) -> AsyncIterator[Watched]:
    """`realtime-rag WORDS` until the end of the block."""
    environment = child_environment(settings) | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    process = Process(name, [sys.executable, "-m", "ops.cli", *words], environment)
    process.start()
    try:
        yield Watched(process)
    finally:
        await process.stop(LASTING)


class Figures(NamedTuple):
    """A stretch of work by the processes that did it: CPU seconds; MiB at each of MARKS, and at most up to its end."""

    count: int
    seconds: float
    cpu: dict[str, float]
    memory: dict[str, list[float]]

    def rate(self) -> float:
        """How many a second."""
        return self.count / self.seconds


class Stretch:
    """Measures while so much is done."""

    def __init__(self, count: int, *processes: Watched) -> None:
        self._count, self._processes = count, processes
        self._seen: list[list[float]] = [[] for _ in processes]
        for process in processes:
            process.look()
        self._before = [process.cpu for process in processes]
        self._began = time.perf_counter()

    def reached(self, done: int) -> None:
        """So many are done; raises RagError where a process has failed."""
        for process, seen in zip(self._processes, self._seen, strict=True):
            process.look()
            while len(seen) < len(MARKS) and done >= MARKS[len(seen)] * self._count:
                seen.append(round(process.memory, 1))

    def figures(self) -> Figures:
        """All is done."""
        seconds = round(time.perf_counter() - self._began, 2)
        self.reached(self._count)
        cpu = {
            each.process.name: round(each.cpu - before, 2)
            for each, before in zip(self._processes, self._before, strict=True)
        }
        memory = {
            each.process.name: [*seen, round(each.peak, 1)]
            for each, seen in zip(self._processes, self._seen, strict=True)
        }
        return Figures(self._count, seconds, cpu, memory)
