"""Labelled series and forecasts: how a line is understood, what is written, that prepare runs on it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.init.helpers import found, init, prepared, written

Capture = pytest.CaptureFixture[str]
RNG = np.random.default_rng(4)


def steps(rows: int = 40, prefix: str = "t") -> pd.DataFrame:
    """Return a wide table: 24 steps, an id, a label."""
    values = RNG.normal(size=(rows, 24)).cumsum(axis=1).round(3)
    frame = pd.DataFrame(values, columns=[f"{prefix}{i + 1}" for i in range(24)])
    frame.insert(0, "kind", ["up", "down"] * (rows // 2))
    return frame


def lines_of(series: int = 30, length: int = 12) -> pd.DataFrame:
    """Return a long table: a line per series and time."""
    return pd.DataFrame(
        {
            "case_id": np.repeat([f"s{i}" for i in range(series)], length),
            "step": np.tile(range(length), series),
            "speed": RNG.normal(size=series * length).round(3),
            "force": RNG.normal(size=series * length).round(3),
            "fault": np.repeat(["yes" if i % 3 else "no" for i in range(series)], length),
        }
    )


def hours(rows: int = 600) -> pd.DataFrame:
    """Return a table with a line per hour."""
    day = np.sin(np.arange(rows) * 2 * np.pi / 24)
    return pd.DataFrame(
        {
            "moment": pd.date_range("2024-01-01", periods=rows, freq="h").astype(str),
            "load": (day + RNG.normal(0, 0.1, rows)).round(4),
            "wind": RNG.normal(size=rows).round(4),
            "note": "x",
        }
    )


def ts(path: Path, labels: list[str], head: str) -> None:
    rows = "\n".join(f"{','.join(f'{v:.3f}' for v in RNG.normal(size=9))}:{label}" for label in labels)
    path.write_text(f"@problemName T\n{head}\n@data\n{rows}\n")


def test_ts_files(capsys: Capture) -> None:
    for part in ("TRAIN", "TEST"):
        ts(Path(f"raw/Steps_{part}.ts"), ["1", "2"] * 20, "@classLabel true 1 2")
        ts(Path(f"raw/Steps_eq_{part}.ts"), ["1", "2"] * 20, "@classLabel true 1 2")
    lines = init(capsys, "raw", "name=steps")
    assert lines[0] == "steps: 80 series; binary, 2 classes in 'label'"
    assert (
        found(lines, "not used: ") == "not used: Steps_eq_TEST.ts, Steps_eq_TRAIN.ts; give the path of a file to use it"
    )
    assert not [line for line in lines if "task=regression" in line]
    card = prepared("steps")
    assert (card.inputs.kind, sum(card.rows.values()), written("steps")["val_fraction"]) == ("series", 80, 0.25)


def test_the_head_of_a_ts_file_decides_the_task(capsys: Capture) -> None:
    ts(Path("raw/many_TRAIN.ts"), [str(i) for i in range(24)] * 4, "@classLabel true " + " ".join(map(str, range(24))))
    ts(Path("raw/few_TRAIN.ts"), [str(i) for i in range(4)] * 20, "@targetLabel true")
    assert init(capsys, "raw/many_TRAIN.ts", "name=many")[0].endswith("multiclass, 24 classes in 'label'")
    assert init(capsys, "raw/few_TRAIN.ts", "name=few")[0].endswith("regression of 'label'")
    assert (prepared("many").task, prepared("few").task) == ("multiclass", "regression")


def test_a_line_per_series(capsys: Capture) -> None:
    steps().to_csv("raw/wide.csv", index=False)
    lines = init(capsys, "raw/wide.csv", "target=kind")
    assert lines[0] == "wide: 40 series; binary, 2 classes in 'kind'"
    assert "a line per series: 24 steps, t1 to t24" in lines
    assert "hint: say format=csv if the columns are features of a row, not steps of a series" in lines
    assert prepared("wide").inputs.kind == "series"
    assert init(capsys, "raw/wide.csv", "format=csv", "name=flat")[0].startswith("flat: 40 rows, 25 columns")
    assert prepared("flat").inputs.kind == "table"


def test_steps_named_by_numbers_alone_and_an_id(capsys: Capture) -> None:
    frame = steps(60, prefix="")
    frame.insert(0, "name", [f"n{i}" for i in range(60)])
    frame.to_csv("raw/numbered.csv", index=False)
    init(capsys, "raw/numbered.csv", "target=kind")
    keys = written("numbered")
    assert (keys["format"], keys["series_layout"], keys["series_id"]) == ("series", "wide", "name")
    assert sum(prepared("numbered").rows.values()) == 60


@pytest.mark.parametrize("change", [{"prefix": "feature"}, {"more": True}])
def test_columns_that_are_no_steps_make_a_table(change: dict[str, object], capsys: Capture) -> None:
    frame = steps(prefix=str(change.get("prefix", "t")))
    if "more" in change:
        frame["weight"] = RNG.normal(size=len(frame)).round(3)
    frame.to_csv("raw/f.csv", index=False)
    init(capsys, "raw/f.csv", "target=kind")
    assert prepared("f").inputs.kind == "table"
    if "prefix" in change:
        init(capsys, "raw/f.csv", "target=kind", "format=series", "name=asked")
        assert prepared("asked").inputs.kind == "series"


def test_a_line_per_moment(capsys: Capture) -> None:
    lines_of().to_csv("raw/long.csv", index=False)
    lines = init(capsys, "raw/long.csv", "target=fault")
    assert lines[0] == "long: 30 series; binary, 2 classes in 'fault'"
    assert "12 steps, channels speed, force" in lines
    assert "a line per moment: series by 'case_id', steps by 'step'" in lines
    init(capsys, "raw/long.csv", "target=fault", "id=case_id", "time=step", "name=said")
    assert {k: v for k, v in written("said").items() if k != "name"} == {
        k: v for k, v in written("long").items() if k != "name"
    }
    assert sum(prepared("long").rows.values()) == 30


def test_a_target_that_changes_within_the_series_makes_a_table(capsys: Capture) -> None:
    lines_of().assign(fault=lambda f: RNG.choice(["a", "b"], len(f))).to_csv("raw/rows.csv", index=False)
    init(capsys, "raw/rows.csv", "target=fault")
    assert prepared("rows").inputs.kind == "table"


def test_a_forecast_from_one_table(capsys: Capture) -> None:
    hours().to_csv("raw/load.csv", index=False)
    lines = init(capsys, "raw/load.csv", "target=load", "horizon=6")
    assert lines[0] == "load: 1 series of 600 steps; forecast, 6 steps ahead"
    assert "season 24 (a step is an hour, a season a day); data.season takes another" in lines
    assert "forecasts load; looks back on wind as well" in lines
    assert "not read: note" in lines
    card = prepared("load")
    assert (card.task, card.inputs.channels) == ("forecast", ("load", "wind"))  # type: ignore[union-attr]
    assert card.inputs.season == 24  # type: ignore[union-attr]
    window = found(lines, "looks back on ").split()[3]
    assert card.inputs.window == int(window)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("freq", "season"), [("15min", 96), ("h", 24), ("D", 7), ("MS", 12), ("ME", 12), ("QS", 4), ("s", None)]
)
def test_the_season_follows_the_step(freq: str, season: int | None, capsys: Capture) -> None:
    frame = hours(500)
    frame["moment"] = pd.date_range("1890-01-01", periods=500, freq=freq).astype(str)
    frame.to_csv("raw/s.csv", index=False)
    init(capsys, "raw/s.csv", "target=load", "horizon=4")
    assert written("s").get("season") == season


def test_gaps_and_what_tells_the_future(capsys: Capture) -> None:
    frame = hours().assign(later=lambda f: f["load"].shift(-2, fill_value=0.0)).drop(index=[50, 51])
    frame.to_csv("raw/gaps.csv", index=False)
    lines = init(capsys, "raw/gaps.csv", "target=load", "horizon=6")
    assert "WARNING tells the future of the target, left out: later" in lines
    assert found(lines, "WARNING 1 gaps, 2 steps in all")
    assert (written("gaps")["gaps"], written("gaps")["channels"]) == ("fill", ["wind"])
    prepared("gaps")


def test_several_series_below_each_other(capsys: Capture) -> None:
    frame = pd.concat([hours(300).assign(shop="a"), hours(300).assign(shop="b")])
    frame.to_csv("raw/shops.csv", index=False)
    lines = init(capsys, "raw/shops.csv", "target=load", "horizon=6")
    assert lines[0].startswith("shops: 2 series of 300 steps")
    assert "in the order of 'moment', a series per 'shop'" in lines
    prepared("shops")


def test_a_forecast_of_a_line_per_series(capsys: Capture) -> None:
    values = RNG.normal(size=(5, 130)).cumsum(axis=1).round(2)
    for name, part in (("Daily-train", values[:, :120]), ("Daily-test", values[:, 120:])):
        frame = pd.DataFrame(part, columns=[f"V{i + 2}" for i in range(part.shape[1])])
        frame.insert(0, "V1", [f"D{i}" for i in range(5)])
        frame.to_csv(f"raw/{name}.csv", index=False)
    lines = init(capsys, "raw", "horizon=10", "name=m")
    assert lines[0] == "m: 5 series of 130 steps; forecast, 10 steps ahead"
    assert "season 7 (by 'daily' in the file's name); data.season takes another" in lines
    assert "Daily-test.csv: 10 more steps of each, for testing" in lines
    assert prepared("m").rows["test"] == 5
