"""Series to forecast, prepared: no target step in two splits, nothing fitted on later steps, no future among inputs."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from pipeline.core.contracts import ForecastInputs
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets import Prepared, prepare_dataset
from pipeline.datasets.forecast_tables import OneSeries
from pipeline.datasets.forecasts import pack_series, scales_of, stretches

RNG = np.random.default_rng(4)
NOISE = RNG.normal(10, 3, 400)


def settings(**changes: Any) -> DataSettings:
    given: dict[str, Any] = {"name": "f", "format": "forecast", "target": "load", "train_file": "a.csv", "horizon": 4,
                             "window": 10, "sensitive": {}, "slices": {}}  # fmt: skip
    return DataSettings(**(given | changes))


def prepare(folder: Path, frame: pd.DataFrame, **changes: Any) -> Prepared:
    frame.to_csv(folder / "a.csv", index=False)
    return prepare_dataset(settings(path=str(folder), **changes), 7)


@st.composite
def shapes(draw: st.DrawFn) -> tuple[list[OneSeries], ForecastInputs, DataSettings]:
    window, horizon = draw(st.integers(1, 20)), draw(st.integers(1, 12))
    lengths = draw(st.lists(st.integers(30, 500), min_size=1, max_size=3))
    given = draw(st.one_of(st.just(0), st.integers(horizon, 40)))
    declared = settings(
        window=window, horizon=horizon, reserve_fraction=draw(st.sampled_from([0.0, 0.33, 0.5])),
        val_fraction=draw(st.floats(0.05, 0.4)), test_fraction=draw(st.floats(0.05, 0.4)),
    )  # fmt: skip
    # A series holds the number of each of its steps, so that packed values tell where they come from.
    series = [OneSeries(f"s{k}", np.arange(n, dtype=float)[None], [str(i) for i in range(n)], given)
              for k, n in enumerate(lengths)]  # fmt: skip
    inputs = ForecastInputs(channels=("load",), targets=1, known=0, window=window, horizon=horizon, season=None)
    for one in series:
        test = given or max(horizon, round(declared.test_fraction * one.values.shape[1]))
        val = max(horizon, round(declared.val_fraction * (one.values.shape[1] - test)))
        assume(one.values.shape[1] - test - val >= window + horizon)
    return series, inputs, declared


@limits(max_examples=60)
@given(shape=shapes())
def test_no_target_step_is_in_two_splits_and_windows_end_before_their_targets(
    shape: tuple[list[OneSeries], ForecastInputs, DataSettings],
) -> None:
    series, inputs, declared = shape
    parts, _ = pack_series(series, scales_of(series, inputs, declared, "a.csv"), inputs, declared)
    targets: dict[str, set[tuple[str, int]]] = {}
    for split, part in parts.items():
        assert part.columns is not None
        held = targets.setdefault(split, set())
        for row, (start, name) in enumerate(zip(part.y, part.ids, strict=True)):
            offset, scale = part.columns["offset.0"].iloc[row], part.columns["scale.0"].iloc[row]
            steps = np.round(part.x[0, start - inputs.window : start + inputs.horizon] * scale + offset).astype(int)
            of, first = name.split(" @ ")
            assert steps.tolist() == list(range(int(first) - inputs.window, int(first) + inputs.horizon))
            held |= {(of, int(step)) for step in steps[inputs.window :]}
    for split, held in targets.items():
        assert held, split
        for other, more in targets.items():
            assert split == other or not held & more
    for one in series:  # splits follow each other in time, and no forecast of a split is left out
        ends = [stretch for _, stretch in sorted((s[0], s) for s in stretches(one, declared).values())]
        assert [a[1] for a in ends[:-1]] == [b[0] for b in ends[1:]]
        wanted = set(range(inputs.window, one.values.shape[1]))
        assert {step for held in targets.values() for name, step in held if name == one.name} == wanted


@limits(max_examples=20)
@given(shape=shapes())
def test_scaling_uses_training_steps_alone(shape: tuple[list[OneSeries], ForecastInputs, DataSettings]) -> None:
    series, inputs, declared = shape
    parts, targets = pack_series(series, scales_of(series, inputs, declared, "a.csv"), inputs, declared)
    later = []
    for one in series:
        end = stretches(one, declared)["train"][1]
        later.append(OneSeries(one.name, np.where(np.arange(one.values.shape[1]) < end, one.values, -1e6), one.steps,
                               one.given))  # fmt: skip
    again, same = pack_series(later, scales_of(later, inputs, declared, "a.csv"), inputs, declared)
    assert same == targets
    assert np.array_equal(again["train"].x, parts["train"].x)
    held, before = again["train"].columns, parts["train"].columns
    assert held is not None
    assert held.equals(before)
    stretch = stretches(series[0], declared)["train"][1]
    assert held["offset.0"].iloc[0] == pytest.approx((stretch - 1) / 2)


def frame(**more: Any) -> pd.DataFrame:
    return pd.DataFrame({"load": NOISE} | more)


def shifted(ahead: int) -> np.ndarray:
    """Return the load so many steps later, noise at the end."""
    return np.concatenate([NOISE[ahead:], RNG.normal(10, 3, ahead)])


@pytest.mark.parametrize("ahead", [1, 3, 4])
def test_a_planted_future_window_is_refused(tmp_path: Path, ahead: int) -> None:
    with pytest.raises(DataError) as caught:
        prepare(tmp_path, frame(plan=shifted(ahead)), channels=("plan",))
    assert str(caught.value) == (
        f"{tmp_path}/a.csv: 'plan' equals 'load' {ahead} steps later: it tells the future\n"
        "  fix: leave it out of data.channels and data.known"
    )


def test_a_known_channel_may_not_be_the_target(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'copy' equals 'load' 0 steps later"):
        prepare(tmp_path, frame(copy=NOISE), known=("copy",))


def test_the_past_and_what_lies_beyond_the_horizon_are_no_leaks(tmp_path: Path) -> None:
    past = np.concatenate([RNG.normal(10, 3, 2), NOISE[:-2]])
    prepared = prepare(tmp_path, frame(past=past, copy=NOISE, far=shifted(5)), channels=("past", "copy", "far"))
    assert prepared.card.inputs.kind == "forecast"
    assert prepared.card.inputs.channels == ("load", "past", "copy", "far")


def test_missing_values_are_counted_and_stay_missing(tmp_path: Path) -> None:
    loads = [v if i not in (7, 30, 31) else None for i, v in enumerate(NOISE)]
    prepared = prepare(tmp_path, pd.DataFrame({"load": loads}))
    assert "'load': 3 values are missing: the last known one stands in, none is a truth" in prepared.card.notes
    train = prepared.splits["train"].x
    assert np.flatnonzero(np.isnan(train[0])).tolist() == [7, 30, 31]


def test_a_window_without_any_truth_is_left_out(tmp_path: Path) -> None:
    whole = prepare(tmp_path, frame()).splits["train"]
    holes = [v if i not in range(40, 50) else None for i, v in enumerate(NOISE)]
    cut = prepare(tmp_path, pd.DataFrame({"load": holes})).splits["train"]
    gone = set(whole.rows["row_id"]) - set(cut.rows["row_id"])
    assert gone == {f"f @ line {i + 2}" for i in range(40, 47)}


def test_series_that_are_too_short_are_refused_by_name(tmp_path: Path) -> None:
    rows = [("long", i, v) for i, v in enumerate(NOISE)] + [("short", i, v) for i, v in enumerate(NOISE[:20])]
    both = pd.DataFrame(rows, columns=["id", "t", "load"])
    with pytest.raises(DataError) as caught:
        prepare(tmp_path, both, series_id="id", time="t")
    assert str(caught.value) == (
        f"{tmp_path}/a.csv: series 'short' has 12 training steps, a window of 10 and a horizon of 4 need 14\n"
        "  fix: lower data.window or data.horizon, or leave the series out"
    )


@pytest.mark.parametrize("window", [None, 3])
def test_a_series_that_its_test_and_val_use_up_is_refused_by_name(tmp_path: Path, window: int | None) -> None:
    with pytest.raises(DataError, match=r"series 'f' has 30 steps: 16 for test and 16 for val leave none for training"):
        prepare(tmp_path, frame().head(30), horizon=16, window=window)


def test_a_series_without_known_training_steps_is_refused_by_name(tmp_path: Path) -> None:
    rows = [("a", i, v) for i, v in enumerate(NOISE)] + [("b", i, v if i > 300 else None) for i, v in enumerate(NOISE)]
    both = pd.DataFrame(rows, columns=["id", "t", "load"])
    with pytest.raises(DataError, match="series 'b': 'load' has no known training steps"):
        prepare(tmp_path, both, series_id="id", time="t")


def test_declared_steps_leave_the_rest_unused_and_too_many_are_refused(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, frame(), steps=(200, 50, 60))
    assert prepared.card.rows == {"train": 187, "val": 47, "test": 57}
    with pytest.raises(DataError, match=r"series 'f' has 400 steps, data\.steps need 410"):
        prepare(tmp_path, frame(), steps=(300, 50, 60))


def test_a_wide_file_with_a_given_test_tests_on_it_alone(tmp_path: Path) -> None:
    table = pd.DataFrame([[f"H{k}", *NOISE[k : k + 90].round(4)] for k in range(3)])
    table.columns = ["id", *(f"V{i}" for i in range(90))]
    table.iloc[:, :81].to_csv(tmp_path / "train.csv", index=False)
    table.iloc[:, [0, *range(81, 91)]].to_csv(tmp_path / "test.csv", index=False)
    given = settings(
        path=str(tmp_path), train_file="train.csv", test_file="test.csv", series_layout="wide", target=None
    )
    prepared = prepare_dataset(given, 7)
    assert prepared.card.rows["test"] == 3 * 7
    rows = prepared.splits["test"].rows
    assert list(rows["row_id"][:3]) == ["H0 @ 81", "H0 @ 82", "H0 @ 83"]
    first = prepared.splits["test"].x[0, prepared.splits["test"].y[0]]
    assert first * rows["raw.scale.0"][0] + rows["raw.offset.0"][0] == pytest.approx(NOISE[80], abs=1e-3)
