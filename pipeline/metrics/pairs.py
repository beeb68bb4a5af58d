"""Pairs of sensitive features: every cell of two features is a group of its own, listed even where it is empty."""

from collections.abc import Mapping, Sequence
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import AuditFeature

BETWEEN = " and "
_MOST_CELLS = 100


def with_pairs(
    features: Sequence[AuditFeature], groups: Mapping[str, NDArray[np.object_]]
) -> tuple[tuple[AuditFeature, ...], dict[str, NDArray[np.object_]], tuple[str, ...]]:
    """Return the features and all pairs of sensitive ones, every row's group (N,) by feature, and what is left out.

    Three features at once are never crossed: their cells are too small to say anything.
    """
    people = [feature for feature in features if feature.role == "sensitive"]
    found, of, gone = list(features), dict(groups), []
    for one, two in combinations(people, 2):
        name, cells = f"{one.name}{BETWEEN}{two.name}", tuple(product(one.groups, two.groups))
        if len(cells) > _MOST_CELLS:
            gone.append(f"{name}: {len(cells):,} cells are more than {_MOST_CELLS}; coarser groups can be compared")
            continue
        labels = {cell: BETWEEN.join(cell) for cell in cells}
        of[name] = np.array([labels[a, b] for a, b in zip(groups[one.name], groups[two.name], strict=True)], object)
        found.append(AuditFeature(name=name, role="sensitive", source="both features", groups=tuple(labels.values())))
    if len(people) > 2:
        gone.append("three or more sensitive features at once: pairs are as far as cells stay large enough")
    return tuple(found), of, tuple(gone)


def pooled(hits: Sequence[int], rows: Sequence[int]) -> list[float | None]:
    """Return the rate of each cell, drawn towards that of all by as much as its rows leave open; None where no cell is.

    The posterior mean of a beta-binomial whose spread between cells is fitted by moments (Kleinman 1973), worth one row
    at least. Where cells differ by no more than chance, all get the rate of all.
    """
    k, n = np.array(hits, float), np.array(rows, float)
    there = n > 0
    if not there.any():
        return [None] * len(n)
    mean = k.sum() / n.sum()
    share = k[there] / n[there]
    units, chance = there.sum(), mean * (1 - mean)
    expected = (units - 1) * chance
    seen = float((n[there] * (share - mean) ** 2).sum())
    room = n.sum() - float((n[there] ** 2).sum()) / n.sum() - (units - 1)
    spread = max(0.0, (seen - expected) / room) if room > 0 else 0.0
    if spread <= 1e-12 * max(chance, 1e-12):
        return [float(mean)] * len(n)
    weight = max(1.0, chance / spread - 1)
    return [float(v) for v in (k + weight * mean) / np.maximum(n + weight, 1e-12)]
