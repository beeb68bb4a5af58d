"""What a stage's process settles before anything heavy is loaded: with whom it dies, how its libraries wait."""

import atexit
import ctypes
import gc
import os
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1
_LOADED = time.monotonic()
"""This module is among the first that a stage loads."""
_COLLECT_AFTER = 50_000
_BEGAN: list[float] = []
"""When the commands of this process began, of time.monotonic(); it is one outside tests."""


def die_with_parent() -> None:
    """Let the kernel end this process when `dvc` is killed, so that no second writer survives (Linux)."""
    if os.environ.get("DVC_STAGE") and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == 1:
            sys.exit("the process that started this stage is gone")


def die_with(parent: int) -> None:
    """Let the kernel end this process with its parent, even if that is killed in the middle of a job (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def settle() -> None:
    """Settle how the process of one command waits, collects and ends; before the libraries are loaded.

    Loading them makes some 500,000 objects that stay; Python looks for garbage among them again and again, which took
    a quarter of the start, and once more at the end, which took a second.
    """
    _BEGAN.append(time.monotonic() if _BEGAN else _LOADED)
    hold_threads()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)
    atexit.register(gc.freeze)


def began() -> float:
    """Return when, of time.monotonic(), the command began that this process runs; now, if it runs none."""
    return _BEGAN[-1] if _BEGAN else time.monotonic()


def hold_threads() -> None:
    """Keep libraries' own threads from waiting busily for each other; what the user has set stays.

    Where another process wants the cores, such threads cost more than they bring: the same matrix products took 24 s
    instead of 2 s. It must come before the libraries are loaded.
    """
    for name, value in (("OPENBLAS_NUM_THREADS", "1"), ("MKL_NUM_THREADS", "1"), ("OMP_WAIT_POLICY", "PASSIVE")):
        os.environ.setdefault(name, value)
