"""Trainings on the full budget: the winner with several seeds and the default beside it, equal in all but that.

The first seed is that of the run and its network is handed on. It is not picked from the others, so its test score is
an honest draw. Each training has its own checkpoints, so a run that was killed goes on where it stood.
"""

import csv
import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.core.contracts import (
    TASKS,
    Best,
    Budget,
    Candidate,
    EpochRecord,
    FullTraining,
    Policy,
    SearchRecord,
    TrialRecord,
)
from pipeline.core.seeds import stream_seed
from pipeline.core.settings import TrainerSettings, TrainSettings
from pipeline.core.store import write_bytes
from pipeline.training.budgets import budget_of, settled
from pipeline.training.data import Data
from pipeline.training.fit import Fit, OnScore, Watch, fit, go_on
from pipeline.training.team import ALONE, Team
from pipeline.training.weights import HANDED_ON

log = logging.getLogger("pipeline.train")

DEFAULT, DISTILLED = "default", "distilled"
_LINES, _FEW_LINES = 20, 5
"""Told of the training whose network is handed on, and of each of the others."""
_QUIET_SECONDS = 15


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A training to be made."""

    name: str
    file: str
    """Of its weights."""
    candidate: Candidate
    seed: int
    policy: Policy | None
    teacher: str = ""
    """Whose mean predictions of the training rows it learned in place of their targets, in words; none before that."""


def seed_of(seed: int, k: int) -> int:
    """Return the seed of the k-th training, from 1; the first one has that of the run."""
    return seed if k == 1 else stream_seed(seed, "train", k)


def default_of(search: SearchRecord, best: Best, asked: bool) -> tuple[TrialRecord | None, str]:
    """Return the trial of the untouched default, or why it is not trained beside the winner."""
    default = next((trial for trial in search.trials if trial.origin == "default"), None)
    if default is None:
        return None, "the search tried no default"
    if default.candidate == best.candidate:
        return None, "the winner is the default"
    if not asked:
        return None, "train.default is false"
    if default.state == "failed":
        return None, f"the default failed in the search ({default.error})"
    return default, ""


def wanted_trainings(
    best: Best, seed: int, seeds: int, default: TrialRecord | None, distill: bool = False
) -> tuple[Wanted, ...]:
    """Return the trainings in their order, the one whose network is handed on first.

    `distill`: train the winner last once more, on what others say. It has the first seed, so that nothing but its
    targets differs from the network that is handed on.
    """
    found = [
        Wanted(name=f"seed {k}", file=HANDED_ON if k == 1 else f"seed_{k}.safetensors", candidate=best.candidate,
               seed=seed_of(seed, k), policy=best.policy)
        for k in range(1, seeds + 1)
    ]  # fmt: skip
    if default is not None:
        found.append(Wanted(name=DEFAULT, file="default.safetensors", candidate=default.candidate, seed=seed,
                            policy=default.policy))  # fmt: skip
    if distill:
        found.append(Wanted(name=DISTILLED, file="distilled.safetensors", candidate=best.candidate, seed=seed,
                            policy=best.policy))  # fmt: skip
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Course:
    """What all trainings have in common."""

    data: Data
    whole: Data | None
    """With the validation rows among the training rows, where each network is trained once more on these."""
    budget: Budget
    """Of each."""
    trainer: TrainerSettings
    folder: Path
    """Of checkpoints."""
    team: Team = ALONE
    """Processes that share the rows of each step."""

    def words(self, wanted: Sequence[Wanted]) -> str:
        """Say what will be trained, and for how long."""
        most = "" if self.budget.seconds is None else f" and {self.budget.seconds:.0f} s"
        names = ", ".join(one.name for one in wanted)
        count = f"{len(wanted)} training{'s' * (len(wanted) != 1)}"
        return f"{count} ({names}), each of at most {self.budget.epochs} epochs{most}"

    def short_words(self, trial: TrialRecord, trainings: int) -> str | None:
        """Say that each training has less time than the winner's trial had; None where it has not."""
        had, gets = trial.seconds, self.budget.seconds
        if gets is None or gets >= had:
            return None
        enough = had * trainings * (1 if self.whole is None else 2)
        return (
            f"each training may take {gets:.0f} s and the winner's trial took {had:.0f} s, so it may end worse than in "
            f"the search: raise train.seconds above {enough:.0f}, or lower train.seeds"
        )

    def train(self, one: Wanted, also: OnScore = go_on) -> Fit:
        """Train, or go on with it; scores are those of the training that had not seen the validation rows."""
        checkpoints = self.folder / one.name.replace(" ", "_")
        checkpoints.mkdir(exist_ok=True)
        watch = Watch(on_score=self._told(one, also), checkpoints=checkpoints, team=self.team)
        done = fit(one.candidate, self.data, self.budget, seed=one.seed, trainer=self.trainer, watch=watch,
                   policy=one.policy)  # fmt: skip
        return done if self.whole is None else self._refitted(one, self.whole, done, checkpoints / "refit")

    def _refitted(self, one: Wanted, whole: Data, before: Fit, checkpoints: Path) -> Fit:
        """Train again from the start on training and validation rows; scores stay those of the training before.

        The same number of passes, with the probabilities' temperature of the network that had not seen the validation
        rows. Of as many rows as before: what is `auto` depends on how many there are.
        """
        log.info("%s once more with the validation rows, %s rows in all", one.name, f"{len(whole.train.y):,}")
        checkpoints.mkdir(exist_ok=True)
        fixed = settled(one.candidate, self.data.inputs, len(self.data.train.y))
        again = fit(fixed, whole, self.budget, seed=one.seed, trainer=self.trainer,
                    watch=Watch(checkpoints=checkpoints, team=self.team), policy=before.policy)  # fmt: skip
        again.network.temperature.copy_(before.network.temperature)
        return replace(before, network=again.network, unseen=before.network, seconds=before.seconds + again.seconds)

    def _told(self, one: Wanted, also: OnScore) -> OnScore:
        """Return what says now and then where a training stands."""
        facts, epochs, told = TASKS[self.data.task], self.budget.epochs, 0.0
        every = max(1, epochs // (_LINES if one.file == HANDED_ON else _FEW_LINES))

        def on_score(progress: float, record: EpochRecord) -> bool:
            nonlocal told
            going_on = also(progress, record)
            if record.epoch % every and progress < 1 and record.seconds - told < _QUIET_SECONDS:
                return going_on
            told = record.seconds
            left = record.seconds / progress - record.seconds
            log.info(
                "%s · epoch %d/%d · loss %.4f · val %s %.4f %s %.4f · %.0f s, about %.0f s left",
                one.name, record.epoch, epochs, record.train_loss, facts.score.replace("_", " "), record.val_score,
                facts.quality.replace("_", " "), record.val_quality, record.seconds, left,
            )  # fmt: skip
            return going_on

        return on_score


def course_for(data: Data, settings: TrainSettings, trainer: TrainerSettings, trainings: int, folder: Path) -> Course:
    """Return what so many trainings have in common: each has an equal share of the seconds, a refit counts as one."""
    shares = trainings * (2 if settings.refit else 1)
    seconds = None if settings.seconds is None else settings.seconds / shares
    return Course(
        data=data,
        whole=data.with_validation_rows() if settings.refit else None,
        budget=budget_of(settings.epochs, seconds, data.inputs, len(data.train.y)),
        trainer=trainer,
        folder=folder,
    )


def told_of(one: Wanted, done: Fit, weights: str) -> FullTraining:
    """Return what is kept of a training beside its weights."""
    last = done.records[-1]
    return FullTraining(
        name=one.name,
        file=one.file,
        seed=one.seed,
        val_score=last.val_score,
        standard_error=done.standard_error,
        val_quality=last.val_quality,
        passes=done.passes,
        seconds=round(done.seconds, 3),
        weights_sha256=weights,
        teacher=one.teacher,
    )


def write_log(path: Path, trainings: Sequence[tuple[str, Sequence[EpochRecord]]]) -> None:
    """Write a CSV file with a line for each epoch of each training."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(("training", "epoch", "train_loss", "val_score", "val_quality", "lr", "seconds"))
    lines.writerows(_lines(trainings))
    write_bytes(path, out.getvalue().encode())


def _lines(trainings: Sequence[tuple[str, Sequence[EpochRecord]]]) -> Iterator[tuple[object, ...]]:
    for name, records in trainings:
        for r in records:
            yield name, r.epoch, r.train_loss, r.val_score, r.val_quality, r.lr, round(r.seconds, 3)
