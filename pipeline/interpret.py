"""weights + test rows → attributions, each method with a verdict on how far to believe it.

With `evaluate`, the only stage that may open artifacts/prepare/test.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipeline.core.contracts import DatasetCard, ExplainedRow, Explanations, ImageInputs
from pipeline.core.settings import InterpretSlice
from pipeline.core.store import FIT, INTERPRET, TEST, TRAIN, fresh_folder, read_record, write_json
from pipeline.stage import run_stage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from pipeline.attribution import Subject
    from pipeline.examination import Asked, Looked

log = logging.getLogger("pipeline.interpret")

_AT_ONCE = 256


def run(settings: InterpretSlice) -> None:
    """Write checks.json, attributions.npz and checks.npz."""
    import numpy as np
    import torch

    from pipeline.attribution import Clock, check_layers, subject_of
    from pipeline.datasets import load_split
    from pipeline.examination import Asked, look, read_concepts
    from pipeline.scorecard import no_better_than_guessing
    from pipeline.training.data import Rows
    from pipeline.training.heads import head_for
    from pipeline.training.predict import model_input, outputs_of, predict, targets_of
    from pipeline.training.weights import load_model

    clock = Clock(settings.interpret.seconds)
    torch.set_num_threads(1)
    card = read_record(DatasetCard, FIT / "dataset.json")
    chosen = settings.interpret
    given = [] if chosen.concepts is None else read_concepts(chosen.concepts, card)
    network, _ = load_model(TRAIN)
    test, head = load_split(TEST, "test"), head_for(card.task, card.inputs, card.targets)
    rows = Rows(test.x, test.y, card.inputs, "cpu")
    if given:
        check_layers(network, chosen.concept_layers, model_input(rows.take(torch.tensor([0]))[0]))
    p, y = predict(network, rows, head), targets_of(rows)

    def says(x: "Tensor") -> "NDArray[np.float64]":
        return np.asarray(head.predict(outputs_of(network, torch.split(x, _AT_ONCE))))

    asked = Asked(card, network, rows, y, subject_of(card, y, p), says)
    looked = look(asked, settings, clock, given)
    packed = rows.take(torch.tensor([i for i, _ in looked.picked]))[0].numpy()
    maps: dict[str, Any] = {a.method: a.values.astype(np.float32) for a in looked.found.attributions}
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


def record_of(
    asked: "Asked", looked: "Looked", maps: "Mapping[str, NDArray[Any]]", packed: "NDArray[Any]", guesses: list[str]
) -> Explanations:
    """Return the record, but for the explained rows and the seconds."""
    from pipeline.attribution import FAST_PATH_OFF, baseline_for
    from pipeline.scorecard import agreement, border_share, check, class_words, importance, permuted_parts

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
        influences=None if isinstance(looked.influences, str) else looked.influences,
        concepts=None if isinstance(looked.concepts, str) else looked.concepts,
        not_assessed=(*seen.left_out, *(why for why in (looked.influences, looked.concepts) if isinstance(why, str))),
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


def kept(looked: "Looked") -> dict[str, Any]:
    """Return what the scorecard and the overview are made of, by name: `<method>.<check>`, `permuted`, `words.…`."""
    arrays: dict[str, Any] = {
        f"{method}.{name}": values for method, part in looked.found.evidence.items() for name, values in part.items()
    }
    arrays["permuted"] = looked.seen.rises
    if (texts := looked.seen.words) is not None:
        arrays |= {"words.x": texts.x, "words.values": texts.values, "words.said": texts.said}
    return arrays


if __name__ == "__main__":
    run_stage("interpret", InterpretSlice, run)
