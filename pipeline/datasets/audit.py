"""Groups of the audit: values of a column, bins of a number, bins of an image's property.

Quantile bins are fitted on training rows alone.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import AuditFeature
from pipeline.core.data_settings import AuditSettings

MISSING = "(missing)"
_NAMES = {2: ("low", "high"), 3: ("low", "medium", "high")}


def bin_labels(edges: Sequence[float]) -> tuple[str, ...]:
    """Return the names of the bins between inner edges: "< 25", "25 to < 40", ">= 40"."""
    text = [f"{edge:g}" for edge in edges]
    between = [f"{a} to < {b}" for a, b in pairwise(text)]
    return (f"< {text[0]}", *between, f">= {text[-1]}")


def binned(values: NDArray[Any], edges: Sequence[float], labels: Sequence[str]) -> NDArray[Any]:
    """Return group names (N,); a value equal to an edge falls in the upper bin, NaN is "(missing)"."""
    names: NDArray[Any] = np.asarray(labels, dtype=object)[np.digitize(values, edges)]
    names[np.isnan(values)] = MISSING
    return names


def number_groups(
    name: str, role: str, source: str, setting: AuditSettings, train: NDArray[Any], parts: dict[str, NDArray[Any]]
) -> tuple[AuditFeature, dict[str, NDArray[Any]]]:
    """Group numbers by declared edges or by training quantiles; `parts` maps split to values (N,)."""
    if setting.quantiles:
        shares = np.arange(1, setting.quantiles) / setting.quantiles
        edges = [float(e) for e in np.quantile(train[~np.isnan(train)], shares)]
        labels = _NAMES.get(setting.quantiles) or tuple(f"q{i + 1}" for i in range(setting.quantiles))
        inner = ", ".join(f"{e:.4g}" for e in edges)
        source = f"{source} in {setting.quantiles} bins of equal size on train (edges {inner})"
    else:
        edges, labels = list(setting.edges), bin_labels(setting.edges)
        source = f"{source} in {len(labels)} declared bins"
    groups = {split: binned(values, edges, labels) for split, values in parts.items()}
    return _feature(name, role, source, labels, groups), groups


def value_groups(
    name: str, role: str, source: str, parts: dict[str, NDArray[Any]]
) -> tuple[AuditFeature, dict[str, NDArray[Any]]]:
    """Group rows by the text of a column; None is "(missing)"."""
    groups = {s: np.array([MISSING if v is None else str(v) for v in values], object) for s, values in parts.items()}
    labels = tuple(sorted({v for values in groups.values() for v in values} - {MISSING}))
    return _feature(name, role, source, labels, groups), groups


def _feature(name: str, role: str, source: str, labels: Sequence[str], groups: dict[str, NDArray[Any]]) -> AuditFeature:
    gone = any((values == MISSING).any() for values in groups.values())
    names = (*labels, MISSING) if gone else tuple(labels)
    return AuditFeature(name=name, role="sensitive" if role == "sensitive" else "slice", source=source, groups=names)
