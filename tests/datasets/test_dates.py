"""ISO dates of tables: told from other cells, read as days, declared or not, the same in every split."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.core.contracts import NumericColumn
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import DataError
from pipeline.datasets import Prepared, prepare_dataset
from pipeline.datasets.dates import are_dates, days, first_day
from pipeline.datasets.leaks import id_like

RNG = np.random.default_rng(0)
DAYS = pd.date_range("2013-01-02", periods=300).strftime("%Y-%m-%d")


def cells(*texts: str | None) -> pd.Series:
    return pd.Series(texts, dtype=object)


def test_days_are_counted_from_the_start_of_a_day_in_utc() -> None:
    found = days(cells("2014-08-13", "2014-08-14T12:00", "2014-08-13 06:00:00.5", "2014-08-13T02:00:00+02:00", None,
                       "2014-02-30", "2014-08", "13.08.2014", "9999-12-31", "2014-08-12"), "2014-08-13")  # fmt: skip
    assert found[:4] == pytest.approx([0, 1.5, 0.25 + 0.5 / 86400, 0])
    assert np.isnan(found[4:8]).all()
    assert found[8:].tolist() == [(pd.Timestamp("9999-12-31") - pd.Timestamp("2014-08-13")).days, -1]


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (("2014-08-13", None, "2014-08-14 06:03:42"), True),
        (("2014-08-13T00:00Z", "2014-08-13T00:00+05:30"), True),
        (("2014-08-13T00:00Z", "2014-08-13T00:00"), False),  # nobody knows how far apart these are
        (("2014-08-13", "2014-13-08"), False),
        (("2014", "2015"), False),
        (("20140813", "20140814"), False),
        (("2014-08-13", "soon"), False),
        ((None, None), False),
        ((*DAYS[:60], "soon"), False),  # beyond the first cells
    ],
)
def test_a_column_holds_dates_where_all_known_cells_are(texts: tuple[str | None, ...], told: bool) -> None:
    assert are_dates(cells(*texts)) is told


def test_the_first_day_is_that_of_the_earliest_date() -> None:
    assert first_day(cells("2014-08-13 23:59", None, "2013-01-02T04:00", "2013-01-03")) == "2013-01-02"
    assert first_day(cells("1969-12-31 12:00")) == "1969-12-31"


def test_dates_of_their_own_in_each_row_name_no_row() -> None:
    frame = pd.DataFrame({"when": DAYS, "id": [f"r{i}" for i in range(300)]}, dtype=object)
    assert id_like(frame, ["when", "id"]) == ["id"]


def table(**more: Any) -> pd.DataFrame:
    when = RNG.choice(DAYS, 300)
    late = when > DAYS[150]
    return pd.DataFrame(
        {"when": when, "size": RNG.integers(0, 9, 300), "label": np.where(late, "late", "early")} | more
    )


def prepared(frame: pd.DataFrame, **more: Any) -> Prepared:
    frame.to_csv("rows.csv", index=False)
    given = {"name": "own", "format": "csv", "path": ".", "train_file": "rows.csv", "target": "label", "sensitive": {},
             "slices": {}, "duplicates": "keep"} | more  # fmt: skip
    return prepare_dataset(DataSettings(**given), 7)


def column(found: Prepared, name: str = "when") -> Any:
    return next(c for c in found.card.inputs.columns if c.name == name)  # type: ignore[union-attr]


def test_prepare_reads_dates_as_days_since_the_first_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = prepared(table())
    when, train = column(found), found.splits["train"]
    first = min(train.rows["raw.when"])
    assert isinstance(when, NumericColumn)
    assert when.since == first
    assert f"column 'when' holds dates and is read as days since {first}, the first in training" in found.card.notes
    for split in found.splits.values():
        wanted = (pd.to_datetime(split.rows["raw.when"]) - pd.Timestamp(first)).dt.days
        assert split.x[:, 0].tolist() == wanted.tolist()
    assert when.said(31.5) == (pd.Timestamp(first) + pd.Timedelta(days=31)).strftime("%Y-%m-%d")
    assert column(found, "size").said(3.25) == "3.25"


def test_the_declaration_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = table(other=RNG.choice(DAYS[:40], 300))
    found = prepared(frame, dates=())
    assert (column(found).kind, column(found, "other").kind) == ("categorical", "categorical")
    found = prepared(frame, dates=("other",))
    assert (column(found).kind, column(found, "other").kind) == ("categorical", "numeric")


def test_missing_dates_have_the_median_and_a_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frame = table()
    frame.loc[::5, "when"] = ""
    found = prepared(frame)
    train = found.splits["train"]
    gone = train.rows["raw.when"].isna().to_numpy()
    assert column(found).missing
    told = (
        f"{gone.sum():,} missing training values are filled with {column(found).said(column(found).median)} and marked"
    )
    assert f"column 'when': {told}" in found.card.notes
    assert "filled with 2013-" in told
    assert (train.x[:, -1] == gone).all()
    assert (train.x[gone, 0] == np.float32(column(found).median)).all()


@pytest.mark.parametrize(
    ("spoilt", "more", "message"),
    [
        ({"train": "soon"}, {"dates": ("when",)},
         "own: column 'when' (data.dates) has 1 training cells that are no ISO dates, the first is 'soon' at "
         "rows.csv:1\n  fix: repair the cells, or add their text to data.missing"),
        ({"train": "2013-05-05T00:00Z"}, {"dates": ("when",)},
         "own: column 'when' (data.dates) has dates with a time zone and without\n"
         "  fix: give all of them a zone, or none"),
        ({}, {"dates": ("wen",)},
         "rows.csv: no column 'wen' (data.dates)\n  fix: did you mean 'when'?"),
        ({"test": "2013-02-30"}, {},
         "own test: column 'when' is an ISO date in training, but not in 1 rows here, the first is '2013-02-30' at "
         "test.csv:1\n  fix: repair the cells, or add their text to data.missing, or read all dates as categories: "
         "data.dates=[]"),
    ],
)  # fmt: skip
def test_what_is_no_date_is_refused_with_its_place(
    spoilt: dict[str, str], more: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frame, test = table(), table()
    if "train" in spoilt:
        # Twins of the spoilt row stay on one side, so that it is a training row whatever the split.
        frame.loc[0, "when"] = spoilt["train"]
    test.loc[0, "when"] = spoilt.get("test", test.loc[0, "when"])
    test.to_csv("test.csv", index=False)
    with pytest.raises(DataError) as caught:
        prepared(frame, test_file="test.csv", val_fraction=0.05, **more)
    assert str(caught.value) == message
