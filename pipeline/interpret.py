"""weights + test rows → attributions, each method with a verdict on how far to believe it.

With `evaluate`, the only stage that may open artifacts/prepare/test.
"""

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline.core.contracts import (
    DatasetCard,
    ExplainedRow,
    Explanations,
    ForecastInputs,
    ImageInputs,
    Importance,
    Inputs,
    MethodCheck,
    Number,
    SeriesInputs,
    TableInputs,
    TextInputs,
    Verdict,
)
from pipeline.core.seeds import stream
from pipeline.core.settings import InterpretSlice
from pipeline.core.store import FIT, INTERPRET, TEST, TRAIN, fresh_folder, read_record, write_json
from pipeline.stage import run_stage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.attribution import Deletion, Task

log = logging.getLogger("pipeline.interpret")

_LEVEL = 0.95
_GRID = 4
_LEAST_ROWS = 2
"""A word is listed when at least this many explained texts have it."""


def check(method: str, words: str, promises: bool, errors: "NDArray[np.float64]", removal: "Deletion") -> MethodCheck:
    """Return completeness, from the `errors` of the rows (R,), and deletion curve of a method, and their verdict.

    `words`: what "absent" means; `promises`: whether the method says that contributions add up.
    """
    import numpy as np

    from pipeline.attribution import COMPLETE_ENOUGH
    from pipeline.metrics.intervals import mean

    gain = mean(removal.gains, _LEVEL)
    low, high = np.quantile(errors, [0.25, 0.75])
    error = Number(
        value=float(np.median(errors)),
        ci_low=float(low),
        ci_high=float(high),
        ci_level=0.5,
        ci_method="quartiles over rows",
        n=len(errors),
    )
    verdict, reason = judge(gain, error, promises, COMPLETE_ENOUGH)
    return MethodCheck(
        method=method,
        baseline=words,
        promises_completeness=promises,
        completeness=error,
        deletion_gain=gain,
        deletion_curve=tuple(float(v) for v in removal.curves.mean(axis=0)),
        random_curve=tuple(float(v) for v in removal.random.mean(axis=0)),
        verdict=verdict,
        reason=reason,
    )


def judge(gain: Number, error: Number, promises: bool, enough: float) -> tuple[Verdict, str]:
    """Return the worse of two verdicts: better than random order, and contributions that add up where promised."""
    assert error.value is not None
    if gain.ci_low is None or gain.ci_high is None:
        return "not_assessed", "too few rows for an interval"
    if gain.ci_high < 0:
        return "fail", "removing what it calls important changes the prediction less than removing at random"
    if promises and error.value > 4 * enough:
        return "fail", f"contributions miss the change of the output by {error.value:.0%} in the median"
    if gain.ci_low <= 0:
        return "warn", "not shown to be better than random order"
    if promises and error.value > enough:
        return "warn", f"contributions miss the change of the output by {error.value:.0%} in the median"
    return "pass", "better than random order" + (", and contributions add up" if promises else "")


def check_arrays(errors: "Mapping[str, NDArray[np.float64]]", removals: "Mapping[str, Deletion]") -> dict[str, Any]:
    """Return what the checks of the methods are made of, by name: errors (R,), curves and random (R, k + 1) of each."""
    found: dict[str, Any] = {f"{method}.errors": values for method, values in errors.items()}
    for method, removal in removals.items():
        found |= {f"{method}.curves": removal.curves, f"{method}.random": removal.random}
    return found


def importance(inputs: Inputs, x: "NDArray[Any]", values: "NDArray[Any]") -> tuple[Importance, ...]:
    """Return mean absolute contributions of the modality's parts over the explained rows x, from the stored maps."""
    import numpy as np

    from pipeline.metrics.intervals import mean

    size = np.abs(values.astype(np.float64))
    match inputs:
        case ImageInputs():
            parts = _fields(inputs, size.sum(axis=1))
        case TableInputs():
            parts = {column.name: size[:, i] for i, column in enumerate(inputs.columns)}
        case TextInputs():
            parts = _words(inputs, x, size)
        case SeriesInputs() | ForecastInputs():
            windows = np.array_split(np.arange(inputs.length), min(_GRID, inputs.length))
            parts = {
                f"{name}, {_stretch(inputs, w)}": size[:, c][:, w].sum(axis=1)
                for c, name in enumerate(inputs.channels)
                for w in windows
            }
    return tuple(Importance(name=n, value=mean(part, _LEVEL)) for n, part in parts.items())


def _stretch(inputs: SeriesInputs | ForecastInputs, steps: "NDArray[np.int64]") -> str:
    first, last = int(steps[0]), int(steps[-1])
    if isinstance(inputs, SeriesInputs):
        return f"steps {first + 1} to {last + 1}"
    return f"{first - inputs.window + 1:+d} to {last - inputs.window + 1:+d} steps from now"


