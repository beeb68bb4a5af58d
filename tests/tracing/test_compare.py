"""Two runs side by side: paired by row, from a folder, and refused where the rows are not the same."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.compare import main
from pipeline.core.store import EVALUATE, FIT, sha256_folder
from pipeline.metrics.scores import paired_gain
from pipeline.reporting.words import resolve
from tests.conftest import Shell
from tests.reporting.test_page import Page
from tests.tracing.finished import SMALL, run_all


@pytest.fixture(scope="session")
def another(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What is looked at of the same run, but for one epoch of training and a title with markup."""
    whole, kept, before = tmp_path_factory.mktemp("whole") / "run", tmp_path_factory.mktemp("kept"), Path.cwd()
    shutil.copytree(finished, whole, symlinks=True)
    os.chdir(whole)
    try:
        run_all((*SMALL, "train.epochs=1", 'report.title="<b>another</b>"'),
                ("train", "evaluate", "interpret", "fairness", "report"))  # fmt: skip
    finally:
        os.chdir(before)
    for path in (FIT / "dataset.json", EVALUATE, Path("reports/report.json")):
        (kept / path).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (whole / path).is_dir() else shutil.copy)(whole / path, kept / path)
    return kept


@pytest.fixture
def other(another: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(another, tmp_path / "<i>other"))


def compared() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("reports/compare.json").read_text())
    return found


def test_differences_are_paired_by_row(run: Path, other: Path) -> None:
    report = (run / "reports/report.json").read_bytes()
    assert main([f"compare={other}"]) == 0
    found = compared()
    ours, theirs = (pd.read_parquet(folder / EVALUATE / "predictions.parquet") for folder in (run, other))
    right = [(rows["y_true"] == rows["y_pred"]).to_numpy() for rows in (ours, theirs)]
    wanted = paired_gain(right[0], right[1], 0.95)
    assert found["gain"]["value"] == pytest.approx(right[0].mean() - right[1].mean())
    assert (found["gain"]["ci_low"], found["gain"]["ci_high"]) == (wanted.ci_low, wanted.ci_high)
    assert (found["rows"], len(found["rows_sha256"])) == (len(ours), 64)
    pairs = {pair["name"]: pair for pair in found["metrics"]}
    chance = [
        rows[[f"p_{k}" for k in range(10)]].to_numpy()[np.arange(len(rows)), rows["y_true"]] for rows in (ours, theirs)
    ]
    losses = np.log(chance[1]) - np.log(chance[0])
    assert pairs["log_loss"]["difference"]["value"] == pytest.approx(losses.mean())
    assert pairs["log_loss"]["difference"]["ci_method"] == "ABC"
    assert pairs["log_loss"]["better"] == "lower"
    assert pairs["auroc"]["difference"]["reason"] == "no paired interval for this metric"
    for pair in pairs.values():
        if pair["this"]["value"] is not None:
            away = pair["this"]["value"] - pair["other"]["value"]
            assert pair["difference"]["value"] == pytest.approx(away, abs=1e-12)
    assert (run / "reports/report.json").read_bytes() == report


def test_what_was_set_otherwise_is_told(run: Path, other: Path) -> None:
    main([f"compare={other}"])
    found = compared()
    settings = {pair["name"]: (pair["this"], pair["other"]) for pair in found["settings"]}
    assert settings == {"train.epochs": ("2", "1"), "report.title": ('"Archline report"', '"<b>another</b>"')}
    assert found["notes"] == []
    assert found["costs"][-3]["name"] == "weights"
    assert found["costs"][-3]["this"] == found["costs"][-3]["other"]


