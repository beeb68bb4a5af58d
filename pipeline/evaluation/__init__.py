"""How predictions of each task are judged: metrics with intervals, baselines, gains, and what the report shows."""

from pipeline.evaluation.judges import Judge, judge_for

__all__ = ["Judge", "judge_for"]
