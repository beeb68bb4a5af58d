"""The best candidate on the full budget → weights, the card that rebuilds the network, and how it reads raw rows.

The same `fit` as a trial. Checkpoints lie under state/ and vanish when the training is done.
"""

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import __version__
from pipeline.core.contracts import TASKS, Best, Budget, DatasetCard, Intake, Latency, ModelCard
from pipeline.core.settings import TrainSlice
from pipeline.core.store import (
    FIT,
    PREDICTING,
    SEARCH,
    TRAIN,
    code_digest,
    digest_of,
    fresh_folder,
    read_record,
    sha256_folder,
    write_json,
)
from pipeline.core.strict import plain
from pipeline.core.usage import CONTINUED, Usage
from pipeline.stage import run_stage, state_folder

if TYPE_CHECKING:
    from pipeline.models.cost import Cost
    from pipeline.training.data import Data
    from pipeline.training.fit import Fit

log = logging.getLogger("pipeline.train")

_CODE = ("core", "models", "training")
_QUIET_SECONDS = 15
_NOISE = 2.0
"""Standard errors."""


def priced(settings: TrainSlice, card: DatasetCard, best: Best, done: "Fit") -> "tuple[Cost, Latency]":
    """Return what the winner costs, and how long its predictions take where it was trained."""
    from pipeline.models.cost import cost_of, measured_latency

    device = "cpu" if done.device == "cpu" else "cuda"
    latency = measured_latency(
        done.network, card.inputs, batch=settings.train.latency_batch, device=device, threads=settings.trainer.threads
    )
    return cost_of(best.candidate.architecture, card.inputs, card.outputs), latency


def model_card(
    settings: TrainSlice, card: DatasetCard, best: Best, budget: Budget, done: "Fit", weights: str
) -> ModelCard:
    """Return the record of a finished training."""
    from pipeline.training.budgets import batch_of, settled

    cost, latency = priced(settings, card, best, done)
    rows = card.rows["train"]
    candidate = settled(best.candidate, card.inputs, rows)
    batch = batch_of(best.candidate.optimizer, card.inputs, rows)
    last = done.records[-1]
    notes = []
    if done.passes < budget.epochs:
        notes.append(f"train.seconds ended the training after {done.passes:.1f} of {budget.epochs} epochs")
    if (worse := rebuilt_words(best.score, last.val_score, done.standard_error)) is not None:
        notes.append(worse)
    return ModelCard(
        candidate=candidate,
        inputs=card.inputs,
        outputs=card.outputs,
        parameters=done.parameters,
        multiply_adds=cost.multiply_adds,
        activation_mb=round(batch * cost.activation_bytes / 1e6, 3),
        latency=latency,
        seed=settings.seed,
        device=done.device,
        precision=done.policy.precision,
        memory_format=done.policy.memory_format,
        compiled=done.policy.compile,
        refit_rows=sum(n for split, n in card.rows.items() if split != "test") if settings.train.refit else None,
        epochs=done.records,
        seconds=round(done.seconds, 3),
        search_score=best.score,
        val_score=last.val_score,
        val_quality=last.val_quality,
        weights_sha256=weights,
        notes=tuple(notes),
    )


def with_usage(card: ModelCard, usage: Usage, *, continued: bool) -> ModelCard:
    """Return the card with what the training took of the machine, where this process did all of it."""
    usage.look()
    if continued:
        return replace(card, energy_of=CONTINUED)
    return replace(card, processor_seconds=usage.processor_seconds, energy_wh=usage.energy_wh,
                   energy_of=usage.energy_words)  # fmt: skip


def rebuilt_words(searched: float, rebuilt: float, standard_error: float) -> str | None:
    """Say when the winner, trained again, misses what it was chosen for by more than the noise of validation rows."""
    if rebuilt - searched <= _NOISE * standard_error:
        return None
    return (
        f"the winner, trained again, scores {rebuilt:.4f} on validation rows and scored {searched:.4f} in the search: "
        f"worse by more than two standard errors ({standard_error:.4f})"
    )


