"""Does a delivered model say what was evaluated? predict on raw test files beside evaluate, and the exported files.

    python benchmarks/predict_equals_evaluate.py DATA_FOLDER [only=name,name] [seconds=10]
                                                 [out=benchmarks/results/predict_equals_evaluate.json] [again=yes|no]

Each set runs in a scratch copy of the project, on one thread: prepare; the default candidate of the space's default
family is handed to `pipeline.train` for so many seconds; `pipeline.evaluate` scores the test split; `pipeline.predict`
reads the raw test file again, with nothing but artifacts/train; `pipeline.export` writes the network as files and
compares them with it on validation rows. Records are merged into the JSON file, and the page beside it is written anew.
The script ends with 1 where predictions differ by more than 1e-6, or a file by more than 1e-4.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from defaults import SETS as DEFAULT_SETS
from defaults import hand_on
from own_data import StepError, Steps, say
from PIL import Image
from scratch import (
    ALONE,
    RESULTS,
    chosen,
    circumstances,
    circumstances_lines,
    commit,
    markdown,
    merge,
    one_thread,
    options,
    scratch_project,
    there_already,
)
from sklearn.datasets import load_digits

# `raw`: the file below the set's path that predict reads, `row_id` and all; none: the digits, as image files.
SETS: dict[str, dict[str, Any]] = {
    name: {key: DEFAULT_SETS[name][key] for key in ("path", "settings")} | more
    for name, more in {
        "digits": {"raw": None},
        "sst2": {"raw": "stsa.binary.test"},
        "ArrowHead": {"raw": "ArrowHead_TEST.ts.gz"},
        "etth1": {"raw": "ETTh1.csv", "told": ["windows=all", "sets=false"]},
        "adult": {"raw": "adult.test.gz"},
    }.items()
}
DEFAULTS = {"only": "", "seconds": 10, "again": False, "out": RESULTS / "predict_equals_evaluate.json"}
ALLOWED, ALLOWED_FILE = 1e-6, 1e-4
_MEASURES = ("accuracy", "log_loss", "squared_error")


def one_set(spec: Mapping[str, Any], data: Path, seconds: int) -> dict[str, Any]:
    """Train, evaluate, predict and export the default candidate; return the record."""
    path = data / spec["path"] if spec["path"] else None
    if path is not None and not path.exists():
        return {"status": "not there"}
    told = [*spec["settings"].split(), *([f"data.path={path}"] if path else [])]
    try:
        with scratch_project() as top:
            steps = Steps(top, data)
            steps.run("prepare", ["pipeline.prepare", *told])
            candidate = hand_on(steps, told, "")
            steps.run("train", ["pipeline.train", *told, f"train.seconds={seconds}", *ALONE, "trainer=cpu"])
            light = ["evaluate.baselines=[constant]", "evaluate.robustness=[]"]
            steps.run("evaluate", ["pipeline.evaluate", *told, *light])
            raw = path / spec["raw"] if path else digits(top / "raw")
            _, lines = steps.run("predict", ["pipeline.predict", f"input={raw}", "output=predicted.parquet",
                                             *spec.get("told", [])])  # fmt: skip
            steps.run("export", ["pipeline.export"])
            predicted = pd.read_parquet(top / "predicted.parquet")
            if path is None:
                predicted["row_id"] = "digits:" + predicted["row_id"].str.removesuffix(".png")
            found = compared(top / "artifacts", steps.read("artifacts/prepare/fit/dataset.json"), predicted)
            record = {"candidate": candidate["architecture"]["kind"], "said": lines[-1]} | found
            if found["task"] == "binary":
                record["threshold"] = same_decisions(steps.read("artifacts/evaluate/scores.json"),
                                                     pd.read_parquet(top / "artifacts/evaluate/predictions.parquet"),
                                                     predicted)  # fmt: skip
            export = steps.read("artifacts/export/export.json")
            return {"status": "done"} | record | {"export": {k: export[k] for k in ("rows", "files", "times")}}
    except StepError as failed:
        return {"status": "failed", "failure": failed.record}


def digits(folder: Path) -> Path:
    """Write the handwritten digits as image files, named by their numbers; return the folder."""
    folder.mkdir()
    for i, image in enumerate(np.round(load_digits().images * (255 / 16)).astype(np.uint8)):
        Image.fromarray(image).save(folder / f"{i}.png")
    return folder


def compared(artifacts: Path, card: Mapping[str, Any], predicted: pd.DataFrame) -> dict[str, Any]:
    """Return how far predictions lie from those that evaluate stored, by row_id, and of how many rows."""
    stored = pd.read_parquet(artifacts / "evaluate/predictions.parquet")
    rows = predicted.set_index("row_id").loc[stored["row_id"]]
    found = {"task": card["task"], "rows": len(stored), "refused": int(rows["refused"].notna().sum())}
    names = [c for c in predicted if c.startswith("p_" if card["classes"] else "predicted_")]
    said = rows[names].to_numpy(float)
    if card["task"] == "forecast":
        units = [stored[[c for c in stored if c.startswith(f"raw.{kind}.")]].to_numpy() for kind in ("offset", "scale")]
        offset, scale = (np.tile(each, said.shape[1] // each.shape[1]) for each in units)
        said, wanted = (said - offset) / scale, np.load(artifacts / "evaluate/forecasts.npy")
    else:
        start = "p_" if card["classes"] else "y_pred_"
        unit = 1.0 if card["classes"] else np.array([target["std"] for target in card["targets"]])
        said, wanted = said / unit, stored[[f"{start}{k}" for k in range(said.shape[1])]].to_numpy(float) / unit
    if card["task"] in ("binary", "multiclass"):
        likeliest = np.array(card["classes"])[stored["y_pred"]]
        found["other_class"] = int((rows["predicted"].to_numpy() != likeliest).sum())
    largest = float(np.abs(said - wanted).max())
    return found | {"difference": largest if np.isfinite(largest) else None,
                    "unit": "probability" if card["classes"] else "training deviation"}  # fmt: skip


def same_decisions(scores: Mapping[str, Any], stored: pd.DataFrame, predicted: pd.DataFrame) -> dict[str, Any]:
    """Return the threshold of both, and the accuracy of predict's labels beside the one that evaluate reports."""
    rows, threshold = predicted.set_index("row_id").loc[stored["row_id"]], scores["threshold"]
    right = (rows["label"] == threshold["positive"]).to_numpy() == (stored["y_true"].to_numpy() == 1)
    return {
        "predict": float(rows["threshold"].iloc[0]),
        "evaluate": threshold["value"],
        "accuracy_of_labels": float(right.mean()),
        "accuracy_evaluated": threshold["metrics"]["accuracy"]["value"],
    }


