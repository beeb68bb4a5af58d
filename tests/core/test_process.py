"""What a command's process settles: when its seconds begin, how seldom Python looks for garbage, how it ends."""

import subprocess
import sys
import time
from pathlib import Path

import optuna

from pipeline.tuning.clock import Clock, start_of

SETTLED = """
import atexit, gc, time
start = time.monotonic()
atexit.register(lambda: print("frozen", gc.get_freeze_count() > 0))
from pipeline.core import process
assert process.began() >= start  # no command yet: now
time.sleep(0.2)
process.settle()
assert start <= process.began() <= start + 0.2, "the first command began when this was loaded"
assert gc.get_threshold()[0] > 10_000
process.settle()
assert process.began() >= start + 0.2, "another one begins when it is called"
"""


def test_a_commands_seconds_begin_with_its_process_and_nothing_is_collected_at_its_end() -> None:
    root = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", SETTLED], cwd=root, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "frozen True\n"


def test_seconds_before_the_clock_was_made_count() -> None:
    study = optuna.create_study()
    clock = Clock(study, began=time.monotonic() - 5)
    clock.enter("probe")
    assert clock.used >= 5
    assert clock.moment(7) <= time.monotonic() + 2
    (name, seconds), _ = clock.phases
    assert name == "start"
    assert seconds >= 5


def test_a_slow_start_takes_half_of_the_seconds_at_most() -> None:
    before = time.monotonic()
    assert start_of(before - 5, 30.0) == before - 5
    assert start_of(before - 5, None) == before - 5
    assert before - 2 <= start_of(before - 5, 4.0) <= time.monotonic() - 2
    assert before <= start_of(None, 30.0) <= time.monotonic()
