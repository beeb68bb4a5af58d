"""Captum's attributions, and checks of how far to believe them. The only package that knows Captum."""

from pipeline.attribution.faithfulness import Deletion, deletion
from pipeline.attribution.methods import COMPLETE_ENOUGH, Attribution, Task, baseline_for, completeness, explain
from pipeline.attribution.sampling import RULE, choose_rows

__all__ = [
    "COMPLETE_ENOUGH",
    "RULE",
    "Attribution",
    "Deletion",
    "Task",
    "baseline_for",
    "choose_rows",
    "completeness",
    "deletion",
    "explain",
]
