"""Which concepts the outputs of a network rest on: asked for by `interpret.concepts`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline import attribution as by
from pipeline.core.contracts import ConceptDirection, Concepts, ConceptScore, TextInputs
from pipeline.core.seeds import stream
from pipeline.core.settings import InterpretSettings
from pipeline.core.store import FIT
from pipeline.datasets import load_split
from pipeline.examination.asking import Asked
from pipeline.examination.examples import Concept
from pipeline.scorecard import LEAST_ROWS, concept_direction, concept_record, concept_score, no_score
from pipeline.training.data import rows_at
from pipeline.training.predict import model_input

NOT_ASKED = "concepts that people have a name for: interpret.concepts=FOLDER"
_NO_TIME = "concepts that people have a name for: no time left"
_MOST_EXAMPLES, _MOST_RANDOM, _MOST_ROWS = 200, 1000, 200
_FEWEST_RANDOM = 100
_POOL_SHARE, _ROWS_SHARE = 0.3, 0.4
"""Of the seconds left, for activations of random rows and for gradients."""


@dataclass(frozen=True)
class Output:
    """A class, label or target: its name, its place, and its test rows."""

    name: str
    place: int
    rows: NDArray[np.int64]


def concepts_of(
    asked: Asked, given: Sequence[Concept], chosen: InterpretSettings, clock: by.Clock, costs: by.Costs, seed: int
) -> Concepts | str:
    """Return what outputs do along the concepts, or why that cannot be told."""
    layers, left = chosen.concept_layers, clock.seconds - clock.spent
    each = left * _POOL_SHARE / max(costs.forward, 1e-9) / len(given) / len(layers)
    random = min(_MOST_RANDOM, int(each))
    outputs = list(_outputs(asked))
    rows = min(_MOST_ROWS, int(left * _ROWS_SHARE / max(costs.backward, 1e-9) / len(outputs) / len(layers)))
    if random < _FEWEST_RANDOM or rows < LEAST_ROWS:
        return _NO_TIME
    rng = stream(seed, "interpret", "concepts")
    asked_of = [(one, one.rows[np.sort(rng.permutation(len(one.rows))[:rows])]) for one in outputs]
    known = [(one.place, asked.x(torch.tensor(at))) for one, at in asked_of if len(at) >= LEAST_ROWS]
    some = [concept.examples[np.sort(rng.permutation(len(concept.examples))[:_MOST_EXAMPLES])] for concept in given]
    examples = [model_input(torch.tensor(part)) for part in some]
    pools = [random_rows(asked, part, random, rng) for part in examples]
    contrast = asked.card.task in ("binary", "multiclass")
    directions: list[ConceptDirection] = []
    scores: list[ConceptScore] = []
    for layer in layers:
        probe = by.Probe(asked.network, layer, known, contrast, chosen.concept_runs)
        found = by.concepts(probe, examples, pools, rng, clock)
        if found is None:
            return _NO_TIME
        for concept, one in zip(given, found, strict=True):
            of = concept_direction(concept.name, layer, one.examples, one.correct)
            directions.append(of)
            scores += _scores(of, [(output.name, len(at)) for output, at in asked_of], one)
    fewer = [f"{_MOST_EXAMPLES} of {len(c.examples):,} examples of {c.name}" for c in given
             if len(c.examples) > _MOST_EXAMPLES]  # fmt: skip
    if min(random, rows) < _MOST_ROWS:
        fewer.append(f"interpret.seconds left time for {random:,} random rows and {rows} rows of an output")
    return concept_record(_how(asked, len(pools[0])), chosen.concept_runs, directions, scores, fewer)


def _scores(of: ConceptDirection, outputs: Sequence[tuple[str, int]], found: by.Sensitivity) -> Iterator[ConceptScore]:
    place = 0
    for name, rows in outputs:
        if rows < LEAST_ROWS:
            yield no_score(of, name)
            continue
        yield concept_score(of, name, found.scores[:, place], found.random[:, place], found.along[:, place],
                            found.pool[:, place])  # fmt: skip
        place += 1


def _how(asked: Asked, random: int) -> str:
    texts = isinstance(asked.card.inputs, TextInputs)
    what = "stretches of training texts as long as the phrases" if texts else "random training rows"
    of = {"regression": "the prediction, in training deviations", "multilabel": "the logit of a label"}
    explained = of.get(asked.card.task, "the logit of a class above the mean of the others")
    return f"{random:,} {what}; explained is {explained}"


def _outputs(asked: Asked) -> Iterator[Output]:
    card, y = asked.card, asked.y
    if card.task in ("binary", "multiclass"):
        yield from (Output(name, k, np.flatnonzero(y == k)) for k, name in enumerate(card.classes))
    elif card.task == "multilabel":
        yield from (Output(name, k, np.flatnonzero(y[:, k] == 1)) for k, name in enumerate(card.classes))
    else:
        yield from (Output(target.name, k, np.arange(len(y))) for k, target in enumerate(card.targets))


def random_rows(asked: Asked, examples: Tensor, count: int, rng: np.random.Generator) -> Tensor:
    """Return training rows to compare examples with, as the network reads them; of texts, stretches as long as they."""
    train = load_split(FIT, "train")
    drawn = np.sort(rng.permutation(len(train.y))[:count])
    x = rows_at(train.x, train.y, asked.card.inputs, drawn)[0]
    if not isinstance(asked.card.inputs, TextInputs):
        return model_input(torch.tensor(x))
    lengths = rng.permutation(np.resize(np.asarray((examples > 0).sum(1)), len(x)))
    parts = np.zeros_like(x)
    for row, (text, length) in enumerate(zip(x, lengths, strict=True)):
        whole = int((text > 0).sum())
        start = int(rng.integers(max(1, whole - length + 1)))
        words = text[start : min(start + length, whole)]
        parts[row, : len(words)] = words
    return torch.tensor(parts)
