"""Runs a command that dies with its parent: `python bound.py PARENT_PID COMMAND…`.

A supervisor that is killed outright cannot clean up after itself; the kernel does it for a process that asked so. It is
asked here, between fork and exec, and survives the exec. Elsewhere than on Linux the command just runs.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # from linux/prctl.h


def bind_to(parent: int) -> None:
    """Have the kernel kill this process when its parent is gone; exits at once when it is gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(0)


if __name__ == "__main__":
    bind_to(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