def test_the_page_shows_the_numbers_of_the_json_and_nothing_foreign_alive(run: Path, other: Path) -> None:
    main([f"compare={other}"])
    text, found = Path("reports/compare.html").read_text(), compared()
    page = Page(text)
    assert {tag for tag, _ in page.tags} & {"script", "b", "i", "iframe", "link"} == set()
    assert len(page.numbers) > 30
    for pointer, shown in page.numbers:
        target = resolve(found, pointer)
        value = target["value"] if isinstance(target, dict) else target
        if value is None:
            assert shown.startswith(("undefined", str(target["reason"]))), pointer
        else:
            digits = len(shown.strip().partition(".")[2])
            assert float(shown.replace(",", "")) == pytest.approx(value, abs=0.5 / 10**digits + 1e-9), pointer
    assert all(a.get("aria-label") for tag, a in page.tags if tag == "svg")


def test_a_run_beside_itself_does_not_differ(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"compare={shutil.copytree(run, tmp_path / 'same')}"]) == 0
    found = compared()
    assert found["verdict"] == "not shown to differ"
    assert {pair["difference"]["value"] for pair in found["metrics"]} == {0}
    assert found["settings"] == []
    assert "Nothing: all settings" in Path("reports/compare.html").read_text()
    assert re.search(r"difference 0\.0000 \[-0\.\d+, 0\.\d+\]", capsys.readouterr().out)


def changed(folder: Path, change: Callable[[pd.DataFrame], None], *, honest: bool) -> None:
    """Change the stored predictions; `honest`: the report says so."""
    path = folder / EVALUATE / "predictions.parquet"
    rows = pd.read_parquet(path)
    change(rows)
    rows.to_parquet(path, index=False)
    if honest:
        told = folder / "reports/report.json"
        report = json.loads(told.read_text())
        (made,) = [made for made in report["provenance"] if made["stage"] == "evaluate"]
        made["digests"][EVALUATE.as_posix()] = sha256_folder(folder / EVALUATE)
        told.write_text(json.dumps(report))


def _another_id(rows: pd.DataFrame) -> None:
    rows.loc[3, "row_id"] = "another"


def _another_truth(rows: pd.DataFrame) -> None:
    rows.loc[3, "y_true"] = (rows.loc[3, "y_true"] + 1) % 10


@pytest.mark.parametrize("change", [_another_id, _another_truth])
def test_other_test_rows_are_refused(
    change: Callable[[pd.DataFrame], None], run: Path, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(other, change, honest=True)
    assert main([f"compare={other}"]) == 2
    told = capsys.readouterr().err
    assert "test rows of digits are not the" in told
    assert told.endswith("nothing can be paired\n  fix: compare runs with the same data, seed and splits\n")
    assert not Path("reports/compare.json").exists()


def test_a_report_of_other_predictions_is_refused(run: Path, other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed(other, _another_id, honest=False)
    assert main([f"compare={other}"]) == 2
    assert "is not about the predictions that lie in" in capsys.readouterr().err


def test_what_is_missing_is_named(run: Path, other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (other / "reports/report.json").unlink()
    assert main([f"compare={other}"]) == 2
    assert (
        "no finished run, reports/report.json not found\n  fix: copy artifacts/prepare/fit/dataset.json"
        in capsys.readouterr().err
    )
    shutil.rmtree(run / EVALUATE)
    assert main([f"compare={other}"]) == 2
    assert (
        capsys.readouterr().err
        == "error: here: no finished run, artifacts/evaluate not found\n  fix: run `dvc repro`\n"
    )
    assert main(["compare="]) == 2
    assert main(["compare=a", "seed=3"]) == 2
    assert "compare takes one run and nothing else, got compare=a seed=3" in capsys.readouterr().err


def test_a_name_that_nothing_has(run: Path, shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("nobody", "--help=x", "HEAD"):
        assert main([f"compare={name}"]) == 2
        told = capsys.readouterr().err
        assert told.startswith(
            f"error: compare={name}: no folder, no revision and no experiment has this name\n  fix: "
        )
    shell(
        run, "git init -q && git commit -q --allow-empty -m start && git update-ref refs/exps/ab/cdef/mossy-hare HEAD"
    )
    assert main(["compare=mossy-hair"]) == 2
    assert "did you mean 'mossy-hare'?" in capsys.readouterr().err
