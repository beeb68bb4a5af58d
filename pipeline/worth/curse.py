"""The winner's curse: what the search saw of its winner, what fresh rows and seeds see, what test rows see."""

from collections.abc import Iterator, Mapping

from pipeline.core.contracts import TASKS, Curse, CursePoint, DatasetCard, ModelCard, Number, SearchRecord
from pipeline.metrics.intervals import independent_gap, normal, proportion

FIRST_SEED = "seed 1"
"""The training whose network is handed on."""
_TRAINED = "trained, "
_AS_LONG = 0.95
"""Of the passes over the training rows."""


def curse_of(
    card: DatasetCard, search: SearchRecord, model: ModelCard, metrics: Mapping[str, Number], level: float
) -> Curse:
    """Return the winner as each set of rows shows it, and by how much its number in the search was too good.

    Validation and test rows are independent, so the interval of a difference is made of the limits of both (MOVER). A
    winner that was trained longer since differs by that too; then luck is what that network itself shows on both.
    """
    facts = TASKS[card.task]
    points = tuple(_points(card, search, model, level))
    test = CursePoint(label="test", score=test_score(card, metrics), quality=_test_quality(card, metrics))
    first, trained = points[0], next((point for point in points if point.label == _TRAINED + FIRST_SEED), None)
    by_quality = first.quality is not None and first.quality.ci_low is not None and test.quality is not None

    def better(point: CursePoint) -> Number:
        pair = (point.quality, test.quality) if by_quality else (test.score, point.score)
        return _gap(*pair, level)

    optimism, own = better(first), _gap(None, None, level) if trained is None else better(trained)
    longer = bool(model.seeds) and search.trial(search.best).epochs < _AS_LONG * model.seeds[0].passes
    return Curse(
        metric=facts.score,
        quality=facts.quality,
        points=(*points, test),
        optimism=optimism,
        own=own,
        longer=longer,
        optimism_of="quality" if by_quality else "score",
        words=_words(own if longer else optimism),
    )


def _gap(one: Number | None, two: Number | None, level: float) -> Number:
    if one is None or two is None or one.value is None or two.value is None:
        return Number(value=None, n=0, reason="not measured on both")
    return independent_gap(one, two, level)


def _words(optimism: Number) -> str:
    if optimism.value is None or optimism.ci_low is None or optimism.ci_high is None:
        return "whether validation rows flatter the winner cannot be told"
    if optimism.ci_low > 0:
        return "validation rows flatter the winner, by more than chance explains"
    if optimism.ci_high < 0:
        return "test rows are kinder to the winner than validation rows"
    return "validation rows are not shown to flatter the winner: the difference may be chance"


def _points(card: DatasetCard, search: SearchRecord, model: ModelCard, level: float) -> Iterator[CursePoint]:
    trial, val, reserve = search.trial(search.best), card.rows["val"], card.rows.get("reserve", 0)
    yield CursePoint(
        label="search, validation",
        score=None if trial.score is None else normal(trial.score, trial.standard_error, val, level),
        quality=_quality(card, trial.quality, val, level),
    )
    if trial.reserve_score is not None:
        yield CursePoint(label="search, reserve", score=normal(trial.reserve_score, None, reserve, level), quality=None)
    for k, (score, other) in enumerate(trial.repeats, 1):
        yield CursePoint(label=f"again {k}, validation", score=normal(score, None, val, level), quality=None)
        if other is not None:
            yield CursePoint(label=f"again {k}, reserve", score=normal(other, None, reserve, level), quality=None)
    for k, score in enumerate(trial.folds, 1):
        yield CursePoint(label=f"fold {k}", score=normal(score, None, search.fold_rows, level), quality=None)
    for training in model.seeds:
        yield CursePoint(
            label=_TRAINED + training.name,
            score=normal(training.val_score, training.standard_error, val, level),
            quality=_quality(card, training.val_quality, val, level),
        )


def _quality(card: DatasetCard, value: float | None, rows: int, level: float) -> Number | None:
    """Return the quality on so many rows, with an interval where it is a share of them."""
    if value is None:
        return None
    if card.task in ("binary", "multiclass"):
        return proportion(round(value * rows), rows, level)
    return Number(value=value, n=rows, reason="no interval: kept without its rows")


def _test_quality(card: DatasetCard, metrics: Mapping[str, Number]) -> Number | None:
    """Return the quality on test rows; the R² of forecasts in training deviations is none of the test's metrics."""
    return metrics.get(TASKS[card.task].quality)


def test_score(card: DatasetCard, metrics: Mapping[str, Number]) -> Number | None:
    """Return what the search minimises, on test rows, as far as a metric of the task is that."""
    match card.task:
        case "binary" | "multiclass" | "multilabel":
            return metrics.get("log_loss")
        case "forecast":
            return metrics.get("mse")
        case "regression":
            rmse = metrics.get("rmse")
            scale = card.targets[0].std if len(card.targets) == 1 else 1.0
            return None if rmse is None or rmse.value is None or scale == 0 else _squared(rmse, scale)


def _squared(rmse: Number, scale: float) -> Number:
    """Return the mean squared error in training deviations; of several targets rmse is in these already."""
    low, high = (None if limit is None else (limit / scale) ** 2 for limit in (rmse.ci_low, rmse.ci_high))
    assert rmse.value is not None
    return Number(value=(rmse.value / scale) ** 2, ci_low=low, ci_high=high, ci_level=rmse.ci_level,
                  ci_method=rmse.ci_method, n=rmse.n)  # fmt: skip
