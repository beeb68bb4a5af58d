"""Set trainings beside each other: error against gaps of each sensitive feature, on the same test rows.

python -m ways NAME …    (runs/NAME.parquet each; the first is what the others are compared with; writes ways.json)
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline.core.bounds import GAPS
from pipeline.core.contracts import DatasetCard
from pipeline.core.seeds import stream
from pipeline.core.store import FIT, read_record, write_json
from pipeline.metrics.trade_off import Way, trade_off


def ways(names: Sequence[str]) -> None:
    """Write error and gap of each training, and the moves from the first to those of the front."""
    card = read_record(DatasetCard, FIT / "dataset.json")
    tables = {name: pd.read_parquet(Path("runs") / f"{name}.parquet") for name in names}
    first = tables[names[0]]
    said = {name: Way(table["y_pred"].to_numpy() == 1) for name, table in tables.items()}
    found = [
        trade_off(gap, f.name, first[f"audit.{f.name}"].to_numpy(object), first["y_true"].to_numpy(), said,
                  stream(7, "ways", f.name, gap))
        for f in card.audit if f.role == "sensitive" for gap in GAPS
    ]  # fmt: skip
    write_json(Path("ways.json"), [trade for trade in found if trade is not None])


if __name__ == "__main__":
    ways(sys.argv[1:])