def refitted(
    settings: TrainSlice, best: Best, whole: "Data", budget: Budget, before: "Fit", checkpoints: Path
) -> "Fit":
    """Train again from the start on training and validation rows; scores stay those of the training before.

    The same number of passes, with the probabilities' temperature of the network that had not seen the validation rows.
    """
    from pipeline.training.fit import Watch, fit

    log.info("once more with the validation rows, %s rows in all", f"{len(whole.train.y):,}")
    checkpoints.mkdir(exist_ok=True)
    again = fit(
        best.candidate,
        whole,
        budget,
        seed=settings.seed,
        trainer=settings.trainer,
        watch=Watch(checkpoints=checkpoints),
        policy=before.policy,
    )
    again.network.temperature.copy_(before.network.temperature)
    return replace(before, network=again.network, seconds=before.seconds + again.seconds)


def run(settings: TrainSlice) -> None:
    """Train or continue, write model.safetensors, card.json and intake.json."""
    card, best = read_record(DatasetCard, FIT / "dataset.json"), read_record(Best, SEARCH / "best.json")
    intake = read_record(Intake, FIT / "intake.json")

    from pipeline.core.contracts import EpochRecord
    from pipeline.training.budgets import budget_of, settled
    from pipeline.training.data import load_data
    from pipeline.training.device import choose_device, gpu_name
    from pipeline.training.fit import Watch, fit
    from pipeline.training.weights import save_weights

    inputs = {"settings": plain(settings), "best": best, "data": sha256_folder(FIT), "code": code_digest(*_CODE)}
    checkpoints = state_folder() / "train" / digest_of(inputs)[:12]
    checkpoints.mkdir(parents=True, exist_ok=True)
    continued = any(checkpoints.iterdir())
    usage = Usage(gpu_name() if choose_device(settings.trainer)[0] == "cuda" else None)

    facts = TASKS[card.task]
    data = load_data(card, FIT)
    whole = data.with_validation_rows() if settings.train.refit else None
    trainings = 2 if settings.train.refit else 1
    seconds = None if settings.train.seconds is None else settings.train.seconds / trainings
    budget = budget_of(settings.train.epochs, seconds, card.inputs, len(data.train.y))
    lines_every, told = max(1, budget.epochs // 20), 0.0

    def on_score(progress: float, record: EpochRecord) -> bool:
        nonlocal told
        usage.look()
        if record.epoch % lines_every and progress < 1 and record.seconds - told < _QUIET_SECONDS:
            return True
        told = record.seconds
        left = record.seconds / progress - record.seconds
        log.info(
            "epoch %d/%d · loss %.4f · val %s %.4f %s %.4f · %.0f s, about %.0f s left",
            record.epoch, budget.epochs, record.train_loss, facts.score.replace("_", " "), record.val_score,
            facts.quality.replace("_", " "), record.val_quality, record.seconds, left,
        )  # fmt: skip
        return True

    done = fit(
        best.candidate,
        data,
        budget,
        seed=settings.seed,
        trainer=settings.trainer,
        watch=Watch(on_score=on_score, checkpoints=checkpoints),
        policy=best.policy,
    )
    if whole is not None:
        # Of as many rows as before: what is `auto` depends on how many there are.
        fixed = replace(best, candidate=settled(best.candidate, card.inputs, len(data.train.y)))
        done = refitted(settings, fixed, whole, budget, done, checkpoints / "refit")
    with fresh_folder(TRAIN) as folder:
        weights = save_weights(folder, done.network)
        written = model_card(settings, card, best, budget, done, weights)
        write_json(folder / "card.json", with_usage(written, usage, continued=continued))
        write_json(folder / "intake.json", replace(intake, version=__version__, code=code_digest(*PREDICTING)))
    shutil.rmtree(checkpoints)
    log.info(
        "trained on %s in %s: %s weights, %.1f s", done.device, done.policy.words, f"{done.parameters:,}", done.seconds
    )


if __name__ == "__main__":
    run_stage("train", TrainSlice, run)
