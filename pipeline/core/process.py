"""What a stage's process settles before anything heavy is loaded: with whom it dies, how its libraries wait."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


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


def hold_threads() -> None:
    """Keep libraries' own threads from waiting busily for each other; what the user has set stays.

    Where another process wants the cores, such threads cost more than they bring: the same matrix products took 24 s
    instead of 2 s. It must come before the libraries are loaded.
    """
    for name, value in (("OPENBLAS_NUM_THREADS", "1"), ("MKL_NUM_THREADS", "1"), ("OMP_WAIT_POLICY", "PASSIVE")):
        os.environ.setdefault(name, value)
