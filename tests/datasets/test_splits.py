"""Who goes where: by content, group and time, whatever the order of the file; twins across splits are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets.splits import Places, RowFacts, array_keys, given_splits, split_rows


def plan(**changes: object) -> DataSettings:
    return DataSettings(**({"name": "t", "format": "csv", "sensitive": {}, "slices": {}} | changes))  # type: ignore[arg-type]


def facts(n: int, **changes: object) -> RowFacts:
    values = {"keys": array_keys(np.arange(n)), "given": given_splits(train=n), "where": "rows.csv"} | changes
    return RowFacts(**values)  # type: ignore[arg-type]


def sides(places: Places, n: int) -> list[str]:
    found = [""] * n
    for split, rows in places.items():
        for row in rows:
            assert not found[row], "a row stands in two splits"
            found[row] = split
    return found


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(30, 400))
def test_the_order_of_the_file_changes_nothing(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    strata = rng.integers(3, size=n)
    shuffled = rng.permutation(n)
    keys = array_keys(np.arange(n))
    first, _ = split_rows(plan(), 7, facts(n, strata=strata))
    second, _ = split_rows(plan(), 7, facts(n, keys=[keys[i] for i in shuffled], strata=strata[shuffled]))
    moved = sides(second, n)
    assert sides(first, n) == [moved[i] for i in np.argsort(shuffled)]


def test_shares_hold_in_every_class_and_every_class_reaches_both_sides() -> None:
    strata = np.array([0] * 970 + [1] * 30)
    places, notes = split_rows(plan(test_fraction=0.1, val_fraction=0.2), 1, facts(1000, strata=strata))
    assert np.bincount(strata[places["test"]]).tolist() == [97, 3]
    assert np.bincount(strata[places["val"]]).tolist() == [175, 5]
    assert not notes
    assert "reserve" not in places


def test_rows_added_later_move_few_of_the_others() -> None:
    before, _ = split_rows(plan(), 7, facts(1000))
    after, _ = split_rows(plan(), 7, facts(1100))
    moved = sum(a != b for a, b in zip(sides(before, 1000), sides(after, 1100), strict=False))
    assert moved < 60


def test_equal_rows_stay_together() -> None:
    content = np.concatenate([np.arange(500), np.arange(20)])
    places, _ = split_rows(plan(), 7, facts(520, keys=array_keys(content)))
    side = sides(places, 520)
    assert [side[i] for i in range(20)] == [side[500 + i] for i in range(20)]


def test_rows_that_repeat_by_nature_are_split_and_counted() -> None:
    content = np.arange(600) % 200
    places, notes = split_rows(plan(), 7, facts(600, keys=array_keys(content), may_repeat=True))
    assert len(places["test"]) == 120
    assert notes[0] == "600 rows have a twin with the same content: rows repeat by nature here, so twins are split"
    assert "have the same content as some training or validation row" in notes[1]


@pytest.fixture
def twins() -> RowFacts:
    content = np.concatenate([np.arange(100), np.arange(95, 120)])
    return facts(125, keys=array_keys(content), given=given_splits(train=100, test=25))


def test_given_test_rows_that_stand_in_training_are_an_error_unless_declared(twins: RowFacts) -> None:
    with pytest.raises(DataError) as caught:
        split_rows(plan(), 7, twins)
    assert str(caught.value) == (
        "rows.csv: 5 of 25 test rows (20.0%) also stand among training or validation rows, the first is test row 1\n"
        "  fix: data.duplicates=drop leaves them out of training, data.duplicates=keep declares them"
    )
    places, notes = split_rows(plan(duplicates="keep"), 7, twins)
    assert sum(map(len, places.values())) == 125
    assert notes == ["5 of 25 test rows (20.0%) have the same content as some training or validation row"]
    places, notes = split_rows(plan(duplicates="drop"), 7, twins)
    assert sum(map(len, places.values())) == 120
    assert len(places["test"]) == 25
    assert notes == ["5 rows that equal a test row are left out of training (data.duplicates=drop)"]


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_no_group_straddles(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.choice([f"person {i}" for i in range(25)], 300).astype(object)
    places, _ = split_rows(plan(), 7, facts(300, groups=groups))
    held = [set(groups[rows]) for rows in places.values()]
    assert sum(map(len, held)) == len(set(groups))
    assert sum(map(len, places.values())) == 300


def test_given_files_that_share_a_group_are_refused() -> None:
    groups = np.array(["a"] * 50 + ["b"] * 50, dtype=object)
    shared = facts(100, groups=groups, given=given_splits(train=60, test=40))
    with pytest.raises(DataError, match=r"1 groups are in both \w+ and test, the first is 'b'"):
        split_rows(plan(), 7, shared)


def test_time_decides_where_it_is_named_and_moments_are_not_parted() -> None:
    times = np.sort(np.random.default_rng(0).integers(0, 100, 1000)).astype(float)
    order = np.random.default_rng(1).permutation(1000)
    places, _ = split_rows(plan(), 7, facts(1000, times=times[order]))
    late = times[order]
    assert late[places["train"]].max() < late[places["val"]].min()
    assert late[places["val"]].max() < late[places["test"]].min()
    assert 150 < len(places["test"]) <= 200


def test_a_reserve_is_kept_where_it_is_large_enough() -> None:
    places, _ = split_rows(plan(), 7, facts(5000))
    assert len(places["reserve"]) == pytest.approx(0.33 * 600, abs=1)
    assert "reserve" not in split_rows(plan(reserve_fraction=0.0), 7, facts(5000))[0]
    assert "reserve" not in split_rows(plan(), 7, facts(500))[0]
