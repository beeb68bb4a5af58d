"""Who goes where: as the data say, by group, by time, or by content, so that the same rows always land on one side.

A row's place in the order of a split is a hash of its content (and the seed), not of its position in a file: adding or
sorting rows moves few of the others, and rows that are equal stay together. Groups (persons, patients) stay together
as well; with a time column the last rows are split off.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import SplitName
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets.packed import chunks

Places = dict[SplitName, NDArray[np.int64]]
"""Rows of each split, in the order of the data."""
_ORDER: tuple[SplitName, ...] = ("train", "val", "reserve", "test")
_LEAST_RESERVE = 100
"""A smaller reserve would decide by luck; then there is none."""
_REPEATING = 0.1
"""When more rows of a table than this share have a twin, rows repeat by nature and twins are no copies."""


@dataclass(frozen=True)
class RowFacts:
    """What decides a row's split; arrays have one value per row."""

    keys: Sequence[bytes]
    """Digest of the content."""
    given: NDArray[np.object_]
    """Split the data name, or ""."""
    strata: NDArray[np.int64] | None = None
    """Number of the class (or bin of the target), so that splits resemble each other."""
    groups: NDArray[np.object_] | None = None
    times: NDArray[np.float64] | None = None
    where: str = ""
    """File or folder, for messages."""
    may_repeat: bool = False
    """Whether many equal rows may be different things (rows of a table with few columns), not copies."""


def split_rows(settings: DataSettings, seed: int, facts: RowFacts) -> tuple[Places, list[str]]:
    """Return the rows of each split and notes; what straddles two splits is an error unless declared."""
    free = np.flatnonzero(~np.isin(facts.given, ["val", "test"]))
    units, notes = _units(facts, free)
    places: Places = {}
    shares: tuple[tuple[SplitName, float], ...] = (("test", settings.test_fraction), ("val", settings.val_fraction))
    for split, share in shares:
        places[split] = np.flatnonzero(facts.given == split)
        if not len(places[split]):
            off = _split_off(free, share, units, facts, f"{seed} {split}")
            places[split] = np.flatnonzero(off)
            free = free[~off[free]]
    places["train"] = free
    wanted = settings.reserve_fraction
    if wanted and wanted * len(places["val"]) >= _LEAST_RESERVE:
        off = _split_off(places["val"], wanted, units, facts, f"{seed} reserve")
        places["reserve"] = np.flatnonzero(off)
        places["val"] = places["val"][~off[places["val"]]]
    places = {split: places[split] for split in _ORDER if split in places}
    for split, rows in places.items():
        if not len(rows):
            raise DataError(f"{facts.where}: no rows are left for {split}", fix="give more rows, groups or files")
    _check_groups(places, facts)
    return _check_twins(settings, places, facts, notes)


def _units(facts: RowFacts, free: NDArray[np.int64]) -> tuple[NDArray[np.object_], list[str]]:
    """Return what stays together, by row: the group, or the content."""
    keys = np.array(facts.keys, dtype=object)
    if facts.groups is not None:
        return np.array([str(g).encode() for g in facts.groups], dtype=object), []
    _, inverse, counts = np.unique(np.array([k.hex() for k in keys]), return_inverse=True, return_counts=True)
    twins = int((counts[inverse][free] > 1).sum()) if len(free) else 0
    if not facts.may_repeat or twins <= _REPEATING * len(free):
        return keys, []
    seen: dict[bytes, int] = {}
    for i, key in enumerate(keys):  # the k-th of equal rows has a key of its own
        seen[key] = seen.get(key, -1) + 1
        keys[i] = key + b"%d" % seen[key]
    return keys, [f"{twins:,} rows have a twin with the same content: rows repeat by nature here, so twins are split"]


def _split_off(
    rows: NDArray[np.int64], share: float, units: NDArray[np.object_], facts: RowFacts, salt: str
) -> NDArray[np.bool_]:
    """Return a mask over all rows: about `share` of `rows`, whole units, from every stratum."""
    off = np.zeros(len(facts.keys), bool)
    if facts.times is not None:
        off[_last(rows, facts.times, share)] = True
        return off
    strata = facts.strata if facts.strata is not None else np.zeros(len(off), np.int64)
    members: dict[bytes, list[int]] = {}
    for row in rows:
        members.setdefault(units[row], []).append(int(row))
    pools: dict[int, list[bytes]] = {}
    for unit, held in members.items():
        pools.setdefault(int(np.bincount(strata[held]).argmax()), []).append(unit)
    for pool in pools.values():
        ranked = sorted(pool, key=lambda unit: hashlib.blake2b(salt.encode() + b"\0" + unit, digest_size=12).digest())
        wanted = share * sum(len(members[unit]) for unit in pool)
        taken = 0
        for unit in ranked[: max(1, len(ranked) - 1)]:
            if taken and taken + len(members[unit]) / 2 > wanted:
                break
            off[members[unit]] = True
            taken += len(members[unit])
    return off


