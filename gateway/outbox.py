"""What waits to be sent to one client: bounded, so that a slow one costs no more than this."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

MAX_WAITING = 256  # messages
MAX_BYTES = 1024 * 1024
NORMAL, OVERRUN, RESTART = 1000, 1013, 1012


class Outbox:
    """A queue of text frames, then a close code.

    `admit` counts frames that will be pushed now or later (those held back for an ack wait too).
    """

    def __init__(self) -> None:
        self._frames: deque[tuple[str, int]] = deque()
        self._code: int | None = None
        self._changed = asyncio.Event()
        self._roomy = asyncio.Event()
        self._roomy.set()
        self._waiting = self._bytes = 0

    def admit(self, frames: Sequence[str]) -> bool:
        """Count frames in; False: too much is waiting, the client will be closed with a code that says resume."""
        self._waiting += len(frames)
        self._bytes += sum(map(_size, frames))
        if self._waiting > MAX_WAITING // 2 or self._bytes > MAX_BYTES // 2:
            self._roomy.clear()
        if self._waiting <= MAX_WAITING and self._bytes <= MAX_BYTES:
            return True
        self._frames.clear()
        self.finish(OVERRUN)
        return False

    def push(self, frames: Sequence[str]) -> None:
        """Queue frames that were admitted; nothing is sent behind a close code."""
        if self._code is None:
            self._frames.extend((frame, _size(frame)) for frame in frames)
            self._changed.set()

    def put(self, *frames: str) -> None:
        """Admit and queue."""
        if self.admit(frames):
            self.push(frames)

    def finish(self, code: int) -> None:
        """Close with this code when all that is queued has been sent; the first code counts."""
        self._code = self._code or code
        self._changed.set()

    async def get(self) -> str | int:
        """The next frame, or the close code behind the last one."""
        while not self._frames and self._code is None:
            self._changed.clear()
            await self._changed.wait()
        return self._frames[0][0] if self._frames else self._code or NORMAL

    def sent(self) -> None:
        """The frame that `get` gave is with the client's socket."""
        if not self._frames:
            return  # overrun while it was being sent
        self._bytes -= self._frames.popleft()[1]
        self._waiting -= 1
        if self._waiting <= MAX_WAITING // 2 and self._bytes <= MAX_BYTES // 2:
            self._roomy.set()

    async def room(self) -> None:
        """Return when at most half of what may wait is waiting."""
        await self._roomy.wait()


def _size(frame: str) -> int:
    return len(frame.encode())
