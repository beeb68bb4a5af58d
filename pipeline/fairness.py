"""Predictions + groups → rates by group, gaps and verdicts; nothing is predicted again."""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.core.contracts import DatasetCard, FairnessRecord
from pipeline.core.settings import FairnessSlice
from pipeline.core.store import EVALUATE, FAIRNESS, FIT, fresh_folder, missing, read_record, write_json
from pipeline.stage import run_stage

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("pipeline.fairness")


def audited(card: DatasetCard, table: "pd.DataFrame", settings: FairnessSlice) -> FairnessRecord:
    """Return rates, or mean errors where numbers are predicted, by group; one line of `table` is one test row."""
    import numpy as np

    from pipeline.metrics.disparity import audit
    from pipeline.metrics.mean_gaps import audit_values

    groups = {feature.name: table[f"audit.{feature.name}"].to_numpy(object) for feature in card.audit}
    chosen, seed = settings.fairness, settings.seed
    match card.task:
        case "binary" | "multiclass":
            y, predicted = table["y_true"].to_numpy(), table["y_pred"].to_numpy()
            return audit(card.audit, groups, y, predicted, card.classes, chosen, seed)
        case "multilabel":
            count = len(card.classes)
            true = table[[f"y_true_{k}" for k in range(count)]].to_numpy()
            claimed = table[[f"p_{k}" for k in range(count)]].to_numpy() >= 0.5
            right = (true == claimed).all(axis=1).astype(np.int64)
            record = audit(card.audit, groups, np.ones_like(right), right, (), chosen, seed)
            return replace(record, notes=(*record.notes, "accuracy is the share of rows with every label right"))
        case "regression":
            scale = np.array([target.std for target in card.targets])
            truth, values = (table[[f"{y}_{k}" for k in range(len(scale))]].to_numpy() for y in ("y_true", "y_pred"))
            error = (values - truth) / (scale if len(scale) > 1 else 1.0)
            errors = {"absolute_error": np.abs(error).mean(axis=1), "signed_error": error.mean(axis=1)}
            return audit_values(card.audit, groups, errors, chosen, seed)
        case "forecast":
            record = audit_values((), {}, {}, chosen, seed)
            gone = "forecasts by group: neighbouring windows share most of their steps, so tests of rows do not hold"
            return replace(record, notes=(), not_assessed=(*record.not_assessed, gone))


def run(settings: FairnessSlice) -> None:
    """Write groups.json."""
    card = read_record(DatasetCard, FIT / "dataset.json")
    path = EVALUATE / "predictions.parquet"
    if not path.exists():
        raise missing(path)

    import pandas as pd

    record = audited(card, pd.read_parquet(path), settings)
    with fresh_folder(FAIRNESS) as folder:
        write_json(folder / "groups.json", record)
    for item in record.audits:
        log.info("%s by %s: %s", item.metric, item.feature, item.verdict.replace("_", " "))
    for gone in record.not_assessed:
        log.info("not assessed: %s", gone)


if __name__ == "__main__":
    run_stage("fairness", FairnessSlice, run)