def _last(rows: NDArray[np.int64], times: NDArray[np.float64], share: float) -> NDArray[np.int64]:
    """Return the latest rows; rows of one moment stay on the earlier side."""
    ordered = rows[np.argsort(times[rows], kind="stable")]
    cut = times[ordered[len(ordered) - max(1, round(share * len(ordered))) - 1]]
    late: NDArray[np.int64] = ordered[times[ordered] > cut]
    return late


def _check_groups(places: Places, facts: RowFacts) -> None:
    if facts.groups is None:
        return
    held = {split: {str(g) for g in facts.groups[rows]} for split, rows in places.items()}
    for later in ("test", "val", "reserve"):
        for earlier in ("train", "val", "reserve"):
            both = sorted(held.get(later, set()) & held.get(earlier, set())) if later != earlier else []
            if both:
                raise DataError(
                    f"{facts.where}: {len(both):,} groups are in both {earlier} and {later}, the first is '{both[0]}'",
                    fix="let the splits be made here (no data.val_file, data.test_file), or unset data.group_by",
                )


def _check_twins(settings: DataSettings, places: Places, facts: RowFacts, notes: list[str]) -> tuple[Places, list[str]]:
    """Count rows with a twin on the other side of a split; an error unless declared, or unless rows repeat anyway."""
    keys = np.array([k.hex() for k in facts.keys])
    later = keys[places["test"]]
    seen = np.isin(later, np.concatenate([keys[rows] for split, rows in places.items() if split != "test"]))
    if not seen.any():
        return places, notes
    share = f"{seen.sum():,} of {len(later):,} test rows ({seen.mean():.1%})"
    if settings.duplicates == "drop":
        kept = {s: rows if s == "test" else rows[~np.isin(keys[rows], later)] for s, rows in places.items()}
        gone = sum(map(len, places.values())) - sum(map(len, kept.values()))
        return kept, [*notes, f"{gone:,} rows that equal a test row are left out of training (data.duplicates=drop)"]
    if settings.duplicates == "keep" or notes:
        return places, [*notes, f"{share} have the same content as some training or validation row"]
    first = int(seen.argmax()) + 1
    raise DataError(
        f"{facts.where}: {share} also stand among training or validation rows, the first is test row {first:,}",
        fix="data.duplicates=drop leaves them out of training, data.duplicates=keep declares them",
    )


def array_keys(*arrays: NDArray[Any]) -> list[bytes]:
    """Return a digest per row of one or several arrays (N, …); memory-mapped ones stay on disk."""
    return [hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=16).digest()
            for x in arrays for part in chunks(x) for row in part]  # fmt: skip


def given_splits(**sizes: int) -> NDArray[np.object_]:
    """Return the names of given splits by row, from the rows of each in order."""
    return np.concatenate([np.full(n, "" if split == "train" else split, dtype=object) for split, n in sizes.items()])


def check_classes(
    y: NDArray[np.int64], classes: tuple[str, ...], where: str, least: int = 3, ids: Sequence[str] = ()
) -> None:
    """Refuse data with one class, or with a class too rare to appear in every split; `ids` name the rows."""
    counts = np.bincount(y, minlength=len(classes))
    present = [i for i, n in enumerate(counts) if n]
    if len(present) < 2:
        only = classes[present[0]] if present else "none"
        raise DataError(f"{where}: only one class ({only}) in all {len(y):,} rows",
                        fix="a classifier needs rows of at least two classes")  # fmt: skip
    for i, n in enumerate(counts):
        if n < least:
            place = f", the first is {ids[int((y == i).argmax())]}" if n and len(ids) else ""
            raise DataError(
                f"{where}: class '{classes[i]}' has {n} rows{place}; train, val and test need {least}",
                fix="add rows of this class, or remove or merge it",
            )