def _fields(inputs: ImageInputs, size: "NDArray[np.float64]") -> "dict[str, NDArray[np.float64]]":
    import numpy as np

    rows, columns = np.array_split(np.arange(inputs.height), _GRID), np.array_split(np.arange(inputs.width), _GRID)
    return {
        f"row {i + 1}, column {j + 1} of {_GRID}": size[:, r][:, :, c].sum(axis=(1, 2))
        for i, r in enumerate(rows)
        for j, c in enumerate(columns)
        if len(r) and len(c)
    }


def _words(inputs: TextInputs, x: "NDArray[Any]", size: "NDArray[np.float64]") -> "dict[str, NDArray[np.float64]]":
    import numpy as np

    found = {}
    for number in np.unique(x[x > 1]):
        rows = (x == number).any(axis=1)
        if rows.sum() >= _LEAST_ROWS:
            at = np.where(x == number, size, 0.0).sum(axis=1)[rows]
            found[f"{inputs.vocabulary[number - 2]} ({rows.sum()} texts)"] = at
    return found


def run(settings: InterpretSlice) -> None:
    """Write checks.json, attributions.npz and checks.npz."""
    import numpy as np
    import torch

    from pipeline.attribution import (
        Task,
        baseline_for,
        choose_rows,
        completeness,
        deletion,
        explain,
        random_deletion,
        subject_of,
    )
    from pipeline.datasets import load_split
    from pipeline.training.data import Rows
    from pipeline.training.heads import head_for
    from pipeline.training.predict import model_input, predict, targets_of
    from pipeline.training.weights import load_model

    start, chosen, seed = time.monotonic(), settings.interpret, settings.seed
    torch.set_num_threads(1)
    card = read_record(DatasetCard, FIT / "dataset.json")
    network, _ = load_model(TRAIN)
    test = load_split(TEST, "test")
    rows = Rows(test.x, test.y, card.inputs, "cpu")
    p, y = predict(network, rows, head_for(card.task, card.inputs, card.targets)), targets_of(rows)
    subject = subject_of(card, y, p)
    picked = choose_rows(subject, min(chosen.rows, len(y)), stream(seed, "interpret", "rows"))
    index = [i for i, _ in picked]
    packed, _ = rows.take(torch.tensor(index))
    x = model_input(packed)
    baseline, words = baseline_for(card.inputs, x)
    task = Task(network, card.inputs, x, torch.tensor(subject.outputs[index]), baseline, card.task)
    agree_with_gradients(task)
    attributions, note = explain(task, chosen.steps, chosen.seconds)
    orders = stream(seed, "interpret", "random orders")
    random = random_deletion(task, attributions[0], chosen.deletion_steps, chosen.random_orders, orders)
    maps = {a.method: a.values.astype(np.float32) for a in attributions}
    errors = {a.method: completeness(task, a.values) for a in attributions}
    removals = {a.method: deletion(task, a, chosen.deletion_steps, random) for a in attributions}
    checks = tuple(
        check(a.method, words, a.promises_completeness, errors[a.method], removals[a.method]) for a in attributions
    )
    record = Explanations(
        target=subject.words,
        sampling=f"{len(index)} of {len(y):,} test rows; {subject.rule}",
        rows=tuple(
            ExplainedRow(
                index=i,
                row_id=str(test.rows["row_id"][i]),
                true=subject.true[i],
                predicted=subject.predicted[i],
                probability=None if subject.probability is None else subject.probability[i],
                why_chosen=why,
            )
            for i, why in picked
        ),
        methods=checks,
        importance={method: importance(card.inputs, packed.numpy(), values) for method, values in maps.items()},
        notes=(note, *no_better_than_guessing(card, y, p)),
        not_assessed=("stability under small changes, agreement with randomised weights, other baselines",),
        seconds=round(time.monotonic() - start, 3),
    )
    with fresh_folder(INTERPRET) as folder:
        write_json(folder / "checks.json", record)
        arrays: dict[str, Any] = maps | {"inputs": packed.numpy()}
        np.savez(folder / "attributions.npz", **arrays)
        np.savez(folder / "checks.npz", **check_arrays(errors, removals))
    for item in checks:
        log.info("%s: %s (%s)", item.method.replace("_", " "), item.verdict, item.reason)


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


def agree_with_gradients(task: "Task") -> None:
    """Make sure that what is explained is what predicts: outputs with and without gradients must agree."""
    import torch

    with torch.no_grad():
        without = task.outputs(task.x)
    x = task.x.clone().requires_grad_() if task.x.is_floating_point() else task.x
    assert torch.allclose(without, task.outputs(x), atol=1e-4)


if __name__ == "__main__":
    run_stage("interpret", InterpretSlice, run)
