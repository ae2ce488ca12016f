"""Child processes of the supervisor and the brokers: each in a group of its own, none outlives its parent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from ops import bound

OPERATOR_ERROR = 2  # exit code of a command that a person has to mend: starting it again would not help


def print_line(line: str) -> None:
    """Show one log line."""
    print(line, file=sys.stderr, flush=True)


class Process:
    """A command and the process that runs it, which may be started again after its end.

    Its output goes line by line to `log`, behind its name. The process is the leader of its own group, so that a Ctrl-C
    at the terminal reaches only the one who stops the others in order.

    Start it from a thread that lives as long as the process is to live: the kernel takes the end of that thread for the
    end of the parent.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        log: Callable[[str], None] | None = print_line,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.last_lines: deque[str] = deque(maxlen=50)
        self._env = env
        self._log = log
        self._popen: subprocess.Popen[str] | None = None
        self._pump: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._popen.pid if self._popen is not None and self._popen.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """Exit code of the latest run, negative for a signal; nothing while it runs or before it ran."""
        return self._popen.poll() if self._popen is not None else None

    def start(self) -> None:
        """Start the command; raises FileNotFoundError only for our own interpreter."""
        self.last_lines.clear()
        self._popen = subprocess.Popen(
            [sys.executable, "-I", str(Path(bound.__file__)), str(os.getpid()), *self.command],
            env=dict(self._env) if self._env is not None else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        assert self._popen.stdout is not None
        self._pump = threading.Thread(target=self._copy_lines, args=(self._popen.stdout,), daemon=True)
        self._pump.start()

    def _copy_lines(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self.last_lines.append(line.rstrip("\n"))
                self.say(self.last_lines[-1])

    def say(self, line: str) -> None:
        """Write a line about the process into the log."""
        if self._log is not None:
            self._log(f"{self.name:<8} | {line}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group; nothing happens when it has ended."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def kill(self) -> None:
        """End the whole group at once; its ports are free when this returns."""
        self.signal(signal.SIGKILL)
        if self._popen is not None:
            self._popen.wait()

    async def ended(self) -> int:
        """Wait, in whichever event loop, for the end of the process and of its output; its exit code."""
        while (code := self.exit_code) is None:
            await asyncio.sleep(0.05)
        while self._pump is not None and self._pump.is_alive():
            await asyncio.sleep(0.01)
        return code

    async def stop(self, grace: float = 5.0) -> None:
        """End the process: asked first, killed after `grace` seconds."""
        if self._popen is None:
            return
        self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.ended(), grace)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self.ended()
        finally:
            self.signal(signal.SIGKILL)  # also when the wait was cancelled
