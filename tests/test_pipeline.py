"""The whole path on a copy of the project: what re-runs, what is restored, what survives a kill."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Shell

pytestmark = pytest.mark.slow

REAL = ["prepare", "search", "train", "evaluate", "interpret", "fairness", "report"]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{old!r} not in {path}"
    path.write_text(text.replace(old, new, 1))


def small(project: Path) -> None:
    """Make the default composition tiny."""
    edit(project / "conf/config.yaml", "search: standard", "search: tiny")
    edit(project / "conf/config.yaml", "epochs: null", "epochs: 3")
    edit(project / "conf/config.yaml", "seeds: 3", "seeds: 1")
    edit(project / "conf/config.yaml", "default: true", "default: false")
    edit(project / "conf/config.yaml", "rows: 24", "rows: 4")
    edit(project / "conf/config.yaml", "robustness: auto", "robustness: []")
    edit(project / "conf/config.yaml",
         "baselines: [constant, linear, ngram_svm, gradient_boosting, random_kernels, seasonal]",
         "baselines: [constant]")  # fmt: skip


def ran(done: subprocess.CompletedProcess[str]) -> list[str]:
    return re.findall(r"^Running stage '(\w+)'", done.stdout, re.M)


def test_the_re_run_table(project: Path, shell: Shell) -> None:
    small(project)
    config, repro = project / "conf/config.yaml", "dvc repro"
    first = shell(project, repro)
    assert ran(first) == ["configure", *REAL]
    report = (project / "reports/report.html").read_text()
    assert "<script" not in report

    again = shell(project, repro)
    assert ran(again) == []
    assert "Data and pipelines are up to date." in again.stdout

    edit(config, "title: Archline report", "title: Another title")
    assert ran(shell(project, repro)) == ["configure", "report"]

    edit(project / "conf/search/standard.yaml", "n_trials: 1000", "n_trials: 17")
    assert ran(shell(project, repro)) == ["configure"]

    edit(config, "delta: null", "delta: 0.1")
    assert ran(shell(project, repro)) == ["configure", "fairness", "report"]

    edit(config, "rows: 4", "rows: 6")
    assert ran(shell(project, repro)) == ["configure", "interpret", "report"]

    trained = (project / "artifacts/train/model.safetensors").read_bytes()
    edit(config, "search: tiny", "search: tiny_two")
    tiny = (project / "conf/search/tiny.yaml").read_text()
    (project / "conf/search/tiny_two.yaml").write_text(tiny.replace("epochs: 2", "epochs: 1"))
    switched = ran(shell(project, repro))
    assert switched[:3] == ["configure", "search", "train"]
    assert "prepare" not in switched

    edit(config, "search: tiny_two", "search: tiny")
    back = shell(project, repro)
    assert not {"search", "train"} & set(ran(back))
    assert "Stage 'search' is cached - skipping run, checking out outputs" in back.stdout
    assert (project / "artifacts/train/model.safetensors").read_bytes() == trained


def test_experiments_with_overrides(project: Path, shell: Shell) -> None:
    small(project)
    shell(project, "git commit -qam small && dvc repro -q")
    shell(project, "git add -A && git commit -qm lock")
    one = shell(project, "dvc exp run -S search.n_trials=5 -S fairness.delta=0.2")
    assert ran(one)[:1] == ["configure"]
    assert "prepare" not in ran(one)
    assert ran(shell(project, "dvc repro")) == []
    assert len(json.loads((project / "artifacts/search/search.json").read_text())["trials"]) == 5
    shell(project, "dvc exp run --queue -S search.n_trials=6 && dvc queue start -j 1")
    shell(project, "dvc queue logs $(dvc queue status | sed -n 2p | cut -d' ' -f1) -f; dvc queue stop", check=False)
    shown = shell(project, "dvc exp show --csv").stdout.splitlines()
    assert {"search.n_trials", "data.name", "accuracy"} <= set(shown[0].split(","))
    assert "Success" in shell(project, "dvc queue status").stdout
    wrong = shell(project, "dvc exp run -S serch.n_trials=6", check=False)
    assert wrong.returncode != 0


def test_metrics_plots_and_comparisons_of_revisions(project: Path, shell: Shell) -> None:
    small(project)
    shell(project, "git commit -qam small && dvc repro -q && git add -A && git commit -qm lock")
    shown = json.loads(shell(project, "dvc metrics show --json").stdout)
    metrics = json.loads((project / "reports/metrics.json").read_text())
    assert shown[""]["data"] == {"reports/metrics.json": {"data": metrics}}
    shell(project, "dvc exp run -q -n shorter -S train.epochs=1")
    changes = json.loads(shell(project, "dvc metrics diff --json HEAD").stdout)["reports/metrics.json"]
    assert changes["log_loss"]["old"] == metrics["log_loss"] != changes["log_loss"]["new"]

    drawn = json.loads(shell(project, "dvc plots show --json").stdout)
    points = {name: plot[0]["content"]["data"]["values"] for name, plot in drawn["data"].items() if plot}
    assert set(points) == {"learning", "trainings", "confusion", "calibration"}
    assert {error["name"] for error in drawn["errors"]} == {"points"}  # which classes have none of
    test_rows = json.loads((project / "artifacts/prepare/fit/dataset.json").read_text())["rows"]["test"]
    assert len(points["confusion"]) == test_rows
    assert [str(point["epoch"]) for point in points["learning"]] == ["1"]
    both = json.loads(shell(project, "dvc plots diff --json HEAD").stdout)["data"]["learning"]
    assert {revision for plot in both for revision in plot["revisions"]} == {"HEAD", "workspace"}

    compare = "python -m pipeline.report compare="
    for wanted in ("HEAD", "shorter"):
        shell(project, f"{compare}{wanted}")
        found = json.loads((project / "reports/compare.json").read_text())
        told = {pair["name"]: (pair["this"], pair["other"]) for pair in found["settings"]}
        assert told == ({"train.epochs": ("1", "3")} if wanted == "HEAD" else {})
        assert found["costs"][0]["other"]["value"] is not None
    shell(project, "rm -rf .dvc/cache")
    gone = shell(project, f"{compare}HEAD", check=False)
    assert gone.returncode == 2
    assert "of that revision is not in DVC's cache\n  fix: `dvc fetch`" in gone.stderr


def start(project: Path, stage: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-u", "-m", f"pipeline.{stage}", "--params"]
    return subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True)


def kill_at(project: Path, stage: str, mark: str) -> None:
    """Start a stage and kill it hard once a line of its output holds `mark`."""
    with start(project, stage) as process:
        assert process.stdout
        for line in process.stdout:
            if mark in line:
                os.kill(process.pid, signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL


def trials(project: Path) -> list[tuple[object, ...]]:
    record = json.loads((project / "artifacts/search/search.json").read_text())
    return [(t["state"], t["score"], t["candidate"]) for t in record["trials"]]


def test_kill_in_search_continues_to_the_same_result(project: Path, shell: Shell) -> None:
    small(project)
    edit(project / "conf/search/tiny.yaml", "n_trials: 4", "n_trials: 6")
    shell(project, "python -m pipeline.configure && python -m pipeline.prepare --params")
    shell(project, "python -m pipeline.search --params")
    whole = trials(project)
    shell(project, "rm -rf state artifacts/search")
    kill_at(project, "search", "trial 2")
    assert not (project / "artifacts/search").exists()
    shell(project, "python -m pipeline.search --params")
    assert trials(project) == whole
    before = (project / "artifacts/search/search.json").read_bytes()
    finished = shell(project, "python -m pipeline.search --params")
    assert "trial 6" not in finished.stdout
    assert (project / "artifacts/search/search.json").read_bytes() == before


def test_kill_in_train_continues_at_the_lost_epoch(project: Path, shell: Shell) -> None:
    small(project)
    edit(project / "conf/config.yaml", "epochs: 3", "epochs: 8")
    shell(project, "python -m pipeline.configure && python -m pipeline.prepare --params")
    shell(project, "python -m pipeline.search --params && python -m pipeline.train --params")
    weights = project / "artifacts/train/model.safetensors"
    whole = weights.read_bytes()
    shell(project, "rm -rf artifacts/train")
    kill_at(project, "train", "epoch 3")
    resumed = shell(project, "python -m pipeline.train --params").stdout
    assert "epoch 1/" not in resumed
    assert "epoch 8/" in resumed
    assert weights.read_bytes() == whole
    assert list((project / "state" / "train").iterdir()) == []
