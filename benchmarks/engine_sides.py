"""The two sides of engine_throughput.py: a search of ours, and the script a user would write by hand instead.

    python -m engine_sides ours|theirs SPEC.json

Runs in a scratch project whose data are prepared, and searches anew for each line on its standard input. The clock
starts with the line, when the libraries are imported, and ends when the search is over.
"""

import json
import os
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import optuna
import pandas as pd  # noqa: F401  read late by the stage; here it counts as import
import pyarrow.parquet as pq  # noqa: F401  the same
import pytorch_lightning as pl
import torch
import torch._dynamo  # the first optimiser of a process imports it
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import pipeline.tuning  # noqa: F401  read late by the stage
from pipeline.core.contracts import DatasetCard
from pipeline.core.process import settle
from pipeline.core.settings import SearchSlice
from pipeline.core.store import FIT, SEARCH, read_record
from pipeline.models import Network, build
from pipeline.search import run
from pipeline.stage import compose, prepare_terminal, slice_for
from pipeline.training.data import Data, Rows, load_data
from pipeline.training.predict import model_input


class Learner(pl.LightningModule):
    """A classifier as the tutorials have it; `rows` counts those that passed through a step of the optimiser."""

    def __init__(self, network: Network, lr: float) -> None:
        super().__init__()
        self.network = network
        self.lr = lr
        self.rows = 0

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Return the mean loss over rows and members."""
        x, y = batch
        out_BMK = self.network.members(model_input(x))
        return nn.functional.cross_entropy(out_BMK.flatten(0, 1), y.repeat_interleave(out_BMK.shape[1]))

    def on_train_batch_end(self, outputs: Any, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        """Count."""
        self.rows += len(batch[1])

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        """Note the loss."""
        x, y = batch
        self.log("val_loss", nn.functional.cross_entropy(self.network(model_input(x)), y))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW as it comes."""
        return torch.optim.AdamW(self.parameters(), lr=self.lr)


def theirs(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Run the study by hand: a fresh network, two loaders and a trainer in each trial, nothing tuned."""
    data = load_data(read_record(DatasetCard, FIT / "dataset.json"), FIT)
    train, val = (TensorDataset(torch.tensor(part.x), torch.tensor(part.y)) for part in (data.train, data.val))
    rows = 0

    def objective(trial: optuna.Trial) -> float:
        nonlocal rows
        learner = Learner(started(spec, data), trial.suggest_float("lr", *spec["lr"], log=True))
        trainer = pl.Trainer(
            max_epochs=spec["epochs"],
            max_time=timedelta(seconds=spec["trial_seconds"]),
            gradient_clip_val=1.0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
        )
        trainer.fit(
            learner,
            DataLoader(train, batch_size=spec["batch"], shuffle=True),
            DataLoader(val, batch_size=spec["batch"]),
        )
        rows += learner.rows
        return float(trainer.callback_metrics["val_loss"])

    study = optuna.create_study(direction="minimize")
    study.optimize(objective, timeout=spec["seconds"])
    return {"rows": rows, "trials": len(study.trials), "threads": torch.get_num_threads()}


def started(spec: Mapping[str, Any], data: Data) -> Network:
    """Return the network of the case; what it learns from the training rows before the first step, it learns here.

    Embeddings have dense gradients, as they have by default; AdamW refuses others.
    """
    network = build(spec["architecture"], data.inputs, data.outputs)
    for module in network.modules():
        if isinstance(module, nn.Embedding):
            module.sparse = False
    network.start_from(Rows(data.train.x, data.train.y, data.inputs, "cpu"), spec["seed"])
    return network


def ours(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Run the stage as `python -m pipeline.search` does; what it trained stands in its record."""
    settle()  # its seconds begin now
    run(slice_for("search", SearchSlice, compose(spec["settings"])))
    record = json.loads((SEARCH / "search.json").read_text(encoding="utf-8"))
    if failed := [trial["error"] for trial in record["trials"] if trial["state"] == "failed"]:
        raise RuntimeError(f"{len(failed)} trials failed, the last with {failed[-1]}")
    passes = sum(trial["epochs"] for trial in record["trials"])
    split = read_record(DatasetCard, FIT / "dataset.json").rows["train"]
    return {"rows": round(passes * split), "trials": len(record["trials"]), "threads": torch.get_num_threads()}


def main(side: str, spec_file: str) -> None:
    """Search once for each line read: it names the file for what was done in how many seconds."""
    spec = json.loads(Path(spec_file).read_text(encoding="utf-8"))
    prepare_terminal(side)
    if side == "ours":
        settle()  # as a stage does when it starts
    tell(f"{side}.ready", {"import_seconds": time.time() - spec["started"]})
    for line in sys.stdin:
        begin, busy = time.perf_counter(), cpu_seconds()
        done = {"ours": ours, "theirs": theirs}[side](spec)
        found = {"seconds": time.perf_counter() - begin, "cpu_seconds": cpu_seconds() - busy, **done}
        tell(line.strip(), found)


def tell(name: str, found: Mapping[str, Any]) -> None:
    """Write a file that is whole as soon as it is there."""
    part = Path(f"{name}.part")
    part.write_text(json.dumps(found), encoding="utf-8")
    part.replace(name)


def cpu_seconds() -> float:
    """Return the seconds that cores worked for this process and those it waited for."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main(*sys.argv[1:])
