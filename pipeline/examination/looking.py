"""All that interpret looks at, in the order of what it is worth, until the seconds are spent."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipeline import attribution as by
from pipeline.core.contracts import Concepts, Influences
from pipeline.core.seeds import stream
from pipeline.core.settings import InterpretSlice
from pipeline.core.store import FIT
from pipeline.datasets import load_split
from pipeline.examination.asking import Asked, Picked, drawn_rows
from pipeline.examination.concepts import NOT_ASKED, concepts_of
from pipeline.examination.examples import Concept
from pipeline.scorecard import influences
from pipeline.training.data import rows_at
from pipeline.training.predict import model_input

_NOT_ASKED = "which training rows a prediction rests on: interpret.influence=true"
_LOOKED_AT, _SURE_PASSES, _SURE_SHARE = 8, 7, 0.05
"""Rows on which it is made sure that the function explained is the one that predicts, how often they are predicted for
it, and the share of the seconds beyond which one row has to do."""
_TRACED_PASSES, _FEWEST_TRACED = 8, 100
"""Predictions that a training row takes until its influence is known and tried, and fewest rows that tell something."""


@dataclass(frozen=True)
class Looked:
    """What was found, about which rows (index, why)."""

    picked: Picked
    found: by.Examined
    seen: by.Overview
    sure: tuple[str, ...]
    reduced: tuple[str, ...]
    other: str
    """The other baseline, in words."""
    influences: Influences | str
    """Of training rows, or why there are none."""
    concepts: Concepts | str
    """Which of them outputs rest on, or why that is not told."""


def look(asked: Asked, settings: InterpretSlice, clock: by.Clock, given: Sequence[Concept] = ()) -> Looked:
    """Explain as many rows as there is time for, put each method to the test, and look at many rows at once.

    `given`: concepts with examples, where a person asked for them.
    """
    chosen, seed, inputs = settings.interpret, settings.seed, asked.card.inputs
    picked = by.choose_rows(asked.subject, min(chosen.rows, len(asked.y)), stream(seed, "interpret", "rows"))
    with by.same_function(asked.task(picked[: _made_sure_on(asked, picked, clock)])) as sure:
        task = asked.task(picked)
        methods, costs = by.partners(asked.network, inputs, task.x), by.measured(task, clock)
        left = by.MAPS_SHARE * chosen.seconds - clock.spent
        wanted = by.Plan(len(picked), chosen.steps, chosen.deletion_steps, chosen.random_orders, by.DRAWS)
        planned = by.plan(task, methods, costs, wanted, left)
        if planned.rows < len(picked):
            picked = by.choose_rows(asked.subject, planned.rows, stream(seed, "interpret", "rows"))
            task = asked.task(picked)
        methods = tuple(method for method in methods if method.name not in planned.without)
        found = by.explained(task, methods, planned.steps, clock, costs)
        by.remove(found, planned, seed, clock)
        by.change_weights(found, clock, seed)
        other, words = by.other_baseline(inputs, task.x, drawn_rows(asked.card, len(picked), seed))
        by.change_baseline(found, other, clock)
        many = stream(seed, "interpret", "overview").permutation(len(asked.y))[: by.MOST_ROWS]
        crowd = by.Crowd(asked.card, asked.network, asked.x(torch.tensor(many)), asked.y[many], asked.says)
        seen = by.overview(crowd, clock, costs, seed)
        rests = influenced(asked, picked, clock, costs, seed) if chosen.influence else _NOT_ASKED
        named = concepts_of(asked, given, chosen, clock, costs, seed) if given else NOT_ASKED
        by.change_inputs(found, clock, seed)
    reduced = (*planned.reduced, *found.reduced)
    if reduced:
        reduced = (f"interpret.seconds ({chosen.seconds:g} s) left time for {'; '.join(reduced)}",)
    return Looked(picked, found, seen, sure, reduced, words, rests, named)


def _made_sure_on(asked: Asked, picked: Picked, clock: by.Clock) -> int:
    """Return on how many rows it is made sure what is explained: on one where a single prediction takes long."""
    before = clock.spent
    with torch.no_grad():
        asked.network(asked.task(picked[:1]).x)
    return _LOOKED_AT if (clock.spent - before) * _LOOKED_AT * _SURE_PASSES < _SURE_SHARE * clock.seconds else 1


def influenced(asked: Asked, picked: Picked, clock: by.Clock, costs: by.Costs, seed: int) -> Influences | str:
    """Return which training rows the explained ones rest on, or why that cannot be told."""
    at = [i for i, _ in picked]
    explained = asked.x(torch.tensor(at))
    if asked.card.task not in ("binary", "multiclass") or by.last_layer(asked.network, explained) is None:
        return "which training rows a prediction rests on: told of classes and a linear last layer alone"
    fitting = int((clock.seconds - clock.spent) / max(_TRACED_PASSES * costs.forward, 1e-9))
    if fitting < _FEWEST_TRACED:
        return "which training rows a prediction rests on: no time left"
    train, rng = load_split(FIT, "train"), stream(seed, "interpret", "influence")
    drawn = np.sort(rng.permutation(len(train.y))[: min(by.MOST_TRACED, fitting)])
    packed, y = rows_at(train.x, train.y, asked.card.inputs, drawn)
    x, own = model_input(torch.tensor(packed)), torch.tensor(asked.y[at]).long()
    found = by.influence(asked.network, (x, torch.tensor(y).long()), (explained, own), clock, rng)
    ids = [str(train.rows["row_id"][int(i)]) for i in drawn]
    said = asked.says(x).argmax(1)
    return influences(asked.card, ids, (np.asarray(y), said), (at, found.scores), (found.own, found.gains))
