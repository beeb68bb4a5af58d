"""The best candidate on the full budget → weights, the card that rebuilds the network, and how it reads raw rows.

The same `fit` as a trial, with several seeds, and for the default beside it. What the first one predicts of validation
rows lies beside its weights, for thresholds, sets and intervals. Checkpoints lie under state/ and vanish when all
trainings are done.
"""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import __version__
from pipeline.core.contracts import (
    Ablated,
    Best,
    Budget,
    DatasetCard,
    EpochRecord,
    Intake,
    Latency,
    ModelCard,
    SearchRecord,
)
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
    from pipeline.core.contracts import FullTraining
    from pipeline.models.cost import Cost
    from pipeline.training.data import Data
    from pipeline.training.fit import Fit, OnScore
    from pipeline.training.full import Course, Wanted

log = logging.getLogger("pipeline.train")

_CODE = ("core", "models", "training")
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
    settings: TrainSlice,
    card: DatasetCard,
    best: Best,
    budget: Budget,
    done: "Fit",
    floor: float | None,
    weights: str,
) -> ModelCard:
    """Return the record of a finished training; `floor` is what ModelCard.familiarity_floor says."""
    from pipeline.models.anatomy import layers_of
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
        familiarity_floor=floor,
        weights_sha256=weights,
        layers=layers_of(candidate.architecture, card.inputs, card.outputs),
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


def trained(
    settings: TrainSlice, course: "Course", wanted: "Sequence[Wanted]", usage: Usage, curves: Path
) -> "Iterator[tuple[Wanted, Fit | str]]":
    """Give each training with its outcome, or in words why it has none.

    The network that is handed on must not fail; of the others it is told.
    """
    from pipeline.training.curves import curves_in
    from pipeline.training.fit import go_on
    from pipeline.training.weights import HANDED_ON

    for one in wanted:
        beside = curves_in(curves / one.name) if settings.train.tensorboard else nullcontext(go_on)
        try:
            with beside as also:
                done = course.train(one, partial(_watched, usage, also))
        except FloatingPointError as wrong:
            if one.file == HANDED_ON:
                raise
            yield one, f"{one.name} is missing among the trainings: {wrong}"
        else:
            yield one, done


def _watched(usage: Usage, also: "OnScore", progress: float, record: EpochRecord) -> bool:
    usage.look()
    return also(progress, record)


def with_trainings(record: ModelCard, told: "Sequence[FullTraining]", failed: Sequence[str], why: str) -> ModelCard:
    """Return the card with all trainings beside the one it is about; `why` there is no default among them."""
    from pipeline.training.full import DEFAULT

    return replace(
        record,
        seeds=tuple(training for training in told if training.name != DEFAULT),
        default=next((training for training in told if training.name == DEFAULT), None),
        no_default=why or next((words for words in failed if words.startswith(DEFAULT)), ""),
        notes=(*record.notes, *failed),
    )


def write_held_out(folder: Path, card: DatasetCard, data: "Data", done: "Fit", *, ordered: bool) -> float | None:
    """Write how strange held-out rows are; return the free energy that one in twenty validation rows is below.

    Of the network that has not seen the validation rows, as its temperature is. `ordered`: later rows are in later
    splits.
    """
    import numpy as np

    from pipeline.training.familiarity import familiarity_floor
    from pipeline.training.held_out import held_out
    from pipeline.training.predict import outputs

    network, ordered = done.unseen or done.network, ordered or card.task == "forecast"
    held, strange = held_out(card, data, network, refit=done.unseen is not None, ordered=ordered)
    np.save(folder / "held_out.npy", strange, allow_pickle=False)
    write_json(folder / "held_out.json", held)
    return familiarity_floor(outputs(network, data.placed("val", "cpu")), card.task)


def run(settings: TrainSlice) -> None:
    """Train or continue; write the weights of each training, card.json, intake.json, held_out.json and the curves."""
    card, best = read_record(DatasetCard, FIT / "dataset.json"), read_record(Best, SEARCH / "best.json")
    intake, search = read_record(Intake, FIT / "intake.json"), read_record(SearchRecord, SEARCH / "search.json")

    from pipeline.training.ablation import ablate, choices_of
    from pipeline.training.curves import refuse_without_tensorboard
    from pipeline.training.data import load_data
    from pipeline.training.device import choose_device, gpu_name
    from pipeline.training.full import course_for, default_of, told_of, wanted_trainings, write_log
    from pipeline.training.weights import save_weights

    if settings.train.tensorboard:
        refuse_without_tensorboard()
    default, no_default = default_of(search, best, settings.train.default)
    wanted = wanted_trainings(best, settings.seed, settings.train.seeds, default)
    inputs = {"settings": plain(settings), "wanted": wanted, "data": sha256_folder(FIT), "code": code_digest(*_CODE)}
    checkpoints = state_folder() / "train" / digest_of(inputs)[:12]
    checkpoints.mkdir(parents=True, exist_ok=True)
    continued = any(checkpoints.iterdir())
    usage = Usage(gpu_name() if choose_device(settings.trainer)[0] == "cuda" else None)

    course = course_for(load_data(card, FIT), settings.train, settings.trainer, len(wanted), checkpoints)
    log.info("%s", course.words(wanted))
    outcomes = list(trained(settings, course, wanted, usage, state_folder() / "tensorboard" / checkpoints.name))
    fits = [(one, found) for one, found in outcomes if not isinstance(found, str)]
    ablation: tuple[Ablated, ...] = ()
    if settings.train.ablate_seconds:
        ablation = ablate(choices_of(search, best), best, course, settings.train.ablate_seconds, settings.seed)
    done = fits[0][1]
    with fresh_folder(TRAIN) as folder:
        told = [told_of(one, fit, save_weights(folder, fit.network, one.file)) for one, fit in fits]
        floor = write_held_out(folder, card, course.data, done, ordered=intake.data.time is not None)
        record = model_card(settings, card, best, course.budget, done, floor, told[0].weights_sha256)
        record = with_trainings(record, told, [found for _, found in outcomes if isinstance(found, str)], no_default)
        record = replace(record, ablation=ablation, default_trial=None if default is None else default.number)
        write_json(folder / "card.json", with_usage(record, usage, continued=continued))
        write_json(folder / "intake.json", replace(intake, version=__version__, code=code_digest(*PREDICTING)))
        write_log(folder / "log.csv", [(one.name, fit.records) for one, fit in fits])
        write_log(folder / "curve.csv", [(fits[0][0].name, done.records)])
    shutil.rmtree(checkpoints)
    log.info(
        "trained on %s in %s: %s weights, %.1f s", done.device, done.policy.words, f"{done.parameters:,}", done.seconds
    )


if __name__ == "__main__":
    run_stage("train", TrainSlice, run)
