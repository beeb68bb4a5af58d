"""Searches beside other tools' figures on the same rows: accuracy on test, and how the budget was kept.

    python benchmarks/peers.py DATA_FOLDER [only=digits-30,adult-120] [seeds=1] [settings="key=value …"]
                               [out=benchmarks/results/peers.json] [again=yes|no]

The rows are those the others had: digits and 10,000 images of Fashion-MNIST drawn with scikit-learn's splitter, the
rest as published. `python -m pipeline.search` runs as it does by default, in a scratch copy of the project; its single
network, its ensemble and the one with simple models in it are then scored once on the test rows. Seconds are the wall
seconds of the whole search process, import and export included; preparing the rows is not in them, as the others read
prepared arrays too.

The others' figures were taken before, on another day and another machine with two shared cores, one seed each, each
harness kept to one thread; they are quoted, not measured here.
"""

import gzip
import shutil
import sys
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from own_data import StepError, Steps, say
from quality import STEPS, score_on_test
from scratch import (
    RESULTS,
    ROOT,
    chosen,
    circumstances,
    circumstances_lines,
    commit,
    markdown,
    merge,
    options,
    scratch_project,
    there_already,
)
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

_DIGITS = {"hand-written Optuna and Lightning": ".995 in 93 s", "hand-written Optuna and torch": ".995 in 107 s",
           "Ludwig": ".997 in 200 s", "AutoKeras": ".980 to .987 in 145 to 169 s", "AutoGluon": ".977 in 34 to 141 s",
           "FLAML": ".975 in 135 s"}  # fmt: skip
_FASHION_10K = {"hand-written Optuna and torch": ".885 to .894 in 229 to 255 s", "AutoKeras": ".879 in 493 to 509 s"}
_ADULT = {"hand-written Optuna and torch": ".855 in 114 s", "AutoGluon (trees)": ".873 in 124 s",
          "FLAML (trees)": ".872 in 124 s"}  # fmt: skip
_NPZ = "data=image_folder data.format=npz data.name={0} data.path={0}.npz"
RACES: dict[str, dict[str, Any]] = {
    "digits-30": {"rows": "digits", "settings": _NPZ.format("digits"), "seconds": 30, "aim": 0.995,
                  "others": {"hand-written Optuna and Lightning": ".995 in 32 s"}},
    "digits-120": {"rows": "digits", "settings": _NPZ.format("digits"), "seconds": 120, "aim": 0.997,
                   "others": _DIGITS},
    "fashion10k-300": {"rows": "fashion10k", "settings": _NPZ.format("fashion10k"), "seconds": 300, "aim": 0.92,
                       "others": _FASHION_10K},
    "fashion-300": {"path": "fashion_mnist", "settings": "data=fashion_mnist", "seconds": 300, "aim": 0.945},
    "fashion-1200": {"path": "fashion_mnist", "settings": "data=fashion_mnist", "seconds": 1200, "aim": 0.952},
    "adult-120": {"path": "adult", "settings": "data=adult", "seconds": 120, "aim": 0.873, "others": _ADULT},
}  # fmt: skip
DEFAULTS = {"only": "", "seeds": 1, "settings": "", "out": RESULTS / "peers.json", "again": False}


_IDX = {"x": ("images-idx3", 16, (-1, 28, 28)), "y": ("labels-idx1", 8, (-1,))}


def write_rows(name: str, data: Path, top: Path) -> None:
    """Write the rows that the others had as <name>.npz, drawn as theirs were."""
    arrays = digits() if name == "digits" else fashion10k(data / "fashion_mnist")
    np.savez(top / f"{name}.npz", **dict(zip(("x_train", "x_test", "y_train", "y_test"), arrays, strict=True)))


def digits() -> Sequence[Any]:
    """Return scikit-learn's digits: 1,200 rows to learn from, 597 to test on."""
    x, y = load_digits(return_X_y=True)
    images = (x.reshape(-1, 8, 8) * (255 / 16)).round().astype(np.uint8)
    parts: Sequence[Any] = train_test_split(images, y, test_size=597, train_size=1200, stratify=y, random_state=0)
    return parts


