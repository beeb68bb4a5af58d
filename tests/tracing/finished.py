"""A run that is finished: every stage in small, on scikit-learn's digits, recorded as its command records it."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import configure, evaluate, fairness, interpret, prepare, report, search, train
from pipeline.core import settings as kinds
from pipeline.core.provenance import record_provenance
from pipeline.core.store import FOLDERS
from pipeline.stage import compose, granted, slice_for
from tests.conftest import ROOT

STAGES: tuple[tuple[str, type[Any], Any], ...] = (
    ("prepare", kinds.PrepareSlice, prepare.run),
    ("search", kinds.SearchSlice, search.run),
    ("train", kinds.TrainSlice, train.run),
    ("evaluate", kinds.EvaluateSlice, evaluate.run),
    ("interpret", kinds.InterpretSlice, interpret.run),
    ("fairness", kinds.FairnessSlice, fairness.run),
    ("report", kinds.ReportSlice, report.run),
)
SMALL = ("search=tiny", "search.n_trials=2", "search.epochs=1", "search.workers=0", "search.members=[linear]",
         "search.constraints.parameters=900000", "train.epochs=2", "train.distill=true", "trainer=cpu",
         "evaluate.resamples=50", "evaluate.baselines=[constant,linear]", "interpret.rows=4", "interpret.steps=8",
         "interpret.deletion_steps=4", "interpret.random_orders=2", "fairness.permutations=50")  # fmt: skip


def project_in(folder: Path) -> None:
    """Put what a project needs to run, but for its code, into a folder."""
    for name in ("conf", "search_spaces"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True)
    shutil.copy(ROOT / "dvc.yaml", folder)


def run_all(overrides: Sequence[str] = SMALL, stages: Sequence[str] = tuple(name for name, _, _ in STAGES)) -> None:
    """Run stages in the current folder as `--params` does, after configure."""
    configure.run(compose(overrides))
    config = configure.recorded()
    for name, kind, stage in STAGES:
        if name in stages:
            stage(slice_for(name, kind, config))
            if name in FOLDERS:
                record_provenance(name, granted(name, config), ["--params"])
