"""Run a command in a fresh small process and say how long it took and how much memory it had.

    python benchmarks/measure.py RESULT.json COMMAND [ARGUMENT …]

Two numbers, because each alone misleads: `largest_mb` is the most any single process ever had (getrusage of waited-for
children, exact), `tree_mb` the most the whole tree had at once (proportional shares from /proc, up to five times a
second; Linux only, else null). The starter is small and fresh because a new process inherits its starter's high-water
mark.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_EVERY = 0.2
_REST = 50
"""Rest for so many times what a look takes: the kernel goes through all pages, 25 ms for a GB."""
_PROC = Path("/proc")
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # getrusage counts bytes on macOS, kB elsewhere


@dataclass(frozen=True)
class Measured:
    """One finished command: exit code, wall seconds, memory in MB (1e6 bytes), output and errors together."""

    code: int
    seconds: float
    largest_mb: float
    tree_mb: float | None
    output: str


def measured(command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Measured:
    """Run a command in a folder and measure it and all it starts."""
    with tempfile.TemporaryDirectory() as place:
        result = Path(place) / "result.json"
        done = subprocess.run(
            [sys.executable, "-I", __file__, str(result), *command],
            cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            check=False,
        )  # fmt: skip
        output = done.stdout.decode(errors="replace")
        if not result.exists():
            raise RuntimeError(f"measuring {' '.join(command)} broke off: {output[-2000:]}")
        return Measured(**json.loads(result.read_text()), output=output)


def watch(command: Sequence[str]) -> dict[str, float | None]:
    """Run a command to its end; return exit code, seconds and memory."""
    start, most = time.perf_counter(), 0
    process = subprocess.Popen(command)
    pause = _EVERY
    while True:
        try:
            code = process.wait(pause)
            break
        except subprocess.TimeoutExpired:
            began = time.perf_counter()
            most = max(most, sum(memory(pid) for pid in tree(process.pid)))
            pause = max(_EVERY, _REST * (time.perf_counter() - began))
    seconds = time.perf_counter() - start
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _RSS_UNIT
    # A command that ends within one interval is never sampled; what sampling missed of one process is known exactly.
    whole = max(most, largest) / 1e6 if _PROC.exists() else None
    return {"code": code, "seconds": seconds, "largest_mb": largest / 1e6, "tree_mb": whole}


def tree(root: int) -> list[int]:
    """Return the ids of a process and all its descendants; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
        except OSError:  # it ended meanwhile
            continue
        children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def memory(pid: int) -> int:
    """Return the bytes of a process; pages shared by n processes count 1/n each where the kernel says so."""
    try:
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:  # it ended, or the kernel does not say
        pass
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(watch(sys.argv[2:])))
