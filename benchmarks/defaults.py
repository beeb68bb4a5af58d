"""What the first candidate of a search reaches alone: the default of a space, trained once per seed, no search.

    python benchmarks/defaults.py DATA_FOLDER [only=name,name] [seeds=3] [family=] [settings="key=value …"]
                                  [out=benchmarks/results/defaults.json] [again=yes|no]

Each set runs in a scratch copy of the project, on one thread: prepare; the default candidate of the space's default
family (or of `family`), raised as far as the seconds pay for, is handed to `pipeline.train` as a search would;
`pipeline.evaluate` scores the test split. Seeds are those of training; the split stays. Beside each score stand the
value aimed at and what a person's own script reached; for images also, apart, the score of the mean over shifted (and
mirrored) views of each test image. Records are merged into the JSON file, and the page beside it is written anew.
"""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from own_data import StepError, Steps, numbers, say
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

UCR = "data=ucr data.name={0} data.train_file={0}_TRAIN.ts data.test_file={0}_TEST.ts"
# `aim`: the value to reach; `script`: what a person's script reached (one core of another processor, with bfloat16
# matrix units), and in how many seconds.
SETS: dict[str, dict[str, Any]] = {
    "digits": {"path": None, "settings": "data=digits", "seconds": 60, "aim": 0.985, "script": "0.986 in 10 s"},
    "fashion_mnist 60 s": {"path": "fashion_mnist", "settings": "data=fashion_mnist", "seconds": 60, "aim": 0.920,
                           "script": "0.924 in 60 s"},
    "fashion_mnist 300 s": {"path": "fashion_mnist", "settings": "data=fashion_mnist", "seconds": 300, "aim": 0.938,
                            "script": "0.940 in 300 s"},
    "cifar10_jpg 300 s": {"path": "cifar10_jpg/cifar10_jpg.tar.xz", "settings": "data=image_folder data.side=32",
                          "seconds": 300,
                          "more": "space.optimizer.flip=true", "aim": 0.86, "script": "0.863 in 300 s"},
    "cifar10_jpg 840 s": {"path": "cifar10_jpg/cifar10_jpg.tar.xz", "settings": "data=image_folder data.side=32",
                          "seconds": 840,
                          "more": "space.optimizer.flip=true", "aim": 0.885, "script": "0.889 in 840 s"},
    "sst2": {"path": "sentence_cls", "settings": "data=sst2", "seconds": 60, "aim": 0.83, "script": "0.835 in 5 s"},
    "banking77": {"path": "banking77", "settings": "data=banking77", "seconds": 60, "aim": 0.90,
                  "script": "0.906 in 29 s"},
    "sms_spam": {"path": "sms_spam", "settings": "data=sms_spam", "seconds": 60, "aim": 0.985,
                 "script": "0.988 in 1 s"},
    "adult": {"path": "adult", "settings": "data=adult", "seconds": 60, "aim": 0.869, "script": "0.872 in 6 s"},
    "california_housing": {"path": "california_housing", "settings": "data=california_housing", "seconds": 60,
                           "metric": "r2", "aim": 0.825, "script": "0.836 in 68 s"},
    "etth1": {"path": "ett", "settings": "data=etth1", "seconds": 60, "metric": "mse", "aim": 0.372,
              "script": "0.369 in 5 s"},
    **{name: {"path": f"ucr_uea/{name}", "settings": UCR.format(name), "seconds": 60, "aim": aim,
              "script": f"{aim:.3f}, random kernels and ridge"}
       for name, aim in (("ArrowHead", 0.869), ("GunPoint", 1.0), ("ItalyPowerDemand", 0.968),
                         ("PickupGestureWiimoteZ", 0.91), ("BasicMotions", 1.0), ("JapaneseVowels", 0.986))},
}  # fmt: skip
DEFAULTS = {"only": "", "seeds": 3, "family": "", "settings": "", "again": False, "out": RESULTS / "defaults.json"}
_LOWER_IS_BETTER = ("mse",)


