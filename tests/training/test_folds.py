"""Folds of few training rows: every row is held out once, and everything else is trained on."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.training.data import Data
from pipeline.training.folds import fold, fold_rows, folds_of
from tests.training.test_fit import DATA, stripes

FEW = Data(DATA.inputs, 2, stripes(50, 0), stripes(12, 1), task="binary", exchangeable=True)


def rows(x: np.ndarray) -> set[bytes]:
    return {row.tobytes() for row in x}


def test_each_training_row_is_held_out_once() -> None:
    assert folds_of(FEW) == 4
    parts = [fold(FEW, k, seed=7) for k in (1, 2, 3, 4)]
    assert [len(part.val.y) for part in parts] == [12] * 4
    assert fold_rows(50, 12) == 12
    held_out = [rows(part.val.x) for part in parts]
    assert len(set.union(*held_out)) == 48
    assert set.union(*held_out) < rows(FEW.train.x)
    for part, own in zip(parts, held_out, strict=True):
        assert rows(part.train.x) == (rows(FEW.train.x) | rows(FEW.val.x)) - own
        assert len(part.train.y) == 50


def test_classes_are_spread_evenly_over_folds() -> None:
    rare = replace(FEW.train, y=(np.arange(50) % 10 == 0).astype(np.int64))
    spread = [int(fold(replace(FEW, train=rare), k, seed=3).val.y.sum()) for k in (1, 2, 3, 4)]
    assert sum(spread) >= 3
    assert max(spread) - min(spread) <= 1


def test_labels_weights_and_groups_stay_with_their_rows() -> None:
    train, val = (replace(part, groups={"sex": part.y.astype(str)}) for part in (FEW.train, FEW.val))
    part = fold(replace(FEW, train=train, val=val), 2, seed=1)
    of = {row.tobytes(): int(y) for own in (FEW.train, FEW.val) for row, y in zip(own.x, own.y, strict=True)}
    for side in (part.train, part.val):
        assert [of[row.tobytes()] for row in side.x] == side.y.tolist()
        assert side.groups["sex"].tolist() == [str(y) for y in side.y]
    assert part.sensitive is part.val.groups


def test_folds_depend_on_the_seed_alone_and_are_made_once() -> None:
    again = replace(FEW)
    assert np.array_equal(fold(FEW, 1, seed=5).val.x, fold(again, 1, seed=5).val.x)
    assert not np.array_equal(fold(FEW, 1, seed=5).val.x, fold(FEW, 1, seed=6).val.x)
    assert fold(FEW, 1, seed=5) is fold(FEW, 1, seed=5)


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (replace(FEW, val=stripes(25, 1)), 2),
        (replace(FEW, val=stripes(17, 1)), 3),
        (replace(FEW, val=stripes(5, 1)), 4),
        (replace(FEW, reserve=stripes(100, 2)), 0),
        (replace(FEW, exchangeable=False), 0),
        (replace(FEW, val=stripes(251, 1)), 0),
        (replace(FEW, train=stripes(7, 1), val=stripes(2, 1)), 0),
        (replace(FEW, train=replace(FEW.train, weight=np.ones(50, np.float32))), 0),
    ],
)
def test_where_there_are_folds(data: Data, count: int) -> None:
    assert folds_of(data) == count
