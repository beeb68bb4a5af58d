"""Predictions + groups → rates by group, gaps, verdicts, and what a smaller gap costs; nothing is predicted again."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipeline.core.contracts import DatasetCard, FairnessRecord, Scores
from pipeline.core.errors import DataError
from pipeline.core.settings import FairnessSlice
from pipeline.core.store import EVALUATE, FAIRNESS, FIT, TRAIN, fresh_folder, missing, read_record, write_json
from pipeline.grouping.beside import Beside, beside_of
from pipeline.stage import run_stage

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from pipeline.core.contracts import TradeOff
    from pipeline.metrics.disparity import Groups
    from pipeline.metrics.verdicts import Also

log = logging.getLogger("pipeline.fairness")


def audited(
    card: DatasetCard, table: "pd.DataFrame", settings: FairnessSlice, beside: Beside | None = None
) -> FairnessRecord:
    """Return rates, or mean errors where numbers are predicted, by group; one line of `table` is one test row."""
    import numpy as np

    from pipeline.grouping.also import also_compared, unit_of, with_notes
    from pipeline.metrics.disparity import audit
    from pipeline.metrics.mean_gaps import audit_values
    from pipeline.metrics.pairs import with_pairs

    groups = {feature.name: table[f"audit.{feature.name}"].to_numpy(object) for feature in card.audit}
    features, groups, uncrossed = with_pairs(card.audit, groups)
    chosen, seed, unit = settings.fairness, settings.seed, unit_of(card, table)
    beside = beside or Beside()
    also = also_compared(card, table, groups, beside, settings, unit)
    match card.task:
        case "binary" | "multiclass":
            record = _of_classes(card, table, settings, beside, (features, groups, unit, also))
        case "multilabel":
            count = len(card.classes)
            true = table[[f"y_true_{k}" for k in range(count)]].to_numpy()
            claimed = table[[f"p_{k}" for k in range(count)]].to_numpy() >= 0.5
            right = (true == claimed).all(axis=1).astype(np.int64)
            record = audit(features, groups, np.ones_like(right), right, (), chosen, seed, unit=unit, also=also)
            record = replace(record, notes=(*record.notes, "accuracy is the share of rows with every label right"))
        case "regression":
            scale = np.array([target.std for target in card.targets])
            truth, values = (table[[f"{y}_{k}" for k in range(len(scale))]].to_numpy() for y in ("y_true", "y_pred"))
            error = (values - truth) / (scale if len(scale) > 1 else 1.0)
            errors = {"absolute_error": np.abs(error).mean(axis=1), "signed_error": error.mean(axis=1)}
            record = audit_values(features, groups, errors, chosen, seed, unit, also)
        case "forecast":
            errors = {name: table[name].to_numpy() for name in ("absolute_error", "signed_error")}
            record = audit_values(features, groups, errors, chosen, seed, unit, also)
    return with_notes(replace(record, not_assessed=(*record.not_assessed, *uncrossed)), card, beside, chosen)


def _of_classes(
    card: DatasetCard,
    table: "pd.DataFrame",
    settings: FairnessSlice,
    beside: Beside,
    who: "tuple[tuple[Any, ...], Groups, NDArray[np.int64] | None, Also]",
) -> FairnessRecord:
    """Return all that can be said of classes that exclude each other.

    `who`: features, groups of rows, units, and what else is compared.
    """
    import numpy as np

    from pipeline.core.seeds import stream
    from pipeline.metrics.conformal import class_sets
    from pipeline.metrics.disparity import audit
    from pipeline.metrics.found_slices import found_slices
    from pipeline.metrics.group_scores import group_scores

    (features, groups, unit, also), chosen, seed = who, settings.fairness, settings.seed
    y, predicted = table["y_true"].to_numpy(), table["y_pred"].to_numpy()
    p = np.ascontiguousarray(table[[f"p_{k}" for k in range(len(card.classes))]].to_numpy())
    sets = None if beside.limit is None else class_sets(p, beside.limit)
    covered = None if sets is None else sets[np.arange(len(y)), y]
    names = card.classes
    record = audit(features, groups, y, predicted, names, chosen, seed, unit=unit, covered=covered, also=also)
    shown = {str(c).partition(".")[2]: table[c].to_numpy(object) for c in table if str(c).startswith("property.")}
    shown |= {name: groups[name] for name in (f.name for f in card.audit)}
    slices = found_slices(predicted != y, shown, unit, chosen, stream(seed, "fairness", "slices"))
    gone = () if slices else ("slices that nobody declared: too few rows, or no columns to look for them in",)
    trades, refused = _trade_offs(card, (y, p), groups, beside, settings) if len(card.classes) == 2 else ((), ())
    return replace(
        record,
        scores=group_scores(card.audit, groups, y, p, sets, chosen, seed),
        trade_offs=trades,
        slices=slices,
        not_assessed=(*record.not_assessed, *gone, *refused),
    )


def _trade_offs(
    card: DatasetCard,
    outcome: "tuple[NDArray[np.int64], NDArray[np.float64]]",
    groups: "Groups",
    beside: Beside,
    settings: FairnessSlice,
) -> "tuple[tuple[TradeOff, ...], tuple[str, ...]]":
    """Return error against each gap of each sensitive feature, and what cannot be: two classes."""
    from pipeline.core.bounds import GAPS
    from pipeline.core.seeds import stream
    from pipeline.metrics.group_thresholds import decided
    from pipeline.metrics.trade_off import Way, trade_off

    (y, p), found, refused = outcome, [], []
    said = {"this network": p, **beside.others}
    plain: dict[str, Way] = {name.replace("_", " "): Way(q.argmax(axis=1) == 1) for name, q in said.items()}
    for feature in (f.name for f in card.audit if f.role == "sensitive"):
        for gap in GAPS:
            ways, fitted = dict(plain), beside.thresholds.get(gap, {}).get(feature)
            if fitted is not None:
                try:
                    chosen = decided(p[:, 1], groups[feature], fitted, feature)
                    ways[f"this network, thresholds by {feature}"] = Way(chosen, fitted)
                except DataError as wrong:
                    refused.append(wrong.message)
            rng = stream(settings.seed, "fairness", "trade-off", feature, gap)
            trade = trade_off(gap, feature, groups[feature], y, ways, rng, 1 - settings.fairness.alpha)
            if trade is not None:
                found.append(replace(trade, notes=_disclosed(feature, fitted is not None)))
    return tuple(found), tuple(dict.fromkeys(refused))


def _disclosed(feature: str, thresholds: bool) -> tuple[str, ...]:
    """Say what thresholds by group are made of, and what using them means."""
    if not thresholds:
        return (f"no thresholds by {feature}: fewer than two of its groups are large enough on validation rows",)
    return (
        f"thresholds by {feature} are chosen on validation rows, and whoever decides by them uses {feature} of every "
        "person decided about, which may be forbidden; a group with too few validation rows keeps one half",
    )


def run(settings: FairnessSlice) -> None:
    """Write groups.json."""
    from pipeline.grouping.reference import check_reference

    card = read_record(DatasetCard, FIT / "dataset.json")
    check_reference(card, settings.fairness)
    path = EVALUATE / "predictions.parquet"
    if not path.exists():
        raise missing(path)

    import pandas as pd

    from pipeline.datasets import load_split
    from pipeline.evaluation import load_arrays, load_row_errors
    from pipeline.grouping.probes import probes
    from pipeline.training.held_out import load_held_out

    scores = read_record(Scores, EVALUATE / "scores.json")
    others, errors = load_arrays(EVALUATE / "others.npz"), load_row_errors(EVALUATE)
    beside = beside_of(card, scores, load_held_out(TRAIN), others, errors)
    record = audited(card, pd.read_parquet(path), settings, beside)
    found = probes(card, load_split(FIT, "val"), settings.seed, 1 - settings.fairness.alpha)
    record = replace(record, proxies=tuple(found))
    with fresh_folder(FAIRNESS) as folder:
        write_json(folder / "groups.json", record)
    tell(record)


def tell(record: FairnessRecord) -> None:
    """Say what was found."""
    for item in record.audits:
        log.info("%s by %s: %s", item.metric, item.feature, item.verdict.replace("_", " "))
    for item in record.drops:
        log.info("%s by %s at severity %d: %s", item.metric, item.feature, record.severity or 0,
                 item.verdict.replace("_", " "))  # fmt: skip
    for shares in (one for one in record.representation if one.verdict != "not_assessed"):  # those are told below
        log.info("%s in %s: %s", shares.feature, shares.split, shares.words)
    for trade in record.trade_offs:
        for move in trade.moves:
            log.info("%s by %s: %s", trade.gap.replace("_", " "), trade.feature, move.words)
    for gone in record.not_assessed:
        log.info("not assessed: %s", gone)


if __name__ == "__main__":
    run_stage("fairness", FairnessSlice, run)
