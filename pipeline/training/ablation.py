"""What each choice of the winner was worth: turned back to its default one at a time, in short trainings of equal cost.

Legend: N rows, K classes, labels or values.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import Ablated, Best, Budget, Candidate, Number, SearchRecord, TrialRecord
from pipeline.core.errors import PipelineError
from pipeline.core.strict import plain, read
from pipeline.training.data import Data
from pipeline.training.fit import Fit, fit
from pipeline.training.full import Course
from pipeline.training.heads import head_for
from pipeline.training.predict import predict, targets_of
from pipeline.training.temperature import softening

log = logging.getLogger("pipeline.train")

_SMALLEST = 1e-12
_Z = 1.959964
"""Standard errors of a 95 % interval."""

Choice = tuple[str, Any, Any, Candidate]
"""Dotted name, the winner's value, the default's, and the winner with the default's."""


def choices_of(search: SearchRecord, best: Best) -> tuple[Choice, ...]:
    """Return all single steps from the winner back to a default.

    Settings of the architecture go back to the default of its own family, if that was tried; the family itself goes
    back, with all its settings, to the first default. What only one of the two has is left as it is.
    """
    defaults = [trial for trial in search.trials if trial.origin == "default"]
    kind = best.candidate.architecture["kind"]
    own = next((trial for trial in defaults if trial.candidate.architecture["kind"] == kind), None)
    found = []
    if defaults and defaults[0].candidate.architecture["kind"] != kind:
        first = defaults[0].candidate.architecture
        whole = plain(best.candidate) | {"architecture": plain(first)}
        found.append(("architecture", kind, first["kind"], _candidate(whole)))
    for part, reference in (("architecture", own), ("optimizer", own or next(iter(defaults), None))):
        if reference is not None:
            found += _steps(best.candidate, reference, part)
    return tuple(found)


def _steps(winner: Candidate, reference: TrialRecord, part: str) -> list[Choice]:
    ours, theirs = leaves(plain(winner)[part]), leaves(plain(reference.candidate)[part])
    found = []
    for path in ours:
        if path in theirs and ours[path] != theirs[path]:
            changed = plain(winner)
            node = changed[part]
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = theirs[path]
            found.append((".".join((part, *path)), ours[path], theirs[path], _candidate(changed)))
    return found


def leaves(node: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return {path: value} of a tree; a list is one value."""
    found: dict[tuple[str, ...], Any] = {}
    for key, value in node.items():
        found |= leaves(value, (*path, key)) if isinstance(value, Mapping) else {(*path, key): value}
    return found


def _candidate(tree: Mapping[str, Any]) -> Candidate:
    return read(Candidate, tree, "ablation")


def ablate(choices: Sequence[Choice], best: Best, course: Course, seconds: float, seed: int) -> tuple[Ablated, ...]:
    """Train the winner and each of its variants in an equal share of the seconds; return what each step back costs."""
    if not choices:
        log.info("ablation: the winner has no choice that a default of the search differs in")
        return ()
    data, share = course.data, Budget(epochs=course.budget.epochs, seconds=seconds / (len(choices) + 1))
    log.info("ablation: %d trainings of at most %.1f s", len(choices) + 1, share.seconds)

    def losses(candidate: Candidate) -> NDArray[np.float64]:
        return row_losses(fit(candidate, data, share, seed=seed, trainer=course.trainer, policy=best.policy), data)

    winner_N, found = losses(best.candidate), []
    for name, chosen, default, candidate in choices:
        try:
            difference, error = paired(losses(candidate), winner_N)
        except (PipelineError, FloatingPointError, ValueError, RuntimeError) as wrong:
            reason = f"cannot be trained alone: {str(wrong).partition(chr(10))[0]}"
            difference, error = Number(value=None, n=0, reason=reason), None
        found.append(Ablated(name=name, chosen=str(chosen), default=str(default), difference=difference,
                             standard_error=error))  # fmt: skip
        shown = (
            difference.reason if difference.value is None else f"{difference.value:+.4f}, standard error {error:.4f}"
        )
        log.info("ablation: %s %s back to %s: %s", name, chosen, default, shown)
    return tuple(found)


def paired(other_N: NDArray[np.float64], winner_N: NDArray[np.float64]) -> tuple[Number, float]:
    """Return the mean of the difference of two losses of the same rows, and its standard error."""
    gap_N = other_N - winner_N
    n, value = len(gap_N), float(gap_N.mean())
    error = float(gap_N.std(ddof=1)) / math.sqrt(n) if n > 1 else 0.0
    number = Number(value=value, ci_low=value - _Z * error, ci_high=value + _Z * error, ci_level=0.95,
                    ci_method="normal, paired by row", n=n)  # fmt: skip
    return number, error


def row_losses(done: Fit, data: Data) -> NDArray[np.float64]:
    """Return the loss of each validation row (N,), as in the score: training/heads.py."""
    rows, head = data.placed("val", "cpu"), head_for(data.task, data.inputs, data.targets)
    return losses_of(predict(done.network, rows, head), targets_of(rows), data)


def losses_of(p_NK: NDArray[np.float64], y: NDArray[Any], data: Data) -> NDArray[np.float64]:
    """Return the same of predictions and targets."""
    if data.task in ("binary", "multiclass"):
        soft = softening(*p_NK.shape)
        true_NK = np.eye(p_NK.shape[1])[y] * (1 - soft) + soft / p_NK.shape[1]
        return np.asarray(-(true_NK * np.log(np.maximum(p_NK, _SMALLEST))).sum(1))
    if data.task == "multilabel":
        soft = softening(y.size, 2)
        true_NK = y * (1 - soft) + soft / 2
        told = true_NK * np.log(np.maximum(p_NK, _SMALLEST))
        return np.asarray(-(told + (1 - true_NK) * np.log(np.maximum(1 - p_NK, _SMALLEST))).mean(1))
    std_K = np.array([1.0] if data.task == "forecast" else [t.std for t in data.targets])
    known_NK = ~np.isnan(y)
    square_NK = np.where(known_NK, (p_NK - np.where(known_NK, y, 0.0)) / std_K, 0.0) ** 2
    rows_N = square_NK.sum(1) / np.maximum(1, known_NK.sum(1))
    return np.asarray(rows_N[known_NK.any(1)])
