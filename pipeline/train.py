"""The best candidate on the full budget → weights, the card that rebuilds the network, and how it reads raw rows.

The same `fit` as a trial, with several seeds, and for the default beside it. What the first one predicts of validation
rows lies beside its weights, for thresholds, sets and intervals. Checkpoints lie under state/ and vanish when all
trainings are done.
"""

import logging
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pipeline import __version__
from pipeline.core.contracts import Best, DatasetCard, EnsembleRecord, EpochRecord, Intake, ModelCard, SearchRecord
from pipeline.core.errors import PipelineError
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
from pipeline.core.usage import Usage
from pipeline.stage import run_stage, state_folder

if TYPE_CHECKING:
    from pipeline.training.data import Data
    from pipeline.training.fit import Fit, OnScore
    from pipeline.training.full import Course, Wanted

log = logging.getLogger("pipeline.train")

_CODE = ("core", "models", "training")


def trained(
    settings: TrainSlice, course: "Course", wanted: "Sequence[Wanted]", usage: Usage, curves: Path
) -> "Iterator[tuple[Wanted, Fit | str]]":
    """Give each training with its outcome, or in words why it has none.

    The network that is handed on must not fail; of the others it is told.
    """
    from pipeline.training.curves import curves_in
    from pipeline.training.distilling import taught, teacher_of
    from pipeline.training.fit import go_on
    from pipeline.training.full import DEFAULT, DISTILLED
    from pipeline.training.weights import HANDED_ON

    drawn = settings.train.tensorboard and course.team.first
    seeds: list[Fit] = []
    for one in wanted:
        words = ""
        try:
            if one.name == DISTILLED:
                teacher = teacher_of(SEARCH, course, seeds)
                words, course = teacher.words, taught(course, teacher)
            with curves_in(curves / one.name) if drawn else nullcontext(go_on) as also:
                done = course.train(one, partial(_watched, usage, also))
        except FloatingPointError as wrong:
            if one.file == HANDED_ON:
                raise
            yield one, f"{one.name} is missing among the trainings: {wrong}"
        else:
            seeds += [done] * (one.name != DEFAULT)
            yield replace(one, teacher=words), done


def help_train(course: "Course", outcomes: "Iterator[tuple[Wanted, Fit | str]]") -> NoReturn:
    """Do this process's share of all trainings, and leave: the first process tells what came of them, good or bad."""
    with suppress(FloatingPointError, PipelineError):
        for _ in outcomes:
            pass
        course.team.part()
    sys.exit(0)


def _watched(usage: Usage, also: "OnScore", progress: float, record: EpochRecord) -> bool:
    usage.look()
    return also(progress, record)


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


def ensemble_digest(settings: TrainSlice) -> str | None:
    """Return what tells the ensemble from others that the winner may learn from; None where it learns from none."""
    if not settings.train.distill:
        return None
    from pipeline.training.distilling import refuse_without_teacher

    ensemble = read_record(EnsembleRecord, SEARCH / "ensemble.json")
    refuse_without_teacher(ensemble, settings.train.seeds)
    return digest_of(plain(ensemble))


def write(
    settings: TrainSlice,
    about: tuple[DatasetCard, Best, Intake],
    course: "Course",
    fits: "Sequence[tuple[Wanted, Fit]]",
    folder: Path,
) -> ModelCard:
    """Write weights, curves and all that predict needs but the card; return what the card says of the trainings."""
    from pipeline.training.card import model_card, with_trainings
    from pipeline.training.full import told_of, write_log
    from pipeline.training.weights import save_weights

    (card, best, intake), done = about, fits[0][1]
    told = [told_of(one, fit, save_weights(folder, fit.network, one.file)) for one, fit in fits]
    floor = write_held_out(folder, card, course.data, done, ordered=intake.data.time is not None)
    write_json(folder / "intake.json", replace(intake, version=__version__, code=code_digest(*PREDICTING)))
    write_log(folder / "log.csv", [(one.name, fit.records) for one, fit in fits])
    write_log(folder / "curve.csv", [(fits[0][0].name, done.records)])
    return with_trainings(model_card(settings, card, best, course.budget, done, floor, told[0].weights_sha256), told)


def run(settings: TrainSlice) -> None:
    """Train or continue; write the weights of each training, card.json, intake.json, held_out.json and the curves."""
    card, best = read_record(DatasetCard, FIT / "dataset.json"), read_record(Best, SEARCH / "best.json")
    intake, search = read_record(Intake, FIT / "intake.json"), read_record(SearchRecord, SEARCH / "search.json")

    from pipeline.training.ablation import ablate, choices_of
    from pipeline.training.card import with_failures, with_usage
    from pipeline.training.curves import refuse_without_tensorboard
    from pipeline.training.data import load_data
    from pipeline.training.device import choose_device, gpu_name
    from pipeline.training.full import course_for, default_of, wanted_trainings
    from pipeline.training.team import gather

    if settings.train.tensorboard:
        refuse_without_tensorboard()
    default, no_default = default_of(search, best, settings.train.default)
    wanted = wanted_trainings(best, settings.seed, settings.train.seeds, default, settings.train.distill)
    inputs = {"settings": plain(settings), "wanted": wanted, "data": sha256_folder(FIT),
              "ensemble": ensemble_digest(settings), "code": code_digest(*_CODE)}  # fmt: skip
    checkpoints = state_folder() / "train" / digest_of(inputs)[:12]
    checkpoints.mkdir(parents=True, exist_ok=True)
    continued = any(checkpoints.iterdir())
    usage = Usage(gpu_name() if choose_device(settings.trainer)[0] == "cuda" else None)

    course = course_for(load_data(card, FIT), settings.train, settings.trainer, len(wanted), checkpoints)
    course = replace(course, team=gather(settings.trainer))
    log.info("%s", course.words(wanted))
    winner = next(trial for trial in search.trials if trial.number == best.number)
    if (short := course.short_words(winner, len(wanted))) is not None:
        log.warning("%s", short)
    going = trained(settings, course, wanted, usage, state_folder() / "tensorboard" / checkpoints.name)
    outcomes = list(going) if course.team.first else help_train(course, going)
    course.team.part()
    fits = [(one, found) for one, found in outcomes if not isinstance(found, str)]
    seconds = settings.train.ablate_seconds
    ablation = ablate(choices_of(search, best), best, course, seconds, settings.seed) if seconds else ()
    done = fits[0][1]
    with fresh_folder(TRAIN) as folder:
        record = write(settings, (card, best, intake), course, fits, folder)
        record = with_failures(record, [found for _, found in outcomes if isinstance(found, str)], no_default)
        record = replace(record, ablation=ablation, default_trial=None if default is None else default.number)
        write_json(folder / "card.json", with_usage(record, usage, continued=continued))
    shutil.rmtree(checkpoints)
    for note in record.notes:
        log.info("note: %s", note)
    log.info(
        "trained on %s in %s: %s weights, %.1f s", done.device, done.policy.words, f"{done.parameters:,}", done.seconds
    )


if __name__ == "__main__":
    run_stage("train", TrainSlice, run)
