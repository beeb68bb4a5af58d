"""How fast a large CSV file is predicted and in how much memory, beside the plainest loop one could write.

    python benchmarks/predict.py MODEL [rows=1000000] [repeats=1] [out=benchmarks/results/predict.json]

MODEL is the folder that train wrote for a table with classes (artifacts/train of conf/data/adult.yaml). A file of rows
like its training rows is made up, then each command runs in a fresh process: one that only loads the model, the plain
loop, `python -m pipeline.predict`, in turn so many times.

The plain loop does what a script does: pandas.read_csv in chunks of 8,192 rows, categories by a dictionary, medians and
marks where a number is missing, the network on 1,024 rows at a time, probabilities to one Parquet file. It checks no
cell, names no row, flags nothing and breaks at the first bad line. Both count from the start of the first chunk's
reading to the end of the last one's writing, so that starting Python and loading torch count for neither; `seconds`
has the whole process too.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from measure import Measured, measured
from scratch import (
    RESULTS,
    ROOT,
    circumstances,
    circumstances_lines,
    commit,
    environment,
    mistake,
    options,
    read_results,
    write_results,
)

from pipeline.core.contracts import TableInputs
from pipeline.datasets.progress import told
from pipeline.predict import load
from pipeline.prediction import Model, output_file

DEFAULTS = {"rows": 1_000_000, "repeats": 1, "out": RESULTS / "predict.json"}
_CHUNK = 8192
_BATCH = 1024


def names_of(model: Model) -> list[str]:
    """Return the columns of the file: those of the training file where it had no header, else the inputs alone."""
    declared = model.intake.data
    if declared.header:
        return [column.name for column in inputs_of(model).columns]
    return [name for name in declared.columns if name not in declared.targets]


def inputs_of(model: Model) -> TableInputs:
    """Return what a network of a table reads."""
    if not isinstance(model.inputs, TableInputs) or not model.intake.classes:
        raise mistake(f"the model reads {model.inputs.kind}", "give the folder of a model of a table with classes")
    return model.inputs


def make(path: Path, model: Model, rows: int) -> None:
    """Write rows whose cells are drawn from what training had in their columns; columns that are no inputs hold 0."""
    rng = np.random.default_rng(7)
    columns = {column.name: column for column in inputs_of(model).columns}
    for start in range(0, rows, 100_000):
        n = min(100_000, rows - start)
        frame: dict[str, Any] = dict.fromkeys(names_of(model), np.zeros(n, int))
        for name, column in columns.items():
            known = column.edges if column.kind == "numeric" else [c for c in column.categories if c != "(missing)"]
            frame[name] = rng.choice(np.array(known), n)
        header = model.intake.data.header and not start
        pd.DataFrame(frame).to_csv(path, mode="a" if start else "w", header=header, index=False)


def loop(folder: Path, source: Path, target: Path) -> float:
    """Predict a file as a script would; return the seconds it took."""
    model = load(folder)
    inputs, network = inputs_of(model), model.network
    codes = {c.name: {v: i + 1 for i, v in enumerate(c.categories)} for c in inputs.columns if c.kind == "categorical"}

    def encoded(frame: pd.DataFrame) -> np.ndarray:
        places, marks = [], []
        for column in inputs.columns:
            cells = frame[column.name]
            if column.kind == "categorical":
                places.append(cells.fillna("(missing)").map(codes[column.name]).fillna(0).to_numpy(np.float32))
                continue
            places.append(cells.fillna(column.median).to_numpy(np.float32))
            if column.missing:
                marks.append(cells.isna().to_numpy(np.float32))
        return np.stack([*places, *marks], axis=1)

    declared = {"names": names_of(model), "header": 0 if model.intake.data.header else None,
                "usecols": [column.name for column in inputs.columns], "dtype": dict.fromkeys(codes, str),
                "skipinitialspace": True, "na_values": list(model.intake.data.missing)}  # fmt: skip
    start = time.perf_counter()
    writer = None
    with torch.no_grad():
        for frame in pd.read_csv(source, chunksize=_CHUNK, **declared):
            x = torch.from_numpy(encoded(frame))
            p = torch.cat([network(part).double().softmax(1) for part in x.split(_BATCH)]).numpy()
            table = pa.table({f"p_{k}": p[:, k] for k in range(p.shape[1])})
            writer = writer or pq.ParquetWriter(target, table.schema)
            writer.write_table(table)
    if writer is not None:
        writer.close()
    return time.perf_counter() - start


def ours(folder: Path, source: Path, target: Path) -> float:
    """Predict a file as `python -m pipeline.predict` does; return the seconds it took."""
    model = load(folder)
    start = time.perf_counter()
    with output_file(target) as output:
        for frame in told(model.stream(source), "rows", model.rows_about(source), len):
            output.write(frame)
            assert frame["refused"].isna().all(), frame["refused"].iloc[0]
    return time.perf_counter() - start


def compare(folder: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """Return seconds, rates, their ratio and memory."""
    with tempfile.TemporaryDirectory() as place:
        source = Path(place) / "rows.csv"
        make(source, load(folder), asked["rows"])

        def run(what: str) -> tuple[Measured, float]:
            command = [sys.executable, str(Path(__file__).resolve()), f"--{what}", str(folder.resolve()), str(source),
                       str(Path(place) / f"{what}.parquet")]  # fmt: skip
            done = measured(command, ROOT, environment() | {"PYTHONPATH": str(ROOT)})
            if done.code:
                raise mistake(f"{what} ended with {done.code}: {done.output[-2000:]}", "see above")
            return done, float(done.output.split()[-1])

        alone = run("load")[0].largest_mb
        turns = [(run("loop"), run("ours")) for _ in range(asked["repeats"])]
        same = equal(Path(place))
        size = source.stat().st_size
    loops, own = [turn[0][1] for turn in turns], [turn[1][1] for turn in turns]
    return {
        "megabytes_of_csv": round(size / 1e6, 1),
        "loop_rows_per_second": [round(asked["rows"] / s) for s in loops],
        "predict_rows_per_second": [round(asked["rows"] / s) for s in own],
        "ratio": round(statistics.median(a / b for a, b in zip(loops, own, strict=True)), 2),
        "predict_process_seconds": [round(turn[1][0].seconds, 1) for turn in turns],
        "model_mb": round(alone),
        "predict_mb": round(max(turn[1][0].largest_mb for turn in turns)),
        "loop_mb": round(max(turn[0][0].largest_mb for turn in turns)),
        "largest_difference_of_probabilities": same,
    }


def equal(place: Path) -> float:
    """Return how far the two files of probabilities lie apart at most."""

    def parts(name: str) -> Iterator[np.ndarray]:
        frame = pd.read_parquet(place / name)
        yield frame[[c for c in frame if str(c).startswith("p_")]].to_numpy()

    return float(max(np.abs(a - b).max() for a, b in zip(parts("loop.parquet"), parts("ours.parquet"), strict=True)))


def render(records: dict[str, Any]) -> str:
    """Return the Markdown page of all records."""
    head = ["rows", "CSV, MB", "plain loop, rows/s", "predict, rows/s", "predict / loop", "model alone, MB",
            "predict, MB", "largest difference"]  # fmt: skip
    lines = [head, ["---"] * len(head)]
    for r in records.values():
        rates = [", ".join(f"{n:,}" for n in r[key]) for key in ("loop_rows_per_second", "predict_rows_per_second")]
        lines.append([f"{r['settings']['rows']:,}", r["megabytes_of_csv"], *rates, r["ratio"], r["model_mb"],
                      r["predict_mb"], f"{r['largest_difference_of_probabilities']:.1g}"])  # fmt: skip
    table = [f"| {' | '.join(str(cell) for cell in line)} |" for line in lines]
    title = ["# A large CSV file: predict beside a plain loop", "", "Written by `python benchmarks/predict.py`.", ""]
    return "\n".join([*title, *table, "", *circumstances_lines(list(records.values()))]) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Compare, print and keep the outcome; or be one of the processes that are compared."""
    if arguments and arguments[0] in ("--load", "--loop", "--ours"):
        what, folder, source, target = arguments
        acts = {"--loop": loop, "--ours": ours}
        load(folder)
        seconds = acts[what](Path(folder), Path(source), Path(target)) if what in acts else 0.0
        sys.stdout.write(f"{seconds}\n")
        return 0
    folder, asked = options(arguments, DEFAULTS)
    about = {"settings": {k: v for k, v in asked.items() if k != "out"}, "commit": commit()}
    record = about | {"circumstances": circumstances()} | compare(folder, asked)
    records = read_results(asked["out"]) | {record["circumstances"]["date"]: record}
    write_results(asked["out"], records, render(records))
    sys.stdout.write(json.dumps({k: v for k, v in record.items() if k not in about}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
