"""What quality.py does inside a prepared scratch project beside the stages.

python -m quality_steps plan OVERRIDES…           # the budget of a trial, as JSON
python -m quality_steps take WEIGHTS.safetensors SEED  # these weights become artifacts/train, without training
"""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.core.contracts import Best, DatasetCard, EpochRecord, ModelCard, SearchRecord
from pipeline.core.settings import SearchSlice
from pipeline.core.store import FIT, SEARCH, TRAIN, fresh_folder, read_record, sha256_file, write_json
from pipeline.stage import compose, slice_for, state_folder
from pipeline.training.budgets import settled
from pipeline.training.data import load_data
from pipeline.training.held_out import held_out
from pipeline.training.weights import load_model
from pipeline.tuning import open_study, storage_url
from pipeline.tuning.plan import kept_plan


def plan(overrides: Sequence[str]) -> None:
    """Print the epochs and seconds that a trial of this search might spend."""
    search = slice_for("search", SearchSlice, compose(overrides)).search
    record = read_record(SearchRecord, SEARCH / "search.json")
    kept = kept_plan(open_study(record.study, storage_url(search.storage, state_folder())))
    seconds = None if kept is None else kept.trial_seconds
    sys.stdout.write(json.dumps({"epochs": search.epochs, "seconds": seconds}) + "\n")


def take(weights: str, seed: str) -> None:
    """Put weights of the chosen trial where evaluate looks, with a card of what the search knows."""
    card, best = read_record(DatasetCard, FIT / "dataset.json"), read_record(Best, SEARCH / "best.json")
    trial = read_record(SearchRecord, SEARCH / "search.json").trial(best.number)
    assert trial.score is not None
    assert trial.quality is not None
    last = EpochRecord(epoch=int(trial.epochs), train_loss=0.0, val_score=trial.score, val_quality=trial.quality,
                       seconds=trial.seconds)  # fmt: skip
    with fresh_folder(TRAIN) as folder:
        shutil.copy(weights, folder / "model.safetensors")
        model = ModelCard(
            candidate=settled(best.candidate, card.inputs, card.rows["train"]),
            inputs=card.inputs,
            outputs=card.outputs,
            parameters=trial.parameters or 0,
            seed=int(seed),
            device="cpu",
            precision="fp32",
            epochs=(last,),
            seconds=trial.seconds,
            search_score=trial.score,
            val_score=trial.score,
            val_quality=trial.quality,
            weights_sha256=sha256_file(Path(weights)),
            notes=("weights as the search handed them on; the training loss is not known",),
        )
        write_json(folder / "card.json", model)
        held, strange = held_out(card, load_data(card, FIT), load_model(folder)[0], refit=False,
                                 ordered=card.task == "forecast")  # fmt: skip
        np.save(folder / "held_out.npy", strange, allow_pickle=False)
        write_json(folder / "held_out.json", held)


if __name__ == "__main__":
    if sys.argv[1] == "plan":
        plan(sys.argv[2:])
    else:
        take(*sys.argv[2:])
