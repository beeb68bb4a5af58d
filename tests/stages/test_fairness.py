"""What fairness makes of stored predictions: every task has groups, and nothing is said of what cannot be."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.core.contracts import AuditFeature, DatasetCard, FairnessRecord, ForecastInputs, Target
from pipeline.core.errors import ConfigError
from pipeline.core.settings import FairnessSettings, FairnessSlice
from pipeline.core.strict import read
from pipeline.evaluation import RowErrors
from pipeline.fairness import audited
from pipeline.grouping.beside import Beside
from pipeline.grouping.reference import check_reference
from tests.reporting.records import TABLE

SETTINGS = FairnessSlice(seed=7, fairness=FairnessSettings(permutations=200))
SEX = AuditFeature(name="sex", role="sensitive", source="column 'sex'", groups=("f", "m"))
TOWN = AuditFeature(name="town", role="sensitive", source="column 'town'", groups=("north", "south"))


def card(task: str, **more: object) -> DatasetCard:
    known = {"classes": ("no", "yes"), "inputs": TABLE, "audit": (SEX, TOWN)} | more
    return DatasetCard(name="own", task=task, rows={}, class_rows={}, source_digest="", notes=(), **known)  # type: ignore[arg-type]


def people(n: int = 1200) -> pd.DataFrame:
    """Women who are positive get lower probabilities."""
    rng = np.random.default_rng(0)
    sex, town = rng.choice(["f", "m"], n), rng.choice(["north", "south"], n)
    y = rng.integers(2, size=n)
    p1 = 1 / (1 + np.exp(-rng.normal(2.4 * y - 1.2 - 0.9 * (sex == "f"))))
    return pd.DataFrame({"row_id": np.arange(n).astype(str), "y_true": y, "y_pred": (p1 >= 0.5).astype(int),
                         "p_0": 1 - p1, "p_1": p1, "audit.sex": sex, "audit.town": town,
                         "property.age": rng.integers(18, 80, n).astype(str)})  # fmt: skip


def beside(table: pd.DataFrame, *groups: str) -> Beside:
    constant = np.tile([0.9, 0.1], (len(table), 1))
    cuts = {"equalized_odds_gap": {"sex": dict(zip(groups, (0.35, 0.55), strict=False))}}
    return Beside(others={"majority_class": constant}, thresholds=cuts, limit=0.8)


def verdict(record: FairnessRecord, feature: str, metric: str) -> str:
    return next(a.verdict for a in record.audits if (a.feature, a.metric) == (feature, metric))


def test_two_classes_have_pairs_coverage_scores_slices_and_prices() -> None:
    table = people()
    record = audited(card("binary"), table, SETTINGS, beside(table, "f", "m"))
    assert {a.feature for a in record.audits} == {"sex", "town", "sex and town"}
    assert verdict(record, "sex", "true_positive_rate") == "disparity_found"
    assert verdict(record, "town", "true_positive_rate") == "insufficient_evidence"
    assert verdict(record, "sex", "coverage") in ("disparity_found", "insufficient_evidence")
    assert [s.group for s in record.scores] == ["f", "m", "north", "south"]
    assert record.slices is not None
    assert record.slices.properties == ("age", "sex", "town")
    first = record.trade_offs[0]
    assert [d.name for d in first.decisions] == ["this network", "majority class", "this network, thresholds by sex"]
    assert first.decisions[2].thresholds == {"f": 0.35, "m": 0.55}
    assert (first.decisions[2].gap.value or 1) < 0.5 * (first.decisions[0].gap.value or 0)
    assert "uses sex of every person decided about, which may be forbidden" in first.notes[0]
    parity = next(t for t in record.trade_offs if (t.feature, t.gap) == ("sex", "demographic_parity_gap"))
    assert parity.notes[0].startswith("no thresholds by sex")
    assert not any("pairs of features" in gone for gone in record.not_assessed)


def test_thresholds_that_do_not_know_a_group_are_left_out_by_name() -> None:
    table = people()
    record = audited(card("binary"), table, SETTINGS, beside(table, "f"))
    assert [d.name for d in record.trade_offs[0].decisions] == ["this network", "majority class"]
    assert any(gone.startswith("sex: no threshold for 'm', which ") for gone in record.not_assessed)


def test_no_sensitive_feature_is_not_assessed_whatever_else_there_is() -> None:
    table = people()
    light = replace(SEX, role="slice")
    record = audited(card("binary", audit=(light,)), table, SETTINGS, beside(table, "f", "m"))
    assert (record.scores, record.trade_offs) == ((), ())
    assert {a.metric for a in record.audits} == {"accuracy"}
    assert record.not_assessed[0].startswith("fairness towards people: no sensitive feature is declared")


def test_rows_of_one_person_are_counted_as_one() -> None:
    table = pd.concat([people()] * 4, ignore_index=True)
    plain = audited(card("binary"), people(), SETTINGS)
    whole = card("binary", unit="person")
    table["unit"] = np.tile(np.arange(1200), 4)
    record = audited(whole, table, SETTINGS)
    naive = audited(card("binary"), table, SETTINGS)
    width = {name: r.audits[0].gaps[0].gap for name, r in (("once", plain), ("known", record), ("naive", naive))}
    wide = {name: (gap.ci_high or 0) - (gap.ci_low or 0) for name, gap in width.items()}
    assert abs(wide["known"] - wide["once"]) < 0.05 * wide["once"]
    assert wide["naive"] < 0.6 * wide["once"]


def test_forecasts_are_compared_by_series_not_by_window() -> None:
    rng = np.random.default_rng(1)
    series = np.repeat(np.arange(80), 30)
    kind = np.where(series % 2 == 0, "f", "m")
    error = np.abs(rng.normal(size=80))[series] + 0.05 * rng.random(2400)
    table = pd.DataFrame({"row_id": [f"s{s} @ {i}" for i, s in enumerate(series)], "absolute_error": error,
                          "signed_error": error, "forecast": error, "audit.sex": kind})  # fmt: skip
    inputs = ForecastInputs(channels=("y",), targets=1, known=0, window=4, horizon=2, season=None)
    about = card("forecast", classes=(), audit=(SEX,), inputs=inputs, targets=(Target(name="y", mean=0.0, std=1.0),))
    record = audited(about, table, SETTINGS)
    assert [rate.rate.n for rate in record.audits[0].groups] == [40, 40]
    assert verdict(record, "sex", "absolute_error") == "insufficient_evidence"
    table["absolute_error"] += 2.0 * (kind == "m")
    assert verdict(audited(about, table, SETTINGS), "sex", "absolute_error") == "disparity_found"


def errors_of(table: pd.DataFrame) -> RowErrors:
    """Every second row, as it is and under two corruptions: severity s of `noise` turns s tenths of women wrong."""
    rows = np.arange(0, len(table), 2)
    clean = (table["y_true"] != table["y_pred"]).to_numpy(float)[rows]
    women = (table["audit.sex"] == "f").to_numpy()[rows]
    draw = np.random.default_rng(5).random(len(rows))
    noise = np.stack([np.where(women & (draw < s / 10), 1.0, clean) for s in range(1, 6)])
    return RowErrors("wrong", rows, clean, {"noise": noise, "blur": np.tile(clean, (5, 1))})


def test_what_corruptions_cost_is_compared_at_the_declared_severity() -> None:
    table = people()
    known = replace(beside(table, "f", "m"), errors=errors_of(table))
    record = audited(card("binary"), table, SETTINGS, known)
    assert [(a.feature, a.metric) for a in record.drops] == [
        (feature, f"accuracy lost to {name}") for feature in ("sex", "town") for name in ("noise", "blur")
    ]
    assert [a.verdict for a in record.drops] == ["disparity_found"] + 3 * ["insufficient_evidence"]
    mild, severe = (
        audited(card("binary"), table, replace(SETTINGS, fairness=replace(SETTINGS.fairness, severity=s)), known)
        for s in (1, 5)
    )
    lost = [r.drops[0].groups[0].rate.value or 0.0 for r in (mild, record, severe)]
    assert lost[0] < lost[1] < lost[2]
    assert sum(rate.rate.n for rate in record.drops[0].groups) == 600
    assert (record.severity, mild.severity) == (3, 1)
    assert record.notes[-1].startswith("what corruptions cost is that of 600 test rows at severity 3 of 5")
    assert not any("robustness by group" in gone for gone in record.not_assessed)


def test_without_corruptions_robustness_by_group_is_not_assessed() -> None:
    table = people()
    record = audited(card("binary"), table, SETTINGS, beside(table, "f", "m"))
    assert (record.drops, record.severity) == ((), None)
    assert "robustness by group: no corruption was tried (evaluate.robustness)" in record.not_assessed


def test_a_severity_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        read(FairnessSettings, {"severity": 6}, "fairness")
    assert str(caught.value) == "fairness: severity must lie between 1 and 5"


def test_numbers_and_forecasts_have_distributions_in_the_family_of_tests() -> None:
    rng, n = np.random.default_rng(2), 400
    sex = np.where(np.arange(n) % 2 == 0, "f", "m")
    true = rng.normal(100, 10, n)
    table = pd.DataFrame({"row_id": np.arange(n).astype(str), "y_true_0": true, "audit.sex": sex,
                          "y_pred_0": true + rng.normal(0, np.where(sex == "f", 1.0, 4.0))})  # fmt: skip
    about = card("regression", classes=(), audit=(SEX,), targets=(Target(name="pay", mean=100.0, std=10.0),))
    record = audited(about, table, SETTINGS)
    found = {(d.of, d.group): d for d in record.distributions}
    assert list(found) == [("predictions", "f"), ("predictions", "m"), ("errors", "f"), ("errors", "m")]
    assert found["predictions", "m"].verdict == "insufficient_evidence"
    assert found["errors", "m"].verdict == "disparity_found"
    assert found["errors", "m"].distance.unit == "target"
    assert found["errors", "m"].distance.value == pytest.approx(3 * np.sqrt(2 / np.pi), rel=0.2)  # of two normal ones
    assert record.tests == 4 + 4
    assert any(note.startswith("distributions (of single rows)") for note in record.notes)
    series = pd.DataFrame({"row_id": [f"s{i // 5} @ {i}" for i in range(n)], "audit.sex": sex[np.arange(n) // 5],
                           "absolute_error": 1.0, "signed_error": true, "forecast": true})  # fmt: skip
    inputs = ForecastInputs(channels=("y",), targets=1, known=0, window=4, horizon=2, season=None)
    spread = audited(replace(about, task="forecast", inputs=inputs), series, SETTINGS).distributions
    assert [(d.of, d.statistic.n, d.distance.unit) for d in spread[:2]] == [
        ("predictions", 40, "training standard deviations")
    ] * 2


def test_classes_have_no_distributions() -> None:
    table = people()
    assert audited(card("binary"), table, SETTINGS, beside(table, "f", "m")).distributions == ()


def splits_of(train: float) -> dict[str, pd.DataFrame]:
    """Training rows with this share of women, validation rows half and half."""
    shares = {"train": train, "val": 0.5}
    return {split: pd.DataFrame({"row_id": np.arange(2000).astype(str), "audit.town": "north",
                                 "audit.sex": np.where(np.arange(2000) < 2000 * share, "f", "m")})
            for split, share in shares.items()}  # fmt: skip


def test_every_split_is_held_against_the_declared_shares() -> None:
    table = people()
    known = replace(beside(table, "f", "m"), splits=splits_of(0.4))
    declared = replace(SETTINGS, fairness=replace(SETTINGS.fairness, reference={"sex": {"f": 0.5, "m": 0.5}}))
    record = audited(card("binary"), table, declared, known)
    assert [(one.feature, one.split, one.verdict) for one in record.representation] == [
        ("sex", "train", "disparity_found"),
        ("sex", "val", "insufficient_evidence"),
        ("sex", "test", "insufficient_evidence"),
        ("town", "train", "not_assessed"),
        ("town", "val", "not_assessed"),
        ("town", "test", "not_assessed"),
    ]
    assert record.representation[0].shares[0].reference == 0.5
    gone = "whether the data represent those the model is for, by"
    why = "no reference shares are declared (fairness.reference)"
    assert f"{gone} town: {why}" in record.not_assessed
    plain = audited(card("binary"), table, SETTINGS, known)
    assert f"{gone} sex, town: {why}" in plain.not_assessed
    assert record.tests == plain.tests + 3


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ({"sxe": {"f": 1.0}}, "fairness.reference: 'sxe' is no sensitive feature of these data\n"
                              "  fix: did you mean 'sex'?"),
        ({"zzz": {"f": 1.0}}, "fairness.reference: 'zzz' is no sensitive feature of these data\n"
                              "  fix: one of: sex, town"),
        ({"town": {"noth": 0.5, "south": 0.5}}, "fairness.reference.town: 'noth' is no group of town\n"
                                                "  fix: did you mean 'north'?"),
        ({"sex": {"f": 0.5, "x": 0.5}}, "fairness.reference.sex: 'x' is no group of sex\n  fix: some of: f, m"),
        ({"sex": {"f": 0.51, "m": 0.47}}, "fairness.reference.sex: the shares add up to 0.98, not to 1\n"
                                          "  fix: leave out groups without a reference, and let the shares of the "
                                          "others add up to 1"),
        ({"sex": {"f": 1.2, "m": -0.2}}, "fairness.reference.sex.f: 1.2 is no share\n"
                                         "  fix: give a number above 0, up to 1"),
        ({"sex": {"f": 1.0}}, "fairness.reference.sex: one group alone has no share\n  fix: name two groups at least"),
    ],
)  # fmt: skip
def test_references_that_fit_nothing_are_refused(reference: dict[str, dict[str, float]], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_reference(card("binary"), FairnessSettings(reference=reference))
    assert str(caught.value) == words


def test_a_reference_without_sensitive_features_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        check_reference(card("binary", audit=()), FairnessSettings(reference={"sex": {"f": 0.5, "m": 0.5}}))
    assert str(caught.value) == (
        "fairness.reference: 'sex' is no sensitive feature of these data\n  fix: declare it in data.sensitive"
    )
