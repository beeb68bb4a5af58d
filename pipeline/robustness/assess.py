"""A trained network on worse, attacked and foreign rows → the record of how it does there."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.core.contracts import (
    TASKS,
    DatasetCard,
    Degradation,
    Number,
    OutsideSet,
    RobustnessRecord,
)
from pipeline.core.seeds import stream
from pipeline.core.settings import EvaluateSettings
from pipeline.datasets import Split
from pipeline.evaluation import Judge, judge_for
from pipeline.metrics.detection import auroc, false_positive_rate
from pipeline.metrics.intervals import proportion
from pipeline.robustness.attacks import attack_scores
from pipeline.robustness.choice import Choice
from pipeline.robustness.corruptions import SEVERITIES, Corruption, Packed
from pipeline.robustness.words import gaps, input_notes
from pipeline.training.data import rows_at
from pipeline.training.familiarity import UNLIKE_SHARE, familiarity
from pipeline.training.heads import head_for
from pipeline.training.predict import outputs_of

Values = NDArray[np.float64]

_PILOT = 32
"""Rows by which it is estimated how many there is time for."""
_AT_ONCE, _CELLS = 256, 2**23
"""Rows, and numbers of packed rows, that are changed and predicted together."""
_CORRUPTIONS_SHARE = 2 / 3
"""Of the seconds, where there are attacks too."""


@dataclass(frozen=True)
class Examined:
    """A network, and what it is examined on."""

    network: nn.Module
    floor: float | None
    """Free energy below which predict calls a row unlike training."""
    card: DatasetCard
    test: Split
    settings: EvaluateSettings
    seed: int

    def rows(self, picked: NDArray[np.int64]) -> tuple[Packed, NDArray[Any]]:
        """Return inputs as the network reads them, and targets, of some test rows."""
        return rows_at(self.test.x, self.test.y, self.card.inputs, picked)

    def judge(self, picked: NDArray[np.int64], x: Packed, y: NDArray[Any]) -> Judge:
        """Return the judge of these rows, which stand in the order of the split."""
        rows = self.test.rows.iloc[picked].reset_index(drop=True)
        spacing = len(self.test.y) // len(picked)
        return judge_for(self.card, self.settings, self.seed, y, rows, x, spacing=spacing)

    def outputs(self, x: Packed, corruption: Corruption | None = None, severity: int = 0) -> Tensor:
        """Return outputs of rows, changed before where a corruption is given."""
        return outputs_of(self.network, self._changed(x, corruption, severity))

    def _changed(self, x: Packed, corruption: Corruption | None, severity: int) -> Iterator[Tensor]:
        size = max(1, min(_AT_ONCE, _CELLS // max(1, x[0].size)))
        for part, first in enumerate(range(0, len(x), size)):
            rows = x[first : first + size]
            yield torch.tensor(rows if corruption is None else corruption.at(rows, severity, self.seed, part))

    def predictions(self, out: Tensor) -> Values:
        """Return probabilities or values of outputs."""
        head = head_for(self.card.task, self.card.inputs, self.card.targets)
        return np.asarray(head.predict(out))

    def scores(self, out: Tensor) -> Mapping[str, Values]:
        """Return how familiar rows with these outputs are."""
        return familiarity(out, self.card.task)

    def flagged(self, scores: Mapping[str, Values]) -> Number:
        """Return the share of rows that predict calls unlike training."""
        found = scores["free_energy"]
        if self.floor is None:
            return Number(value=None, n=len(found), reason="the model's card has no limit: train again")
        return proportion(int((found < self.floor).sum()), len(found), self.settings.level)


def assess(examined: Examined, choice: Choice, kept: dict[str, NDArray[Any]] | None = None) -> RobustnessRecord:
    """Return what became of the chosen corruptions and attacks, and of rows from elsewhere.

    Into `kept` go the errors of single rows: `rows`, their places (R,) in the test split; under the name of the error
    those of these rows unchanged (R,), and under that of each corruption those at severities 1 to 5 (5, R).
    """
    kept = {} if kept is None else kept
    settings, total, outside = examined.settings, len(examined.test.y), choice.outside
    record = RobustnessRecord(
        metric=TASKS[examined.card.task].headline, rows=0, of=total, not_assessed=gaps(examined.card, choice)
    )
    if not (choice.corruptions or choice.attacks or outside):
        return record
    order = stream(examined.seed, "robustness", "rows").permutation(total)[: settings.robustness_rows]
    seconds = settings.robustness_seconds * (_CORRUPTIONS_SHARE if choice.attacks else 1)
    most = affordable(examined, choice, order, seconds)
    picked, notes = np.sort(order[:most]), [*input_notes(examined.card)]
    if len(picked) < len(order):
        notes.append(f"evaluate.robustness_seconds={settings.robustness_seconds:g} left time for {len(picked):,} of "
                     f"{len(order):,} rows")  # fmt: skip
    x, y = examined.rows(picked)
    judge, out = examined.judge(picked, x, y), examined.outputs(x)
    clean, inside = examined.predictions(out), examined.scores(out)
    found, foreign = [], []
    if choice.corruptions:
        kept["rows"] = picked
        kept |= [judge.row_errors(clean)]
    for corruption in choice.corruptions:
        degraded, scores = degradation(examined, judge, corruption, (x, clean), kept)
        found.append(degraded)
        if inside and outside is None:
            foreign.append(outside_set(examined, corruption.name, inside, scores, synthetic=True))
    if inside and outside is not None:
        scores = examined.scores(examined.outputs(outside.x))
        foreign.append(outside_set(examined, outside.name, inside, scores, synthetic=False))
    record = replace(
        record,
        rows=len(picked),
        clean=judge.headline(clean, "robustness"),
        degradations=tuple(found),
        outside=tuple(foreign),
        flagged=examined.flagged(inside) if inside else None,
        flagged_share=UNLIKE_SHARE if inside else None,
        notes=tuple(notes),
    )
    return with_attacks(examined, choice, order[: settings.attack_rows], record) if choice.attacks else record


def affordable(examined: Examined, choice: Choice, order: NDArray[np.int64], seconds: float) -> int:
    """Return how many of the rows all corruptions at all severities have time for, by trying them on a few."""
    x, _ = examined.rows(np.sort(order[:_PILOT]))
    examined.outputs(x)  # what comes first is slow
    start = time.monotonic()
    for corruption in choice.corruptions:
        for severity in SEVERITIES:
            examined.outputs(x, corruption, severity)
    each = (time.monotonic() - start) / len(x)
    return len(order) if each * len(order) <= seconds else max(len(x), int(seconds / each))


def degradation(
    examined: Examined,
    judge: Judge,
    corruption: Corruption,
    unchanged: tuple[Packed, Values],
    kept: dict[str, NDArray[Any]],
) -> tuple[Degradation, Mapping[str, Values]]:
    """Return the headline metric at each severity, and how familiar the rows are at the highest.

    `unchanged` are the rows and what is predicted of them; errors of single rows go into `kept`.
    """
    x, clean = unchanged
    quality, errors, p, out = [], list[Values](), clean, torch.empty(0)
    for severity in SEVERITIES:
        out = examined.outputs(x, corruption, severity)
        p = examined.predictions(out)
        quality.append(judge.headline(p, f"{corruption.name} {severity}"))
        errors.append(judge.row_errors(p)[1])
    kept[corruption.name] = np.stack(errors)
    found = Degradation(
        corruption=corruption.name,
        words=corruption.words,
        amounts=corruption.amounts,
        quality=tuple(quality),
        change=judge.gain(p, clean, corruption.name),
    )
    return found, examined.scores(out)


def outside_set(
    examined: Examined, name: str, inside: Mapping[str, Values], outside: Mapping[str, Values], *, synthetic: bool
) -> OutsideSet:
    """Return how well each score tells test rows (`inside`) from other rows, which are the same ones if synthetic."""
    level = examined.settings.level
    return OutsideSet(
        name=name,
        synthetic=synthetic,
        rows=len(outside["free_energy"]),
        auroc={score: auroc(inside[score], outside[score], level, paired=synthetic) for score in inside},  # type: ignore[misc]
        fpr95={score: false_positive_rate(inside[score], outside[score], level) for score in inside},  # type: ignore[misc]
        flagged=examined.flagged(outside),
    )


def with_attacks(
    examined: Examined, choice: Choice, picked: NDArray[np.int64], record: RobustnessRecord
) -> RobustnessRecord:
    """Return the record with accuracies under attack; for them is what corruptions leave of the seconds."""
    settings = examined.settings
    seconds = settings.robustness_seconds * (1 - (_CORRUPTIONS_SHARE if choice.corruptions else 0))
    x, y = examined.rows(picked)
    clean, attacks = attack_scores(examined.network, x, y, choice.attacks, seconds, settings.level)
    notes = record.notes
    if clean.n < len(y):
        notes += (f"evaluate.robustness_seconds={settings.robustness_seconds:g} left time to attack {clean.n:,} of "
                  f"{len(y):,} rows",)  # fmt: skip
    return replace(record, attack_clean=clean, attacks=attacks, notes=notes)
