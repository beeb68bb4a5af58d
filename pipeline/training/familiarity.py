"""How sure outputs of a network say that a row is like the training rows; higher is more familiar.

Legend: B rows, K classes or labels.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.core.contracts import Task

UNLIKE_SHARE = 0.05
"""Share of the validation rows below the floor: so many rows that are like them are called unlike them."""

Scores = NDArray[np.float64]


def largest_probability(out_BK: Tensor) -> Scores:
    """Return the probability of the predicted class (Hendrycks and Gimpel 2017), (B,)."""
    return np.asarray(out_BK.double().softmax(1).amax(1).cpu())


def free_energy(out_BK: Tensor, task: Task) -> Scores:
    """Return minus the free energy of the logits, (B,).

    Classes: log Σ exp z (Liu et al. 2020); labels: Σ log(1 + exp z) (Wang et al. 2021).
    """
    z_BK = out_BK.double()
    each = nn.functional.softplus(z_BK).sum(1) if task == "multilabel" else z_BK.logsumexp(1)
    return np.asarray(each.cpu())


def familiarity(out_BK: Tensor, task: Task) -> Mapping[str, Scores]:
    """Return all scores that outputs of a task have, by name; none where numbers are predicted."""
    match task:
        case "binary" | "multiclass":
            return {"largest_probability": largest_probability(out_BK), "free_energy": free_energy(out_BK, task)}
        case "multilabel":
            return {"free_energy": free_energy(out_BK, task)}
        case _:
            return {}


def familiarity_floor(out_BK: Tensor, task: Task) -> float | None:
    """Return the free energy that 5 % of these validation rows do not reach; None where numbers are predicted."""
    scores = familiarity(out_BK, task).get("free_energy")
    return None if scores is None else float(np.quantile(scores, UNLIKE_SHARE, method="lower"))