def one_set(spec: Mapping[str, Any], data: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Train and score the default candidate once per seed; return the record."""
    path = data / spec["path"] if spec["path"] else None
    if path is not None and not path.exists():
        return {"status": "not there"}
    told = [*spec["settings"].split(), *([f"data.path={path}"] if path else []), *spec.get("more", "").split()]
    told += shlex.split(asked["settings"])
    try:
        with scratch_project() as top:
            steps = Steps(top, data)
            prepared, _ = steps.run("prepare", ["pipeline.prepare", *told])
            candidate = hand_on(steps, [*told, *alone(spec)], asked["family"])
            runs = [one_seed(steps, told, spec, seed) for seed in range(asked["seeds"])]
            rows = steps.read("artifacts/prepare/fit/dataset.json")["rows"]
    except StepError as failed:
        return {"status": "failed", "failure": failed.record}
    scores = [run["score"] for run in runs]
    spread = stdev(scores) if len(scores) > 1 else None
    return {"status": "done", "prepare": prepared, "rows": rows, "candidate": candidate, "runs": runs,
            "mean": mean(scores), "spread": spread}  # fmt: skip


def alone(spec: Mapping[str, Any]) -> list[str]:
    """Return the settings of one training with all the seconds of a set."""
    return [f"train.seconds={spec['seconds']}", *ALONE, "trainer.device=cpu"]


def hand_on(steps: Steps, told: Sequence[str], family: str) -> Any:
    """Write artifacts/search/best.json with a family's default, raised where `told` has train.seconds; return it."""
    steps.run("hand on", steps.inside("hand_on", [family, *told]))
    return steps.read("artifacts/search/best.json")["candidate"]


def one_seed(steps: Steps, told: Sequence[str], spec: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Train and evaluate with one seed; return score, seconds and passes."""
    own = [*alone(spec), f"seed={seed}"]
    steps.run("train", ["pipeline.train", *told, *own])
    steps.run(
        "evaluate",
        ["pipeline.evaluate", *told, f"seed={seed}", "evaluate.baselines=[constant]", "evaluate.robustness=[]"],
    )
    model, scores = steps.read("artifacts/train/card.json"), steps.read("artifacts/evaluate/scores.json")
    found = scores["metrics"][spec.get("metric", "accuracy")]
    views = {"views": of_views(steps, told, seed)} if model["inputs"]["kind"] == "image" else {}
    return {"seed": seed, "score": found["value"], "ci": [found["ci_low"], found["ci_high"]],
            "seconds": round(model["seconds"], 1), "epochs": model["epochs"][-1]["epoch"],
            "precision": model["precision"], "parameters": model["parameters"],
            "val_quality": model["val_quality"]} | views  # fmt: skip


def of_views(steps: Steps, told: Sequence[str], seed: int) -> dict[str, Any]:
    """Return the score of the mean of the probabilities over views of each test image, and its gain over none."""
    steps.run("views", steps.inside("views", [*told, f"seed={seed}"]))
    found = steps.read("views.json")
    return {"count": found["views"]} | {name: numbers(found[name]) for name in ("score", "gain")}


def render(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the Markdown page of all records."""
    head = ["set", "candidate", "test score of each seed", "mean", "aim", "reached", "a person's script", "train s",
            "passes", "weights", "computed in", "views", "mean over views", "gain of each seed"]  # fmt: skip
    rows: list[Sequence[object]] = [head]
    for name, r in records.items():
        if r["status"] != "done":
            rows.append([name, r["status"], r.get("failure", {}).get("tail", [""])[-1], *[""] * 10])
            continue
        spec, runs = r["settings"]["set"], r["runs"]
        metric = spec.get("metric", "accuracy")
        sign = -1 if metric in _LOWER_IS_BETTER else 1
        rows.append([
            name, r["candidate"]["architecture"]["kind"], ", ".join(f"{run['score']:.4f}" for run in runs),
            f"{metric} {r['mean']:.4f}" + (f" ± {r['spread']:.4f}" if r["spread"] is not None else ""), spec["aim"],
            "yes" if sign * round(r["mean"], 3) >= sign * spec["aim"] else "no", spec["script"],
            f"{mean(run['seconds'] for run in runs):.0f}", f"{mean(run['epochs'] for run in runs):.0f}",
            f"{runs[0]['parameters']:,}", runs[0].get("precision", "fp32"), *views_cells(runs),
        ])  # fmt: skip
    title = ["# The default candidate alone", "", "Written by `python benchmarks/defaults.py`; ± is the standard "
             "deviation over seeds. One thread.", "", "Images have three columns more, which nothing else here uses: "
             "accuracy of the mean of the predicted probabilities over views of each test image (itself and four moved "
             "by one pixel, each mirrored too where `flip` is true), and its gain over the image alone, with a paired "
             "95 % bootstrap interval.", ""]  # fmt: skip
    done = [r for r in records.values() if r["status"] == "done"]
    return "\n".join([*title, *markdown(rows), "", *circumstances_lines(done)]) + "\n"


def views_cells(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return count, mean score and gains of the views; empty where there are none."""
    found = [run["views"] for run in runs if "views" in run]
    if not found:
        return [""] * 3
    gains = (f"{v['gain']['value']:+.4f} [{v['gain']['ci_low']:+.4f}, {v['gain']['ci_high']:+.4f}]" for v in found)
    return [str(found[0]["count"]), f"{mean(v['score']['value'] for v in found):.4f}", ", ".join(gains)]


def main(arguments: Sequence[str], sets: Mapping[str, Mapping[str, Any]] = SETS) -> int:
    """Measure the sets asked for, one after the other; return 1 if any failed."""
    data, asked = options(arguments, DEFAULTS)
    names, order = chosen(asked["only"], sets), list(sets)
    one_thread()
    failed = 0
    for name in names:
        key = f"{name}, {asked['family']}" if asked["family"] else name
        settings = {"set": dict(sets[name])} | {k: asked[k] for k in ("seeds", "family", "settings")}
        marks = {"settings": settings, "commit": commit()}
        if not asked["again"] and there_already(asked["out"], key, marks):
            say(f"{key}: there already")
            continue
        record = marks | {"circumstances": circumstances()} | one_set(sets[name], data, asked)
        merge(asked["out"], key, record, lambda n: (order.index(n.split(", ")[0]), n), render)
        shown = f"{record['mean']:.4f}" if record["status"] == "done" else str(record.get("failure", ""))
        say(f"{key}: {record['status']} {shown}")
        failed += record["status"] == "failed"
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
