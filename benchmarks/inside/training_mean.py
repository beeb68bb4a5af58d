"""Score the forecast that says the training mean at every step, and how far the network is ahead of it.

    python -m training_mean [setting …]

Writes training_mean.json: its metrics, and the difference of the headline metric, paired by window.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from pipeline.core.contracts import DatasetCard
from pipeline.core.settings import EvaluateSlice
from pipeline.core.store import EVALUATE, FIT, TEST, read_record, write_json
from pipeline.datasets import load_split
from pipeline.evaluation import judge_for
from pipeline.stage import compose, slice_for
from pipeline.training.data import Rows

settings = slice_for("evaluate", EvaluateSlice, compose(sys.argv[1:]))
card = read_record(DatasetCard, FIT / "dataset.json")
test = load_split(TEST, "test")
rows = Rows(test.x, test.y, card.inputs, "cpu")
x, y = (part.numpy() for part in rows.take(torch.arange(len(rows))))
judge = judge_for(card, settings.evaluate, settings.seed, y, test.rows, x)
p = np.load(EVALUATE / "forecasts.npy", allow_pickle=False).astype(np.float64)
# Forecasts are in training deviations from the training mean, so the mean is 0.
mean = np.zeros_like(p)
record = {"metrics": judge.metrics(mean, "training_mean"), "gain": judge.gain(p, mean, "training_mean")}
write_json(Path("training_mean.json"), record)
