"""What a network does on the whole: over many test rows, not those of the gallery; as many as there is time for."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.attribution.budget import Clock, Costs
from pipeline.attribution.effects import effects
from pipeline.attribution.gradients import gradients_at
from pipeline.attribution.permuted import Part, parts_of, permuted
from pipeline.attribution.task import Task, baseline_for
from pipeline.core.contracts import DatasetCard, Effect, TableInputs, TextInputs
from pipeline.core.seeds import stream

Values = NDArray[np.float64]

MOST_ROWS = 2000
_REPEATS = 10
_FEWEST_ROWS = 30
_PILOT, _FEW, _PILOT_SHARE = 256, 8, 0.02
"""Rows whose pace is measured, of slow networks, and what share of the seconds makes a network slow."""
_NONE_PERMUTED = "what permuted inputs cost, and effects of single columns: no time left"
_MOST_EFFECTS = 6
_STEPS, _MOST_TEXTS, _AT_ONCE = 16, 600, 64
_PERMUTED_UNTIL, _WORDS_UNTIL = 0.9, 0.9
"""Shares of the seconds."""


@dataclass(frozen=True)
class Crowd:
    """Many test rows: inputs as the network reads them, what is true (N,) or (N, K), and what the network says."""

    card: DatasetCard
    network: nn.Module
    x: Tensor
    y: NDArray[np.generic]
    says: Callable[[Tensor], Values]
    """Probabilities or values of rows, (N, K)."""

    def losses(self, x: Tensor) -> Values:
        """Return the loss of each row, (N,): minus the logarithm of the truth's probability, or the squared error.

        Errors are in training deviations; of several labels or numbers it is the mean.
        """
        p = self.says(x)
        y = self.y[: len(x)]
        if self.card.task in ("binary", "multiclass"):
            return np.asarray(-np.log(np.maximum(p[np.arange(len(y)), y.astype(int)], 1e-12)))
        if self.card.task == "multilabel":
            right = np.where(y == 1, p, 1 - p)
            return np.asarray(-np.log(np.maximum(right, 1e-12)).mean(axis=1))
        scale = np.array([target.std for target in self.card.targets])
        return np.asarray((((p - y.astype(np.float64)) / scale) ** 2).mean(axis=1))


@dataclass(frozen=True)
class Texts:
    """Texts and the contributions of their words (N, L), and the explained output of each (N,)."""

    x: NDArray[np.int32]
    values: NDArray[np.float32]
    said: NDArray[np.int64]


@dataclass
class Overview:
    """What was found, and of how many rows."""

    parts: list[Part] = field(default_factory=list)
    rises: Values = field(default_factory=lambda: np.zeros((0, 0)))
    """Of the loss when a part is permuted, (parts, N)."""
    how: str = ""
    effects: tuple[Effect, ...] = ()
    effects_of: str = ""
    words: Texts | None = None
    left_out: list[str] = field(default_factory=list)


def overview(crowd: Crowd, clock: Clock, costs: Costs, seed: int) -> Overview:
    """Permute parts of the inputs and move numbers of tables, or look at the words of many texts."""
    found = Overview()
    if isinstance(crowd.card.inputs, TextInputs):
        _texts(crowd, clock, costs, found)
        return found
    parts = [] if crowd.card.task == "forecast" else parts_of(crowd.card.inputs, crowd.x)
    if not parts:
        return found
    if clock.rows(_FEWEST_ROWS, costs.forward, _PERMUTED_UNTIL) < _FEWEST_ROWS:
        found.left_out.append(_NONE_PERMUTED)
        return found
    before, pilot = clock.spent, crowd.x[: _PILOT if costs.forward * _PILOT < _PILOT_SHARE * clock.seconds else _FEW]
    crowd.losses(pilot)
    each, repeats = (clock.spent - before) / len(pilot), _REPEATS
    moved = 2 * _MOST_EFFECTS + 2 if isinstance(crowd.card.inputs, TableInputs) else 1
    rows = clock.rows(len(crowd.x), each * (repeats * len(parts) + moved), _PERMUTED_UNTIL)
    while rows < len(crowd.x) and repeats > 1:
        repeats //= 2
        rows = clock.rows(len(crowd.x), each * (repeats * len(parts) + moved), _PERMUTED_UNTIL)
    if rows < _FEWEST_ROWS:
        found.left_out.append(_NONE_PERMUTED)
        return found
    x = crowd.x[:rows]
    found.parts = parts
    found.rises = permuted(crowd.losses, x, parts, repeats, stream(seed, "interpret", "permuted"))
    found.how = f"{rows:,} test rows, permuted {repeats} times"
    if isinstance(crowd.card.inputs, TableInputs):
        _effects(crowd, x, found)
    return found


def _effects(crowd: Crowd, x: Tensor, found: Overview) -> None:
    """Add the effects of the numbers that cost most when permuted."""
    inputs = crowd.card.inputs
    assert isinstance(inputs, TableInputs)
    numeric = [i for i, column in enumerate(inputs.columns) if column.kind == "numeric"]
    ranked = sorted(numeric, key=lambda i: -float(found.rises[i].mean()))[:_MOST_EFFECTS]
    output, names = 0, crowd.card.classes
    if names:
        output = 1 if crowd.card.task == "binary" else int(np.bincount(crowd.says(x).argmax(1)).argmax())
        found.effects_of = f"probability of {names[output]}"
    else:
        found.effects_of = f"prediction of {crowd.card.targets[0].name}"
    found.effects = effects(lambda moved: crowd.says(moved)[:, output], inputs, x, ranked)


def _texts(crowd: Crowd, clock: Clock, costs: Costs, found: Overview) -> None:
    """Integrate the gradients of many texts, few steps each: means over texts forgive what single ones miss."""
    wanted = min(_MOST_TEXTS, len(crowd.x))
    rows = clock.rows(wanted, _STEPS * costs.backward + costs.forward, _WORDS_UNTIL)
    if rows < _FEWEST_ROWS:
        found.left_out.append("words by class: no time left")
        return
    x = crowd.x[:rows]
    numbers = crowd.card.task == "regression"
    said = np.zeros(rows, dtype=np.int64) if numbers else crowd.says(x).argmax(1).astype(np.int64)
    maps: list[NDArray[np.float32]] = []
    for at in torch.split(torch.arange(rows), _AT_ONCE):
        if maps and clock.spent > _WORDS_UNTIL * clock.seconds:
            break
        part = x[at]
        baseline, _ = baseline_for(crowd.card.inputs, part)
        task = Task(crowd.network, crowd.card.inputs, part, torch.tensor(said[at.numpy()]), baseline, crowd.card.task)
        maps.append(gradients_at(task, _STEPS).astype(np.float32))
    rows = sum(map(len, maps))
    found.words = Texts(x[:rows].numpy(), np.concatenate(maps), said[:rows])
    found.how = f"{rows:,} test texts, integrated gradients with {_STEPS} steps"
