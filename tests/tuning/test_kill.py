"""kill -9 at any moment: the same command goes on and ends with the same trials and the same best."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.tuning import open_keeper
from tests.tuning.test_search import outcome, run, search_in

SETTINGS: dict[str, Any] = {"n_trials": 10, "repeats": 1, "keep": 3}
_SCRIPT = """
import sys
from pathlib import Path
from tests.tuning.test_kill import searched
print("go", flush=True)
searched(Path(sys.argv[1]))
"""


def searched(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    keeper = open_keeper(folder, "files", 3)
    search_in(folder, on_fit=keeper.keep_fit, workers=1, **SETTINGS)


def started(folder: Path, root: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, str(folder)], cwd=root, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "go\n"
    return process


def workers_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="workers die with their parent on Linux")
def test_twenty_kills_change_nothing(tmp_path: Path, root: Path) -> None:
    start = time.monotonic()
    searched(tmp_path / "whole")
    seconds = time.monotonic() - start
    whole = run(tmp_path / "whole", **SETTINGS)
    rng, kills = random.Random(7), 0
    for _ in range(20):
        process = started(tmp_path / "cut", root)
        try:
            process.communicate(timeout=rng.uniform(0, seconds / 2))
        except subprocess.TimeoutExpired:
            children = workers_of(process.pid)
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            assert process.stdout is not None
            process.stdout.close()
            for child in children:
                _gone(child)
        else:
            break
    assert kills >= 3
    searched(tmp_path / "cut")
    cut = run(tmp_path / "cut", **SETTINGS)
    assert outcome(cut) == outcome(whole)
    assert (cut.best, cut.notes) == (whole.best, whole.notes)
    kept = [open_keeper(tmp_path / name, "files", 3) for name in ("cut", "whole")]
    assert kept[0].kept() == kept[1].kept()
    for which in kept[0].kept():
        assert kept[0].path(which).read_bytes() == kept[1].path(which).read_bytes()


def _gone(pid: int) -> None:
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError(f"worker {pid} outlived its search")
