"""How predictions of each task are judged: metrics with intervals, baselines, gains, and what the report shows."""

from pipeline.evaluation.constraints import amounts_on_test, constraint_checks, exact_amounts
from pipeline.evaluation.front import ensemble, ensemble_verdict, mixed_ensemble, single_network, total
from pipeline.evaluation.judges import Judge, judge_for

__all__ = [
    "Judge",
    "amounts_on_test",
    "constraint_checks",
    "ensemble",
    "ensemble_verdict",
    "exact_amounts",
    "judge_for",
    "mixed_ensemble",
    "single_network",
    "total",
]
