"""weights + test split → predictions, scores with intervals, baselines on the same rows.

With `interpret`, the only stage that may open artifacts/prepare/test.
"""

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline.core.contracts import BaselineScores, DatasetCard, Number, Scores
from pipeline.core.seeds import stream
from pipeline.core.settings import EvaluateSettings, EvaluateSlice
from pipeline.core.store import EVALUATE, FIT, REPORTS, TEST, TRAIN, fresh_folder, read_record, write_json
from pipeline.stage import run_stage

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from torch import nn

    from pipeline.datasets import Split

log = logging.getLogger("pipeline.evaluate")


def baseline_scores(
    settings: EvaluateSettings, card: DatasetCard, train: "Split", test: "Split", p: "NDArray[np.float64]", seed: int
) -> tuple[BaselineScores, ...]:
    """Fit each declared baseline on training rows and pair it with the network's predictions `p` (N, K)."""
    from pipeline.baselines import baseline_probabilities, subsample
    from pipeline.metrics.scores import paired_gain, score_table

    rows = subsample(train.y, settings.baseline_rows, seed)
    fitted_on = f"{len(rows):,} of {len(train.y):,} training rows"
    found = []
    for name in settings.baselines:
        x, y = train.x[rows], train.y[rows]
        q = baseline_probabilities(name, card.inputs, (x, y), test.x, len(card.classes), seed)
        metrics = score_table(test.y, q, stream(seed, "evaluate", name), settings.resamples, settings.level)
        right, baseline_right = p.argmax(1) == test.y, q.argmax(1) == test.y
        rng = stream(seed, "evaluate", name, "gain")
        gain = paired_gain(right, baseline_right, settings.level, rng, settings.resamples)
        log.info("baseline %s: accuracy %.4f", name, metrics["accuracy"].value)
        found.append(BaselineScores(name=name, fitted_on=fitted_on, metrics=metrics, accuracy_gain=gain))
    return tuple(found)


def latency(network: "nn.Module", row: "NDArray[Any]", repeats: int = 50) -> Number:
    """Return the median milliseconds of one forward pass of one row, with a distribution-free interval."""
    import numpy as np

    from pipeline.training.predict import predict_probabilities

    taken = []
    for _ in range(repeats + 5):
        start = time.perf_counter()
        predict_probabilities(network, row)
        taken.append((time.perf_counter() - start) * 1000)
    ordered = np.sort(taken[5:])
    half = 1.96 * np.sqrt(repeats) / 2  # binomial ranks around the median
    low, high = ordered[int(repeats / 2 - half)], ordered[int(np.ceil(repeats / 2 + half))]
    return Number(
        value=float(np.median(ordered)),
        ci_low=float(low),
        ci_high=float(high),
        ci_level=0.95,
        ci_method="binomial ranks",
        n=repeats,
        unit="ms",
    )


def predictions_table(test: "Split", p: "NDArray[np.float64]") -> "pd.DataFrame":
    """Return one row per test row: id, true and predicted class, probabilities, audit groups."""
    import pandas as pd

    columns: dict[str, object] = {"row_id": test.rows["row_id"], "y_true": test.y, "y_pred": p.argmax(1)}
    columns |= {f"p_{k}": p[:, k] for k in range(p.shape[1])}
    columns |= {name: test.rows[name] for name in test.rows.columns if str(name).startswith("audit.")}
    return pd.DataFrame(columns)


def flat_metrics(scores: Scores) -> Mapping[str, float]:
    """Return {name: value} for `dvc metrics` and `dvc exp show`."""
    flat = {name: number.value for name, number in scores.metrics.items() if number.value is not None}
    for baseline in scores.baselines:
        accuracy = baseline.metrics["accuracy"].value
        if accuracy is not None:
            flat[f"{baseline.name}_accuracy"] = accuracy
    return flat


def run(settings: EvaluateSlice) -> None:
    """Read the weights and the test split, write predictions.parquet, scores.json and metrics.json."""
    from pipeline.datasets import load_split
    from pipeline.metrics.calibration import reliability
    from pipeline.metrics.scores import class_scores, confusion, score_table
    from pipeline.training.predict import predict_probabilities
    from pipeline.training.weights import load_model

    chosen, seed = settings.evaluate, settings.seed
    card = read_record(DatasetCard, FIT / "dataset.json")
    network, _ = load_model(TRAIN)
    train, test = load_split(FIT, "train"), load_split(TEST, "test")
    p = predict_probabilities(network, test.x)
    metrics = score_table(test.y, p, stream(seed, "evaluate"), chosen.resamples, chosen.level)
    log.info("test accuracy %.4f on %s rows", metrics["accuracy"].value, f"{len(test.y):,}")
    scores = Scores(
        metrics=metrics,
        classes=class_scores(test.y, p.argmax(1), card.classes, stream(seed, "evaluate", "classes"), chosen.level),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion(test.y, p.argmax(1), len(card.classes))),
        reliability=reliability(test.y, p, 15, chosen.level),
        baselines=baseline_scores(chosen, card, train, test, p, seed),
        latency_ms=latency(network, test.x[:1]),
    )
    with fresh_folder(EVALUATE) as folder:
        predictions_table(test, p).to_parquet(folder / "predictions.parquet", index=False)
        write_json(folder / "scores.json", scores)
    write_json(REPORTS / "metrics.json", flat_metrics(scores))


if __name__ == "__main__":
    run_stage("evaluate", EvaluateSlice, run)
