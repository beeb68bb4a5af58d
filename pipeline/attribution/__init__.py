"""Captum's attributions, and checks of how far to believe them."""

from pipeline.attribution.faithfulness import Deletion, deletion, random_deletion
from pipeline.attribution.methods import COMPLETE_ENOUGH, Attribution, Task, baseline_for, completeness, explain
from pipeline.attribution.subject import Subject, choose_rows, subject_of

__all__ = [
    "COMPLETE_ENOUGH",
    "Attribution",
    "Deletion",
    "Subject",
    "Task",
    "baseline_for",
    "choose_rows",
    "completeness",
    "deletion",
    "explain",
    "random_deletion",
    "subject_of",
]
