"""predict beside evaluate on the digits: a difference is found where there is one, and none where there is none."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import predict_equals_evaluate as bench
import pytest

from pipeline.core.strict import plain
from tests.prediction.conftest import Train, trained

__all__ = ["trained"]

FILES = [{"kind": kind, "file": f"model.{kind}", "bytes": 4000, "difference": 1e-7} for kind in ("torch", "onnx")]
NUMBER = {"value": 0.5, "ci_low": 0.4, "ci_high": 0.6}
INT8 = {"kind": "int8", "file": "model.int8.onnx", "bytes": 1500, "difference": 0.01,
        **{key: {"accuracy": NUMBER, "log_loss": NUMBER} for key in ("before", "after", "change")}}  # fmt: skip
TIMES = [{"batch": batch, "milliseconds": {"onnx": {"value": 2.0}, "int8": {"value": 1.0}}} for batch in (1, 64)]


def record(**changes: Any) -> dict[str, Any]:
    found = {"status": "done", "candidate": "cnn", "task": "multiclass", "rows": 360, "refused": 0, "other_class": 0,
             "difference": 2e-8, "unit": "probability", "commit": {"hash": "0" * 40, "dirty": False},
             "circumstances": {"cpu": "a", "cores": 2, "python": "3", "torch": "2", "optuna": "4",
                               "pytorch-lightning": "2", "seed": 7, "date": "2026-01-01", "load_before": 0.1},
             "export": {"rows": 200, "files": [*FILES, INT8], "times": TIMES}}  # fmt: skip
    return found | changes


def test_predictions_of_the_digits_as_image_files_are_those_of_evaluate(trained: Train, tmp_path: Path) -> None:
    made = trained({"kind": "cnn", "width": 8}, name="digits", format="digits", path=None)
    p = made.expected()
    (tmp_path / "artifacts/evaluate").mkdir(parents=True)
    stored = {"row_id": made.test_ids(), "y_pred": p.argmax(1)} | {f"p_{k}": p[:, k] for k in range(10)}
    pd.DataFrame(stored).to_parquet(tmp_path / "artifacts/evaluate/predictions.parquet")
    predicted = made.model.predict(bench.digits(tmp_path / "raw"))
    predicted["row_id"] = "digits:" + predicted["row_id"].str.removesuffix(".png")
    card = plain(made.prepared.card)
    found = bench.compared(tmp_path / "artifacts", card, predicted)
    assert (found["rows"], found["refused"], found["other_class"]) == (len(p), 0, 0)
    assert found["difference"] <= bench.ALLOWED
    at = predicted["row_id"] == made.test_ids()[5]
    predicted.loc[at, "p_3"] += 5e-6
    predicted.loc[at, "predicted"] = "none"
    found = bench.compared(tmp_path / "artifacts", card, predicted)
    assert found["difference"] == pytest.approx(5e-6, rel=0.2)
    assert found["other_class"] == 1


def test_a_threshold_is_the_same_where_its_labels_are() -> None:
    stored = pd.DataFrame({"row_id": ["a", "b", "c"], "y_true": [1, 0, 1]})
    predicted = pd.DataFrame({"row_id": ["c", "b", "a"], "label": ["no", "no", "yes"], "threshold": 0.25})
    scores = {"threshold": {"value": 0.25, "positive": "yes", "metrics": {"accuracy": {"value": 2 / 3}}}}
    found = bench.same_decisions(scores, stored, predicted)
    assert bench.agrees(record(threshold=found))
    assert not bench.agrees(record(threshold=found | {"evaluate": 0.5}))
    assert not bench.agrees(record(threshold=found | {"accuracy_evaluated": 1.0}))


def test_what_differs_does_not_agree() -> None:
    assert bench.agrees(record())
    assert not bench.agrees(record(difference=2e-6))
    assert not bench.agrees(record(difference=None))
    assert not bench.agrees(record(refused=1))
    worse = [FILES[0], FILES[1] | {"difference": 2e-4}, INT8]
    assert not bench.agrees(record(export={"rows": 200, "files": worse, "times": TIMES}))


def test_the_page_has_a_line_per_set_and_two_per_int8_file() -> None:
    none = {"kind": "int8", "file": None, "bytes": None, "reason": "not supported for this network: GRU cells"}
    without = {"rows": 200, "files": [*FILES, none], "times": TIMES}
    page = bench.render({"digits": record(), "gone": {"status": "not there"}, "rnn": record(export=without)})
    assert "| digits | cnn | 360 | 2.0e-08 | probability | 0 |  |  | 1.0e-07 | 1.0e-07 | yes |" in page
    assert "| gone | not there |" in page
    assert ("| digits | 200 | accuracy | 0.5000 | 0.5000 | +0.5000 [+0.4000, +0.6000] | 4.0 | 1.5 | 1 | 2.000 | 1.000 |"
            in page)  # fmt: skip
    assert "|  |  | log loss | 0.5000 | 0.5000 | +0.5000 [+0.4000, +0.6000] |  |  | 64 | 2.000 | 1.000 |" in page
    assert "| rnn | 200 | not supported for this network: GRU cells |" in page


@pytest.mark.slow
def test_the_whole_way_on_the_digits(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="the extra export is not installed")
    out = tmp_path / "equal.json"
    sets = {"digits": {"path": None, "settings": "data=digits space=tiny", "raw": None}}
    assert bench.main([str(tmp_path), "seconds=2", f"out={out}"], sets) == 0
    found = json.loads(out.read_text())["digits"]
    assert bench.agrees(found)
    assert found["rows"] == 359
