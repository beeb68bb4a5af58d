"""Train and score the default of each family on the prepared data; one line of JSON as each is done.

    python -m pairs '{"FAMILY": ["setting", …], …}' [setting …]

The stages are called one after the other in this process, because starting them takes as long as some trainings.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from hand_on import hand_on

from pipeline import evaluate, train
from pipeline.core.contracts import DatasetCard, Scores
from pipeline.core.settings import EvaluateSlice, TrainSlice
from pipeline.core.store import EVALUATE, FIT, SEARCH, TEST, TRAIN, read_json, read_record
from pipeline.core.strict import plain
from pipeline.datasets import load_split
from pipeline.evaluation import judge_for
from pipeline.stage import compose, slice_for
from pipeline.training.data import Rows


def one_family(family: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cards and the simplest predictor's scores."""
    settings = slice_for("evaluate", EvaluateSlice, config)
    hand_on(config, family)
    train.run(slice_for("train", TrainSlice, config))
    evaluate.run(settings)
    card, scores = read_record(DatasetCard, FIT / "dataset.json"), read_record(Scores, EVALUATE / "scores.json")
    found = {
        "task": card.task,
        "rows": card.rows,
        "model": read_json(TRAIN / "card.json"),
        "candidate": read_json(SEARCH / "best.json")["candidate"],
        "metric": scores.headline,
        "score": scores.metrics[scores.headline],
    }
    (simple,) = scores.baselines
    if card.task == "forecast":
        return found | {"last_value": simple.gain} | training_mean(settings, card, scores.headline)
    return found | {
        "predictor": simple.name,
        "predictor_score": simple.metrics[scores.headline],
        "gain": simple.gain,
    }


def training_mean(settings: EvaluateSlice, card: DatasetCard, headline: str) -> dict[str, Any]:
    """Score the forecast that says the training mean at every step, and how far the network is ahead of it."""
    test = load_split(TEST, "test")
    rows = Rows(test.x, test.y, card.inputs, "cpu")
    x, y = (part.numpy() for part in rows.take(torch.arange(len(rows))))
    judge = judge_for(card, settings.evaluate, settings.seed, y, test.rows, x)
    p = np.load(EVALUATE / "forecasts.npy", allow_pickle=False).astype(np.float64)
    mean = np.zeros_like(p)  # forecasts are in training deviations from the training mean
    return {
        "predictor": "training_mean",
        "predictor_score": judge.metrics(mean, "training_mean")[headline],
        "gain": judge.gain(p, mean, "training_mean"),
    }


if __name__ == "__main__":
    for name, own in json.loads(sys.argv[1]).items():
        record = one_family(name, compose([*sys.argv[2:], *own]))
        sys.stdout.write(json.dumps(plain(record), allow_nan=False) + "\n")
        sys.stdout.flush()
