"""weights + test rows → attributions, each method with a verdict on how far to believe it.

With `evaluate`, the only stage that may open artifacts/prepare/test.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline.core.contracts import DatasetCard, ExplainedRow, Explanations, ImageInputs, TextInputs
from pipeline.core.seeds import stream
from pipeline.core.settings import InterpretSlice
from pipeline.core.store import FIT, INTERPRET, TEST, TRAIN, fresh_folder, read_record, write_json
from pipeline.scorecard import agreement, border_share, check, class_words, importance, permuted_parts
from pipeline.stage import run_stage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from pipeline.attribution import Clock, Examined, Overview, Subject, Task
    from pipeline.training.data import Rows

log = logging.getLogger("pipeline.interpret")

Picked = list[tuple[int, str]]
_AT_ONCE = 256
_NOT_ASSESSED = ("which training rows a prediction rests on", "concepts that people have a name for")


@dataclass(frozen=True)
class Asked:
    """What is explained: a network, all test rows, and what is asked of each."""

    card: DatasetCard
    network: "nn.Module"
    rows: "Rows"
    y: "NDArray[Any]"
    subject: "Subject"
    says: "Callable[[Tensor], NDArray[np.float64]]"
    """Probabilities or values of rows as the network reads them."""

    def x(self, at: "Tensor") -> "Tensor":
        """Return some test rows as the network reads them."""
        from pipeline.training.predict import model_input

        return model_input(self.rows.take(at)[0])

    def task(self, picked: Picked) -> "Task":
        """Return the question about rows that were picked."""
        import torch

        from pipeline.attribution import Task, baseline_for

        at = [i for i, _ in picked]
        x, target = self.x(torch.tensor(at)), torch.tensor(self.subject.outputs[at])
        return Task(self.network, self.card.inputs, x, target, baseline_for(self.card.inputs, x)[0], self.card.task)


@dataclass(frozen=True)
class Looked:
    """What was found, about which rows (index, why)."""

    picked: Picked
    found: "Examined"
    seen: "Overview"
    sure: tuple[str, ...]
    reduced: tuple[str, ...]
    other: str
    """The other baseline, in words."""


def run(settings: InterpretSlice) -> None:
    """Write checks.json, attributions.npz and checks.npz."""
    import numpy as np
    import torch

    from pipeline.attribution import Clock, subject_of
    from pipeline.datasets import load_split
    from pipeline.training.data import Rows
    from pipeline.training.heads import head_for
    from pipeline.training.predict import outputs_of, predict, targets_of
    from pipeline.training.weights import load_model

    clock = Clock(settings.interpret.seconds)
    torch.set_num_threads(1)
    card = read_record(DatasetCard, FIT / "dataset.json")
    network, _ = load_model(TRAIN)
    test, head = load_split(TEST, "test"), head_for(card.task, card.inputs, card.targets)
    rows = Rows(test.x, test.y, card.inputs, "cpu")
    p, y = predict(network, rows, head), targets_of(rows)

    def says(x: Tensor) -> NDArray[np.float64]:
        return np.asarray(head.predict(outputs_of(network, torch.split(x, _AT_ONCE))))

    asked = Asked(card, network, rows, y, subject_of(card, y, p), says)
    looked = look(asked, settings, clock)
    packed = rows.take(torch.tensor([i for i, _ in looked.picked]))[0].numpy()
    maps = {a.method: a.values.astype(np.float32) for a in looked.found.attributions}
    record = record_of(asked, looked, maps, packed, no_better_than_guessing(card, y, p))
    sampling = f"{len(looked.picked)} of {len(y):,} test rows; {asked.subject.rule}"
    shown = explained_rows(asked.subject, looked.picked, test.rows["row_id"])
    record = replace(record, sampling=sampling, rows=shown, seconds=round(clock.spent, 3))
    with fresh_folder(INTERPRET) as folder:
        write_json(folder / "checks.json", record)
        np.savez(folder / "attributions.npz", **maps, inputs=packed)
        np.savez(folder / "checks.npz", **kept(looked))
    for item in record.methods:
        log.info("%s: %s (%s)", item.method.replace("_", " "), item.verdict, item.reason)


def look(asked: Asked, settings: InterpretSlice, clock: "Clock") -> Looked:
    """Explain as many rows as there is time for, put each method to the test, and look at many rows at once."""
    import torch

    from pipeline import attribution as by

    chosen, seed, inputs = settings.interpret, settings.seed, asked.card.inputs
    picked = by.choose_rows(asked.subject, min(chosen.rows, len(asked.y)), stream(seed, "interpret", "rows"))
    with by.same_function(asked.task(picked)) as sure:
        task, curves = asked.task(picked), (chosen.deletion_steps, chosen.random_orders)
        methods, costs = by.partners(asked.network, inputs, task.x), by.measured(task)
        left = by.MAPS_SHARE * chosen.seconds - clock.spent
        planned = by.plan(task, methods, costs, (len(picked), chosen.steps), curves, left)
        if planned.rows < len(picked):
            picked = by.choose_rows(asked.subject, planned.rows, stream(seed, "interpret", "rows"))
            task = asked.task(picked)
        found = by.explained(task, methods, planned.steps, clock, costs)
        by.remove(found, curves, seed)
        by.change_weights(found, clock, seed)
        other, words = by.other_baseline(inputs, task.x, _drawn(asked.card, len(picked), seed))
        by.change_baseline(found, other, clock)
        many = stream(seed, "interpret", "overview").permutation(len(asked.y))[: by.MOST_ROWS]
        crowd = by.Crowd(asked.card, asked.network, asked.x(torch.tensor(many)), asked.y[many], asked.says)
        seen = by.overview(crowd, clock, costs, seed)
        by.change_inputs(found, clock, seed)
    reduced = (*planned.reduced, *found.reduced)
    if reduced:
        reduced = (f"interpret.seconds ({chosen.seconds:g} s) left time for {'; '.join(reduced)}",)
    return Looked(picked, found, seen, sure, reduced, words)


def record_of(
    asked: Asked, looked: Looked, maps: "Mapping[str, NDArray[Any]]", packed: "NDArray[Any]", guesses: list[str]
) -> Explanations:
    """Return the record, but for the explained rows and the seconds."""
    from pipeline.attribution import FAST_PATH_OFF, baseline_for

    card, found, seen = asked.card, looked.found, looked.seen
    words = f"{baseline_for(card.inputs, found.task.x)[1]}; as another one, {looked.other}"
    off = [FAST_PATH_OFF] if FAST_PATH_OFF in looked.sure else []
    return Explanations(
        target=asked.subject.words,
        sampling="",
        rows=(),
        methods=tuple(
            check(a.method, words if found.makers[a.method].has_baseline else "nothing: it has no baseline",
                  a.promises_completeness, found.evidence[a.method], found.gone[a.method])
            for a in found.attributions
        ),
        importance={method: importance(card.inputs, packed, values) for method, values in maps.items()},
        prechecks=looked.sure,
        agreement=agreement(maps),
        permuted=permuted_parts([(part.name, part.members) for part in seen.parts], seen.rises),
        overview=seen.how,
        effects=seen.effects,
        effects_of=seen.effects_of,
        words=() if seen.words is None else class_words(card, seen.words.x, seen.words.values, seen.words.said),
        border={m: border_share(v) for m, v in maps.items()} if isinstance(card.inputs, ImageInputs) else {},
        notes=(found.note, *guesses, *off, *looked.reduced),
        not_assessed=(*seen.left_out, *_NOT_ASSESSED),
    )  # fmt: skip


def explained_rows(subject: "Subject", picked: list[tuple[int, str]], row_ids: Any) -> tuple[ExplainedRow, ...]:
    """Return what is said of each explained row, (index, why) as they were picked."""
    return tuple(
        ExplainedRow(
            index=i,
            row_id=str(row_ids[i]),
            true=subject.true[i],
            predicted=subject.predicted[i],
            probability=None if subject.probability is None else subject.probability[i],
            why_chosen=why,
        )
        for i, why in picked
    )


def kept(looked: Looked) -> dict[str, Any]:
    """Return what the scorecard and the overview are made of, by name: `<method>.<check>`, `permuted`, `words.…`."""
    arrays: dict[str, Any] = {
        f"{method}.{name}": values for method, part in looked.found.evidence.items() for name, values in part.items()
    }
    arrays["permuted"] = looked.seen.rises
    if (texts := looked.seen.words) is not None:
        arrays |= {"words.x": texts.x, "words.values": texts.values, "words.said": texts.said}
    return arrays


def _drawn(card: DatasetCard, count: int, seed: int) -> "Tensor":
    """Return training rows, drawn at random, as a network reads them; texts and images need none."""
    import torch

    from pipeline.datasets import load_split
    from pipeline.training.data import rows_at

    if isinstance(card.inputs, ImageInputs | TextInputs):
        return torch.zeros(0)
    train = load_split(FIT, "train")
    picked = stream(seed, "interpret", "baseline").integers(len(train.y), size=count)
    return torch.tensor(rows_at(train.x, train.y, card.inputs, picked)[0])


def no_better_than_guessing(card: DatasetCard, y: "NDArray[Any]", p: "NDArray[np.float64]") -> list[str]:
    """Return a warning when the model knows nothing: then pictures of it describe noise."""
    import numpy as np

    from pipeline.metrics.intervals import wilson

    if card.task in ("binary", "multiclass"):
        right = int((p.argmax(1) == y).sum())
        if wilson(right, len(y))[0] <= np.bincount(y).max() / len(y):
            return ["the model is not better than always guessing the largest class: these pictures describe noise"]
    if (
        card.task == "regression"
        and (np.abs(p - y).mean(axis=0) >= np.abs(y - np.median(y, axis=0)).mean(axis=0)).all()
    ):
        return ["the model is not better than always guessing the median: these pictures describe noise"]
    return []


if __name__ == "__main__":
    run_stage("interpret", InterpretSlice, run)