def fashion10k(folder: Path) -> Sequence[Any]:
    """Return 10,000 training rows of Fashion-MNIST and its test rows."""
    read = {
        (key, split): np.frombuffer(
            gzip.decompress((folder / f"{split}-{kind}-ubyte.gz").read_bytes()), np.uint8, offset=skip
        ).reshape(shape)
        for key, (kind, skip, shape) in _IDX.items() for split in ("train", "t10k")
    }  # fmt: skip
    y = read["y", "train"]
    picked, _ = train_test_split(np.arange(len(y)), train_size=10_000, stratify=y, random_state=0)
    return read["x", "train"][picked], read["x", "t10k"], y[picked], read["y", "t10k"]


def one_race(spec: Mapping[str, Any], data: Path, asked: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Prepare, search, score on test; return the record."""
    about = {"circumstances": circumstances()}
    path = data / spec["path"] if "path" in spec else None
    if not (path or data).exists():
        return about | {"status": "not there"}
    told = [*spec["settings"].split(), *([f"data.path={path}"] if path else []), *str(asked["settings"]).split()]
    with scratch_project() as top:
        if "rows" in spec:
            write_rows(spec["rows"], data, top)
        shutil.copy(ROOT / "benchmarks" / f"{STEPS}.py", top)
        steps = Steps(top, data)
        try:
            prepared, _ = steps.run("prepare", ["pipeline.prepare", *told])
            search = [*told, f"search.seconds={spec['seconds']}", "search.n_trials=100000", f"seed={seed}"]
            searched, _ = steps.run("search", ["pipeline.search", *search])
            record = steps.read("artifacts/search/search.json")
            tested = score_on_test(steps, search, record["best"])
        except StepError as failed:
            return about | {"status": "failed", "failure": failed.record}
    kept = {"prepare": prepared["seconds"], "wall": searched["seconds"], "trials": len(record["trials"])}
    return about | {"status": "done", **kept, **tested}


def render(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the Markdown page of all records."""
    rows: list[list[object]] = [["rows, budget", "seed", "single network on test", "ensemble on test", "networks",
                                 "with simple models", "search process, s", "prepare, s", "trials", "aim",
                                 "others (quoted)"]]  # fmt: skip
    for r in records.values():
        race, seed = r["settings"]["race"], r["settings"]["seed"]
        spec = RACES.get(race, {})
        others = "; ".join(f"{name} {said}" for name, said in spec.get("others", {}).items()) or "–"
        if r["status"] != "done":
            rows.append([race, seed, r["status"], *["–"] * 6, spec.get("aim", "–"), others])
            continue
        low, high = r["test_interval"]
        single = f"{r['test']:.4f} [{low:.4f}, {high:.4f}]"
        ensemble, mixed = ("–" if found is None else f"{found:.4f}" for found in (r["ensemble"], r.get("mixed")))
        rows.append([race, seed, single, ensemble, r["networks"], mixed, r["wall"], r["prepare"], r["trials"],
                     spec.get("aim", "–"), others])  # fmt: skip
    head = ["# Beside other tools", "", "Written by `python benchmarks/peers.py DATA_FOLDER`; see",
            "[benchmarks/README.md](../README.md). The others' figures are quoted: another day and machine (two shared",
            "cores, each harness on one thread), one seed.", ""]  # fmt: skip
    return "\n".join([*head, *markdown(rows), "", *circumstances_lines(list(records.values()))]) + "\n"


def main(arguments: Sequence[str], races: Mapping[str, Mapping[str, Any]] = RACES) -> int:
    """Run the races that are not there yet; return 1 if any failed."""
    data, asked = options(arguments, DEFAULTS)
    at, failed = commit(), 0
    for race, seed in product(chosen(asked["only"], races, "only: no race"), range(asked["seeds"])):
        key = f"{race}, seed {seed}"
        marks = {"settings": {"race": race, "seed": seed, "settings": asked["settings"]}, "commit": at}
        if not asked["again"] and there_already(asked["out"], key, marks):
            say(f"{key}: there already")
            continue
        record = one_race(races[race], data, asked, seed)
        merge(asked["out"], key, marks | record, lambda name: name, render)
        tail = record.get("failure", {}).get("tail", [""])[-1]
        say(f"{key}: {record['status']} {record.get('test', tail)}")
        failed += record["status"] == "failed"
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
