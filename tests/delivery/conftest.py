"""Small trained models with the data they were made from, as train and prepare leave them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.core.contracts import (
    Candidate,
    DatasetCard,
    EpochRecord,
    ForecastInputs,
    ImageInputs,
    Inputs,
    Intake,
    ModelCard,
    Optimizer,
    Target,
    TextInputs,
)
from pipeline.core.data_settings import DataSettings
from pipeline.core.store import write_json
from pipeline.datasets import write_split
from pipeline.datasets.assemble import Split
from pipeline.models import build
from pipeline.models.cost import example_rows
from pipeline.training.weights import save_weights
from tests.prediction.conftest import Train, Trained, trained

__all__ = ["Train", "Trained", "trained"]

RNG = np.random.default_rng(11)


def folders(tmp_path: Path, architecture: Mapping[str, Any], inputs: Inputs, rows: int = 40) -> tuple[Path, Path]:
    """Write an untrained network and rows it can read, with three classes, or forecasts."""
    model, data = tmp_path / "model", tmp_path / "fit"
    forecast = isinstance(inputs, ForecastInputs)
    outputs = inputs.horizon * inputs.targets if isinstance(inputs, ForecastInputs) else 3
    torch.manual_seed(3)
    network = build(architecture, inputs, outputs)
    with torch.no_grad():  # norms with the statistics of no rows make some networks nearly constant
        for _ in range(30):
            network(example_rows(inputs, rows))
    network.eval()
    model.mkdir()
    data.mkdir()
    sha256 = save_weights(model, network)
    targets = (Target(name="x", mean=0.0, std=1.0, change=1.0),) if forecast else ()
    classes = () if forecast else ("a", "b", "c")
    last = EpochRecord(epoch=1, train_loss=1.0, val_score=1.0, val_quality=0.3, seconds=1.0)
    candidate = Candidate(architecture=architecture, optimizer=Optimizer())
    card = ModelCard(candidate=candidate, inputs=inputs, outputs=outputs, parameters=1, seed=7, device="cpu",
                     precision="fp32", epochs=(last,), seconds=1.0, search_score=1.0, val_score=1.0, val_quality=0.3,
                     weights_sha256=sha256)  # fmt: skip
    write_json(model / "card.json", card)
    task = "forecast" if forecast else "multiclass"
    settings = DataSettings(name="own", format="csv", sensitive={}, slices={}, path="rows.csv", target="y")
    write_json(model / "intake.json", Intake(data=settings, task=task, classes=classes, targets=targets, usual={}))
    counts = {"train": rows, "val": rows}
    dataset = DatasetCard(name="own", task=task, classes=classes, targets=targets, inputs=inputs, rows=counts,
                          class_rows={}, audit=(), source_digest="0" * 64, notes=())  # fmt: skip
    for seed, split in enumerate(counts):
        x, y = packed(inputs, rows, seed)
        write_split(data, split, Split(x, y, pd.DataFrame({"row_id": [f"{split}:{i}" for i in range(len(y))]})))
    write_json(data / "dataset.json", dataset)
    return model, data


def packed(inputs: Inputs, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows as prepare packs them; forecasts: all steps, and where each window's future begins."""
    if isinstance(inputs, ForecastInputs):
        steps = np.random.default_rng(seed).normal(size=(len(inputs.channels), inputs.window + inputs.horizon + rows))
        steps[0, 5] = np.nan
        return steps.cumsum(axis=1).astype(np.float32) * 0.1, np.arange(rows) + inputs.window
    x = example_rows(inputs, rows, seed)
    if isinstance(inputs, ImageInputs):
        x = (x * 255).byte()
    return (x.int() if isinstance(inputs, TextInputs) else x).numpy(), np.arange(rows) % 3


@pytest.fixture
def read() -> Any:
    """Return what reads a JSON file."""
    return lambda path: json.loads(Path(path).read_text())
