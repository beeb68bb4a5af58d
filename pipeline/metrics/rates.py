"""The rates that groups are compared in: of which rows, which of them count as a hit, and whether many are good."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MOST_CLASSES = 20


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate: `hit` among the rows where `counts`; `good` says whether a high rate is good for the group."""

    name: str
    counts: NDArray[np.bool_]
    hit: NDArray[np.bool_]
    good: bool | None
    """None: neither high nor low is."""
    empty: str


def rates_of(y: NDArray[np.int64], predicted: NDArray[np.int64], positive: int | None) -> tuple[Rate, ...]:
    """Return accuracy and, with a positive class, selection rate, true and false positive rate, and precision."""
    every = np.ones(len(y), bool)
    found = [Rate("accuracy", every, predicted == y, True, "no_rows")]
    if positive is not None:
        chosen = predicted == positive
        found += [
            Rate("selection_rate", every, chosen, True, "no_rows"),
            Rate("true_positive_rate", y == positive, chosen, True, "no_positive_labels"),
            Rate("false_positive_rate", y != positive, chosen, False, "no_negative_labels"),
            Rate("precision", chosen, y == positive, True, "never_predicted"),
        ]
    return tuple(found)


def class_rates(
    y: NDArray[np.int64], predicted: NDArray[np.int64], classes: Sequence[str]
) -> tuple[tuple[Rate, ...], tuple[str, ...]]:
    """Return recall, precision and share predicted of each of several classes, and what is left out.

    Whether a class is good for who is put in it is not known, so a high share is neither good nor bad.
    """
    if not 2 < len(classes) <= _MOST_CLASSES:
        many = f"rates of each of {len(classes):,} classes by group: more than {_MOST_CLASSES} are not compared"
        return (), (many,) if len(classes) > _MOST_CLASSES else ()
    every, found = np.ones(len(y), bool), list[Rate]()
    for k, name in enumerate(classes):
        found += [
            Rate(f"recall of {name}", y == k, predicted == k, True, "no_rows_of_this_class"),
            Rate(f"precision of {name}", predicted == k, y == k, True, "never_predicted"),
            Rate(f"share predicted {name}", every, predicted == k, None, "no_rows"),
        ]
    return tuple(found), ()
