"""Dates in new rows are the numbers they are in training; bad ones are refused and missing ones flagged, row by row."""

from pathlib import Path

import numpy as np
import pandas as pd

from tests.prediction.conftest import Train, Trained

RNG = np.random.default_rng(3)
DAYS = pd.date_range("2013-01-02", periods=200).strftime("%Y-%m-%d").to_numpy()


def dated(trained: Train) -> Trained:
    """Return a model of a table with a date that says nearly all."""
    when = RNG.choice(DAYS, 400)
    label = np.where(when > DAYS[100], "late", "early")
    pd.DataFrame({"when": when, "size": RNG.integers(0, 9, 400), "label": label}).to_csv("rows.csv", index=False)
    return trained({"kind": "mlp", "width": 8, "depth": 1, "dropout": 0.0}, format="csv", train_file="rows.csv",
                   target="label", duplicates="keep")  # fmt: skip


def test_test_rows_from_a_file_get_what_evaluate_computes(trained: Train) -> None:
    made = dated(trained)
    test = made.prepared.splits["test"].rows
    raw = pd.DataFrame({name: test[f"raw.{name}"] for name in ("when", "size")})
    raw.to_csv("new.csv", index=False)
    raw.assign(when=pd.to_datetime(raw["when"]), size=raw["size"].astype(int)).to_parquet("new.parquet", index=False)
    expected = made.expected()
    assert len(np.unique(expected[:, 0])) > 30  # the network reads the date
    for name in ("new.csv", "new.parquet"):
        got = made.model.predict(name)
        assert np.allclose(got[["p_early", "p_late"]], expected, atol=1e-6), name
        assert got["refused"].isna().all()


def test_bad_missing_and_far_dates(trained: Train) -> None:
    made = dated(trained)
    (when, _) = made.prepared.card.inputs.columns
    Path("new.csv").write_text(
        "when,size\n2013-03-01,5\n2013-02-30,5\n01.03.2013,5\n,5\n2019-07-01,5\n2013-03-01T12:00,5\n17,5\n"
    )
    got = made.model.predict("new.csv")
    what = "is no ISO date, such as 2014-08-13 or 2014-08-13T06:03:42"
    assert got["refused"].dropna().to_dict() == {
        1: f"when: '2013-02-30' {what}",
        2: f"when: '01.03.2013' {what}",
        6: f"when: '17' {what}",
    }
    low, high = min(made.prepared.splits["train"].rows["raw.when"]), max(made.prepared.splits["train"].rows["raw.when"])
    assert got["flag"].dropna().to_dict() == {
        3: f"when missing, {when.said(when.median)} stands in",
        4: f"when 2019-07-01, {low} to {high} in training",
    }
    assert when.said(when.median).startswith("2013-0")
    assert got.loc[[0, 3, 4, 5], "predicted"].notna().all()
