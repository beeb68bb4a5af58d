"""What computing takes of energy, where the machine says so.

CPU: the counters of whole packages that Linux shows (RAPL, Documentation/power/powercap in the kernel). GPU: the power
that nvidia-smi shows, summed over time. Both count everything that runs there, not one process alone.
"""

import contextlib
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

POWERCAP = Path("/sys/class/powercap")
JOULES = 3600.0
"""In a Wh."""
_ASK_EVERY = 2.0
"""Seconds between two looks at the power of a GPU."""
_ASK_SECONDS = 20.0


class Unmeasurable(Exception):  # noqa: N818  often no error: most machines do not say
    """Nothing says what is used; the message says why, `fix` what would help."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.fix = fix


class Part(Protocol):
    """A part of a machine that says what it uses."""

    words: str

    def joules(self) -> float:
        """Return what was used since it was opened; raises Unmeasurable where that is no longer said."""


class Package:
    """A CPU with all its cores and caches, without the memory beside it."""

    words = "CPU"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._most = self._read("max_energy_range_uj")
        self._last, self._sum = self._read("energy_uj"), 0

    def joules(self) -> float:
        """Return what was used; it has to be asked at least once a turn of the counter, which takes minutes."""
        now = self._read("energy_uj")
        self._sum += now - self._last if now >= self._last else now - self._last + self._most
        self._last = now
        return self._sum * 1e-6

    def _read(self, name: str) -> int:
        path = self._folder / name
        try:
            return int(path.read_text())
        except PermissionError:
            raise Unmeasurable(f"{path} may not be read", f"as root: chmod a+r {path}") from None
        except (OSError, ValueError) as wrong:
            raise Unmeasurable(f"{path}: {wrong}", "look at what the kernel says of it") from None


class Gpu:
    """A GPU of NVIDIA, whose power is looked at now and then and counts as a line between two looks."""

    words = "GPU"

    def __init__(self, which: str) -> None:
        """`which`: its index, or its UUID as nvidia-smi says it."""
        self._which = which
        self._sum, self._since, self._watts = 0.0, time.monotonic(), self._ask()

    def joules(self) -> float:
        """Return what was used; since the last look the power counts as it was then."""
        now = time.monotonic()
        if now - self._since >= _ASK_EVERY:
            watts = self._ask()
            self._sum += (watts + self._watts) / 2 * (now - self._since)
            self._since, self._watts = now, watts
        return self._sum + self._watts * (now - self._since)

    def _ask(self) -> float:
        command = ["nvidia-smi", "-i", self._which, "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_SECONDS, check=False)
            return float(said.stdout)
        except (OSError, subprocess.TimeoutExpired, ValueError) as wrong:
            why = f"nvidia-smi says no power of GPU {self._which} ({str(wrong).partition(chr(10))[0]})"
            raise Unmeasurable(why, "look at what nvidia-smi says") from None


class Meter:
    """Sums up what the parts of a machine use."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self.words = " and ".join(dict.fromkeys(part.words for part in parts))
        """What is measured."""

    def joules(self) -> float:
        """Return what was used since it was opened."""
        return sum(part.joules() for part in self._parts)


def open_meter(gpu: str | None = None, root: Path = POWERCAP) -> Meter:
    """Return the meter of what trains; Unmeasurable where nobody says what that uses.

    `gpu`: index or UUID of the GPU that trains; then it has to be measurable, and the CPU counts as well if it is.
    """
    if gpu is None:
        return Meter(packages(root))
    parts: list[Part] = [Gpu(gpu)]
    with contextlib.suppress(Unmeasurable):  # Meter.words tells that the GPU alone is counted
        parts += packages(root)
    return Meter(parts)


def packages(root: Path = POWERCAP) -> list[Package]:
    """Return the CPUs of this machine.

    Cores, caches and memory of a package have folders of their own (intel-rapl:0:1) and would count twice; so would
    "psys", the whole board.
    """
    folders = [found for found in sorted(root.glob("intel-rapl:*")) if re.fullmatch(r"intel-rapl:\d+", found.name)]
    found = [Package(folder) for folder in folders if _name(folder).startswith("package")]
    if not found:
        raise Unmeasurable(
            f"no counter of a CPU package in {root}", "run where Linux shows RAPL counters; few virtual machines do"
        )
    return found


def _name(folder: Path) -> str:
    try:
        return (folder / "name").read_text().strip()
    except OSError:
        return ""
