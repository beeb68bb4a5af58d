"""How predictions of each task are judged: metrics with intervals, baselines, gains, and what the report shows."""

from pipeline.evaluation.calibration import conformal, cut_of, tempering, threshold
from pipeline.evaluation.constraints import amounts_on_test, constraint_checks, exact_amounts
from pipeline.evaluation.forecast_intervals import forecast_conformal
from pipeline.evaluation.front import ensemble, ensemble_verdict, mixed_ensemble, single_network, total
from pipeline.evaluation.judges import Judge, judge_for
from pipeline.evaluation.pairs import paired_gains, rows_digest
from pipeline.evaluation.plots import write_plots
from pipeline.evaluation.reliance import reliance
from pipeline.evaluation.stored import (
    RowErrors,
    Said,
    load_arrays,
    load_predictions,
    load_row_errors,
    store_predictions,
    store_row_errors,
)

__all__ = [
    "Judge",
    "RowErrors",
    "Said",
    "amounts_on_test",
    "conformal",
    "constraint_checks",
    "cut_of",
    "ensemble",
    "ensemble_verdict",
    "exact_amounts",
    "forecast_conformal",
    "judge_for",
    "load_arrays",
    "load_predictions",
    "load_row_errors",
    "mixed_ensemble",
    "paired_gains",
    "reliance",
    "rows_digest",
    "single_network",
    "store_predictions",
    "store_row_errors",
    "tempering",
    "threshold",
    "total",
    "write_plots",
]