def agrees(record: Mapping[str, Any]) -> bool:
    """Say whether predict and evaluate say the same, and the exported files too."""
    if record["refused"] or record["difference"] is None or record["difference"] > ALLOWED:
        return False
    files = [one for one in record["export"]["files"] if one["kind"] != "int8"]
    threshold = record.get("threshold")
    return all(one["difference"] <= ALLOWED_FILE for one in files) and (
        threshold is None
        or (threshold["predict"], threshold["accuracy_of_labels"])
        == (threshold["evaluate"], threshold["accuracy_evaluated"])
    )


def render(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the Markdown page of all records."""
    head = ["set", "family", "test rows", "largest difference of predict", "unit", "other class",
            "threshold of predict", "of evaluate", "largest difference of model.onnx", "of model.pt2",
            "agrees"]  # fmt: skip
    rows: list[Sequence[object]] = [head]
    done = {name: r for name, r in records.items() if r["status"] == "done"}
    for name, r in records.items():
        if name not in done:
            rows.append([name, r["status"], r.get("failure", {}).get("tail", [""])[-1], *[""] * 8])
            continue
        files = {one["kind"]: one for one in r["export"]["files"]}
        cuts = [f"{r['threshold'][who]:.6f}" if "threshold" in r else "" for who in ("predict", "evaluate")]
        rows.append([name, r["candidate"], f"{r['rows']:,}", f"{r['difference']:.1e}", r["unit"],
                     r.get("other_class", ""), *cuts, f"{files['onnx']['difference']:.1e}",
                     f"{files['torch']['difference']:.1e}", "yes" if agrees(r) else "no"])  # fmt: skip
    title = ["# predict beside evaluate, and exported files beside the network", "",
             "Written by `python benchmarks/predict_equals_evaluate.py`: the default candidate after a short training. "
             "predict read the raw test file again; differences are the largest over all test rows and outputs, "
             f"{ALLOWED:g} at most is asked; of exported files over validation rows, {ALLOWED_FILE:g} at most.",
             ""]  # fmt: skip
    int8 = ["## 8-bit weights", "", "On validation rows; a change is paired by row, with its 95 % interval. "
            "Milliseconds are medians on one thread.", ""]  # fmt: skip
    return "\n".join([*title, *markdown(rows), "", *int8, *markdown(int8_rows(done)), "",
                      *circumstances_lines(list(done.values()))]) + "\n"  # fmt: skip


def int8_rows(records: Mapping[str, Mapping[str, Any]]) -> list[Sequence[object]]:
    """Return the lines of the table of int8, its head first."""
    rows: list[Sequence[object]] = [["set", "rows", "measure", "model.onnx", "int8", "change", "kB of model.onnx",
                                     "kB of int8", "batch", "ms of model.onnx", "ms of int8"]]  # fmt: skip
    for name, record in records.items():
        export = record["export"]
        files = {one["kind"]: one for one in export["files"]}
        one, kilobytes = files["int8"], [f"{files[k]['bytes'] / 1000:,.1f}" if files[k]["bytes"] else ""
                                         for k in ("onnx", "int8")]  # fmt: skip
        if one["file"] is None:
            rows.append([name, export["rows"], one["reason"], *[""] * 8])
            continue
        measures = [m for m in _MEASURES if m in one["change"]]
        for at, timed in zip(range(max(len(measures), len(export["times"]))), [*export["times"], *[None] * 3],
                             strict=False):  # fmt: skip
            measure = measures[at] if at < len(measures) else None
            worth = ["", "", "", ""]
            if measure is not None:
                worth = [measure.replace("_", " "), f"{one['before'][measure]['value']:.4f}",
                         f"{one['after'][measure]['value']:.4f}", changed(one["change"][measure])]  # fmt: skip
            times = ["", "", ""]
            if timed is not None:
                times = [timed["batch"], *(f"{timed['milliseconds'][k]['value']:.3f}" for k in ("onnx", "int8"))]
            first = [name, f"{export['rows']:,}"] if at == 0 else ["", ""]
            rows.append([*first, *worth, *(kilobytes if at == 0 else ["", ""]), *times])
    return rows


def changed(number: Mapping[str, Any]) -> str:
    """Return a difference with its interval, or why there is none."""
    if number["ci_low"] is None:
        return f"{number['value']:+.4f} ({number['reason']})" if number["reason"] else f"{number['value']:+.4f}"
    return f"{number['value']:+.4f} [{number['ci_low']:+.4f}, {number['ci_high']:+.4f}]"


def main(arguments: Sequence[str], sets: Mapping[str, Mapping[str, Any]] = SETS) -> int:
    """Compare the sets asked for, one after the other; return 1 if any failed or differs."""
    data, asked = options(arguments, DEFAULTS)
    names, order = chosen(asked["only"], sets), list(sets)
    one_thread()
    wrong = 0
    for name in names:
        marks = {"settings": {"set": dict(sets[name]), "seconds": asked["seconds"]}, "commit": commit()}
        if not asked["again"] and there_already(asked["out"], name, marks):
            say(f"{name}: there already")
            continue
        record = marks | {"circumstances": circumstances()} | one_set(sets[name], data, asked["seconds"])
        merge(asked["out"], name, record, order.index, render)
        shown = f"differs by {record['difference']:.1e}" if record["status"] == "done" else record.get("failure", "")
        say(f"{name}: {record['status']} {shown}")
        wrong += record["status"] == "failed" or (record["status"] == "done" and not agrees(record))
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
