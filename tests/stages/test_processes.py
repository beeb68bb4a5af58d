"""The train stage as a command: killed at any moment, and shared by processes that see the same rows in each step."""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pipeline.core.contracts import ModelCard
from pipeline.core.settings import PrepareSlice, SearchSlice
from pipeline.core.store import read_record
from pipeline.prepare import run as prepare
from pipeline.search import run as search
from pipeline.stage import compose, slice_for
from tests.conftest import ROOT

OVERRIDES = ("data=digits", "space=tiny", "space.architecture.default=transformer", "+space.optimizer.kind=sgd",
             "search=default_only", "search.epochs=1", "search.workers=0", "search.repeats=0", "train.epochs=8",
             "train.seconds=null", "train.seeds=2", "trainer=cpu")  # fmt: skip
DDP = ("trainer=ddp", "trainer.device=cpu", "trainer.memory_format=channels_last", "trainer.precision=fp32")
WEIGHTS = ("model.safetensors", "seed_2.safetensors")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="processes die with the one that started them on Linux"),
]


@pytest.fixture
def searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project after a search that hands on a network without normalisation over batches, and without dropout."""
    for name in ("conf", "search_spaces"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    prepare(slice_for("prepare", PrepareSlice, compose(OVERRIDES)))
    search(slice_for("search", SearchSlice, compose(OVERRIDES)))
    return tmp_path


@contextmanager
def training(project: Path, *overrides: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """Start the stage, and end it at the latest with the block."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "pipeline.train", *OVERRIDES, *overrides], cwd=project, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def output_of(process: "subprocess.Popen[str]") -> str:
    printed, _ = process.communicate()
    assert process.returncode == 0, printed
    return printed


def train(project: Path, *overrides: str) -> str:
    with training(project, *overrides) as process:
        return output_of(process)


def weights(project: Path) -> dict[str, bytes]:
    return {name: (project / "artifacts/train" / name).read_bytes() for name in WEIGHTS}


def line_with(process: "subprocess.Popen[str]", words: str) -> str:
    """Wait for the line that holds the words."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if words in line:
            return line
    raise AssertionError("".join(seen))


def children_of(pid: int) -> Sequence[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pid: int) -> bool:
    """Say whether a process has ended, or ends within ten seconds."""
    for _ in range(200):
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_five_kills_at_any_moment_change_no_weight(searched: Path) -> None:
    begun = time.monotonic()
    with training(searched, "train.epochs=25") as process:
        line_with(process, "2 trainings")
        start = time.monotonic() - begun
        output_of(process)
    lasted = time.monotonic() - begun - start
    whole = weights(searched)
    before = {path: path.read_bytes() for path in (searched / "artifacts/train").iterdir()}
    rng, killed = random.Random(7), 0
    for _ in range(5):  # together they last less long than the training
        with training(searched, "train.epochs=25") as process:
            line_with(process, "2 trainings")
            try:
                process.wait(timeout=rng.uniform(0.02, 0.18) * lasted)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                killed += 1
                assert {path: path.read_bytes() for path in (searched / "artifacts/train").iterdir()} == before
            else:
                break
    assert killed >= 3
    assert any((searched / "state/train").iterdir())
    train(searched, "train.epochs=25")
    assert weights(searched) == whole
    assert not any((searched / "state/train").iterdir())


def test_two_processes_end_where_one_does_and_where_they_were_killed_they_go_on(searched: Path) -> None:
    train(searched)
    alone = {name: load_file(searched / "artifacts/train" / name) for name in WEIGHTS}
    printed = train(searched, *DDP, "trainer.devices=2", "trainer.accumulate=2")
    assert printed.count("2 trainings") == 1
    together = weights(searched)
    for name in WEIGHTS:
        for part, value in load_file(searched / "artifacts/train" / name).items():
            torch.testing.assert_close(value, alone[name][part], atol=2e-5, rtol=1e-4, msg=f"{name} {part}")
    card = read_record(ModelCard, searched / "artifacts/train/card.json")
    assert (card.processes, card.processor_seconds, card.energy_wh) == (2, None, None)
    assert [record.epoch for record in card.epochs] == [1, 2, 3, 4, 5, 6, 7, 8]

    with training(searched, *DDP, "trainer.devices=2", "trainer.accumulate=2") as process:
        line_with(process, "seed 1 · epoch 3/8")
        (other,) = children_of(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert gone(other)
    assert weights(searched) == together
    shutil.rmtree(searched / "artifacts/train")
    train(searched, *DDP, "trainer.devices=2", "trainer.accumulate=2")
    assert weights(searched) == together


def test_processes_agree_on_when_their_seconds_are_over(searched: Path) -> None:
    train(searched, *DDP, "trainer.devices=2", "train.epochs=100000", "train.seconds=3", "train.seeds=1")
    card = read_record(ModelCard, searched / "artifacts/train/card.json")
    assert card.notes[0].startswith("train.seconds ended the training after ")
    assert card.epochs[-1].lr == 0


def test_two_machines_are_a_team_of_which_the_first_one_writes(
    searched: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(searched / "artifacts", elsewhere / "artifacts")
    for name in ("conf", "search_spaces"):
        (elsewhere / name).symlink_to(ROOT / name)
    train(searched, *DDP, "trainer.devices=2")
    together = weights(searched)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        there = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    team = (*DDP, "trainer.devices=1", "trainer.nodes=2")
    with (
        training(searched, *team, NODE_RANK="0", **there) as first,
        training(elsewhere, *team, NODE_RANK="1", **there) as second,
    ):
        output_of(first)
        assert output_of(second) == ""
    assert weights(searched) == together
    assert not (elsewhere / "artifacts/train").exists()


def test_a_mistake_is_told_once(searched: Path) -> None:
    best = searched / "artifacts/search/best.json"
    best.write_text(re.sub(r'"batch_size": 64', '"batch_size": 1', best.read_text()))
    with training(searched, *DDP, "trainer.devices=2") as process:
        printed, _ = process.communicate()
    assert process.returncode == 2
    assert printed.count("error: ") == 1
    assert "2 processes share the rows of a step, and some steps have 1" in printed
    assert not (searched / "artifacts/train").exists()
