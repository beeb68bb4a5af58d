"""Audit the scores that COMPAS itself gave: rates by race of `decile_score` from 5 on, as ProPublica published them.

python -m compas_scores FILE    (writes compas_scores.json)
"""

import sys
from pathlib import Path

import pandas as pd

from pipeline.core.contracts import AuditFeature
from pipeline.core.settings import FairnessSettings
from pipeline.core.store import write_json
from pipeline.metrics.disparity import audit


def compas_scores(path: str) -> None:
    """Write the audit of all 7,214 rows."""
    table = pd.read_csv(path)
    race = table["race"].to_numpy(object)
    feature = AuditFeature(name="race", role="sensitive", source="column 'race'", groups=tuple(sorted(set(race))))
    y, predicted = table["two_year_recid"].to_numpy(), (table["decile_score"] >= 5).astype(int).to_numpy()
    write_json(Path("compas_scores.json"),
               audit([feature], {"race": race}, y, predicted, ["no", "yes"], FairnessSettings(), 7))  # fmt: skip


if __name__ == "__main__":
    compas_scores(sys.argv[1])
