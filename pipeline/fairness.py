"""Predictions + groups → rates by group, gaps and verdicts; nothing is predicted again."""

import logging

from pipeline.core.contracts import DatasetCard
from pipeline.core.settings import FairnessSlice
from pipeline.core.store import EVALUATE, FAIRNESS, FIT, fresh_folder, missing, read_record, write_json
from pipeline.stage import run_stage

log = logging.getLogger("pipeline.fairness")


def run(settings: FairnessSlice) -> None:
    """Write groups.json."""
    card = read_record(DatasetCard, FIT / "dataset.json")
    path = EVALUATE / "predictions.parquet"
    if not path.exists():
        raise missing(path)

    import pandas as pd

    from pipeline.metrics.disparity import audit

    table = pd.read_parquet(path)
    groups = {feature.name: table[f"audit.{feature.name}"].to_numpy(object) for feature in card.audit}
    y, predicted = table["y_true"].to_numpy(), table["y_pred"].to_numpy()
    record = audit(card.audit, groups, y, predicted, card.classes, settings.fairness, settings.seed)
    with fresh_folder(FAIRNESS) as folder:
        write_json(folder / "groups.json", record)
    for item in record.audits:
        log.info("%s by %s: %s", item.metric, item.feature, item.verdict.replace("_", " "))
    for gone in record.not_assessed:
        log.info("not assessed: %s", gone)


if __name__ == "__main__":
    run_stage("fairness", FairnessSlice, run)
