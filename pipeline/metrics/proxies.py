"""Can the groups of people be told from what a network sees, or from what it makes of it? A probe that was not told.

A feature that is no input can still be known from others. Where the probe does well, leaving the feature out protects
nobody; where it fails, a stronger probe might not. Legend: N rows, C columns.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import Number, Proxy
from pipeline.metrics.rankings import LEAST_OF_CLASS, area_under_roc, averaged, logit_number

_FOLDS = 5
_MOST_ROWS = 4000
_MOST_COLUMNS = 512
_SHOWN = 5


def probed(
    feature: str,
    source: str,
    x_NC: NDArray[np.float64],
    group: NDArray[np.object_],
    rng: np.random.Generator,
    level: float,
    names: Sequence[str] = (),
) -> Proxy:
    """Return how well boosted trees tell the groups (N,) from x, on rows they were not fitted on (5 folds).

    Groups with fewer than 50 rows are left out; more than 4,000 rows, or 512 columns, are thinned out at random.
    `names` of columns: what the most telling ones reach alone, with one small tree each.
    """
    kept = [g for g in dict.fromkeys(group) if int((group == g).sum()) >= LEAST_OF_CLASS * _FOLDS]
    at = np.flatnonzero(np.isin(group.astype(str), [str(g) for g in kept]))
    if len(kept) < 2:
        gone = Number(value=None, n=len(at), reason="fewer than two groups are large enough")
        return Proxy(feature=feature, source=source, auroc=gone)
    at = rng.permutation(at)[:_MOST_ROWS]
    if not names and x_NC.shape[1] > _MOST_COLUMNS:
        x_NC = x_NC[:, rng.permutation(x_NC.shape[1])[:_MOST_COLUMNS]]
    x, code = x_NC[at], np.unique(group[at].astype(str), return_inverse=True)[1]
    fold = _folds(code, rng)
    value, influence = _told(_forest(), x, code, fold)
    alone = sorted(((_told(_tree(), x[:, [c]], code, fold)[0], name) for c, name in enumerate(names)), reverse=True)
    return Proxy(
        feature=feature,
        source=source,
        auroc=logit_number(value, influence, level),
        columns=tuple((name, round(area, 4)) for area, name in alone[:_SHOWN]),
    )


def _folds(code: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the fold of every row; each has its share of every group."""
    fold = np.empty(len(code), np.int64)
    for k in range(int(code.max()) + 1):
        rows = rng.permutation(np.flatnonzero(code == k))
        fold[rows] = np.arange(len(rows)) % _FOLDS
    return fold


def _forest() -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=15, early_stopping=False, random_state=0)


def _tree() -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(max_leaf_nodes=16, min_samples_leaf=10, random_state=0)


def _told(
    model: Any, x: NDArray[np.float64], code: NDArray[np.int64], fold: NDArray[np.int64]
) -> tuple[float, NDArray[np.float64]]:
    """Return the mean area over the groups (of two, that of one) and its influence values."""
    groups = int(code.max()) + 1
    said = np.zeros((len(code), groups))
    for k in range(_FOLDS):
        said[fold == k] = model.fit(x[fold != k], code[fold != k]).predict_proba(x[fold == k])
    of = range(1, groups) if groups == 2 else range(groups)
    # Models of different folds need not agree on what is likely: within a fold alone do scores rank.
    parts = [_within_folds(code == k, said[:, k], fold) for k in of]
    return averaged(parts)


def _within_folds(
    held: NDArray[np.bool_], score: NDArray[np.float64], fold: NDArray[np.int64]
) -> tuple[float, NDArray[np.float64]]:
    """Return the mean over folds of the area in each, and influence values (N,)."""
    influence, total = np.empty(len(held)), 0.0
    for k in range(_FOLDS):
        rows = fold == k
        value, own = area_under_roc(held[rows], score[rows])
        share = rows.mean()
        total += share * value
        influence[rows] = own
    return total, influence
